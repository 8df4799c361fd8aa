/** Column stores of detections and objects. */
import type { MaskStore } from "./mask-store.ts";

/** The values of an entry. Detections have scores, objects may be crowds. */
export interface EntryValues {
  /** Index of the category among the evaluated ones. */
  readonly category: number;
  /** Area in pixels, for the size ranges. */
  readonly area: number;
  readonly score: number;
  readonly isCrowd: boolean;
  /** Whether the entry and its match are ignored; a crowd is ignored too. */
  readonly isIgnored: boolean;
  /** (x, y, width, height): the entry's box for "bbox" and "keypoints", the mask's tight box for "segm". */
  readonly box: ArrayLike<number>;
  /** For "segm": the mask's counts, their compressed text when available, and the number of pixels set. */
  readonly counts?: Uint32Array;
  readonly text?: Uint8Array | undefined;
  readonly pixels?: number;
  /** For "keypoints": (x, y, visibility) of each. */
  readonly keypoints?: ArrayLike<number>;
}

/** Entries of one image or of many, in growing columns: some 60 bytes each, plus the bytes of their masks. */
export interface Entries {
  /** Number of entries. */
  length: number;
  category: Int32Array;
  area: Float64Array;
  score: Float64Array;
  isCrowd: Uint8Array;
  isIgnored: Uint8Array;
  /** Boxes, [4 * length]. */
  box: Float64Array;
  /** Position of each mask in its store; `maskPixels` is its number of pixels set. */
  maskPlace: Float64Array;
  maskPixels: Float64Array;
  readonly masks: MaskStore;
  /** Keypoints, [keypointValues * length]. */
  keypoints: Float64Array;
  readonly keypointValues: number;
}

/** Creates an empty store; `keypoints` is the number of keypoints per entry. */
export function createEntries(masks: MaskStore, keypoints: number): Entries {
  return {
    length: 0,
    category: new Int32Array(0),
    area: new Float64Array(0),
    score: new Float64Array(0),
    isCrowd: new Uint8Array(0),
    isIgnored: new Uint8Array(0),
    box: new Float64Array(0),
    maskPlace: new Float64Array(0),
    maskPixels: new Float64Array(0),
    masks,
    keypoints: new Float64Array(0),
    keypointValues: 3 * keypoints,
  };
}

/** Empties a store for the next image, keeping its memory. */
export function clearEntries(entries: Entries): void {
  entries.length = 0;
  entries.masks.clear();
}

export function addEntry(entries: Entries, values: EntryValues): void {
  const i = entries.length;
  if (i === entries.category.length) grow(entries);
  entries.length = i + 1;
  entries.category[i] = values.category;
  entries.area[i] = values.area;
  entries.score[i] = values.score;
  entries.isCrowd[i] = values.isCrowd ? 1 : 0;
  entries.isIgnored[i] = values.isCrowd || values.isIgnored ? 1 : 0;
  const { box, counts, keypoints } = values;
  for (let c = 0; c < 4; c++) entries.box[4 * i + c] = box[c]!;
  if (counts !== undefined) {
    if (i >= entries.maskPlace.length) growMasks(entries);
    entries.maskPlace[i] = entries.masks.add(counts, values.text);
    entries.maskPixels[i] = values.pixels!;
  }
  if (keypoints !== undefined) entries.keypoints.set(keypoints, entries.keypointValues * i);
}

export type Column = Float64Array | Int32Array | Uint32Array | Uint8Array;

/** Returns a copy with room for `length` values. */
export function widened<T extends Column>(column: T, length: number): T {
  const wider = new (column.constructor as new (length: number) => T)(length);
  wider.set(column);
  return wider;
}

const roomAfter = (length: number): number => Math.max(64, Math.ceil(1.5 * length));

function grow(entries: Entries): void {
  const room = roomAfter(entries.length);
  entries.category = widened(entries.category, room);
  entries.area = widened(entries.area, room);
  entries.score = widened(entries.score, room);
  entries.isCrowd = widened(entries.isCrowd, room);
  entries.isIgnored = widened(entries.isIgnored, room);
  entries.box = widened(entries.box, 4 * room);
  entries.keypoints = widened(entries.keypoints, entries.keypointValues * room);
}

function growMasks(entries: Entries): void {
  const room = entries.category.length;
  entries.maskPlace = widened(entries.maskPlace, room);
  entries.maskPixels = widened(entries.maskPixels, room);
}
