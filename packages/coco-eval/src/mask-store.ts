import type { Rle } from "@mrcnn/core";
import { readCounts, rleToString } from "@mrcnn/masks";
import type { RleMeasures } from "@mrcnn/masks";

/** Run lengths that were read from compressed text, and what was learnt meanwhile. */
export interface ReadRle extends Rle {
  readonly text?: Uint8Array;
  readonly measures?: RleMeasures;
}

/** The masks of entries. */
export interface MaskStore {
  /** Keeps the mask of these counts; `text` is their compressed form when it is at hand. @returns its place. */
  add(counts: Uint32Array, text?: Uint8Array): number;
  /** The counts of the mask at `place`; they may be overwritten by the next call. */
  read(place: number): Uint32Array;
  /** Forgets all masks. */
  clear(): void;
}

/** For an image's masks: the arrays themselves. */
export function createMaskList(): MaskStore {
  const masks: Uint32Array[] = [];
  return {
    add: (counts) => masks.push(counts) - 1,
    read: (place) => masks[place]!,
    clear: () => void (masks.length = 0),
  };
}

// Blocks rather than one array: growing never copies, and there is no longest array to reach.
const BLOCK = 2 ** 22;

/** For the masks of many images: their compressed text, a byte per character and no object each. */
export function createMaskPool(): MaskStore {
  const encoder = new TextEncoder();
  const blocks: Uint8Array[] = [];
  let block = new Uint8Array(0);
  let at = 0;
  let counts = new Uint32Array(0);
  // The same mask is often asked for again.
  let last = -1;
  let length = 0;
  return {
    add(mask, text = encoder.encode(rleToString({ size: { height: 0, width: 0 }, counts: mask }))) {
      if (at + text.length + 1 > block.length) {
        block = new Uint8Array(Math.max(BLOCK, text.length + 1));
        blocks.push(block);
        at = 0;
      }
      const place = (blocks.length - 1) * 2 ** 32 + at;
      block.set(text, at);
      // A zero ends it.
      at += text.length + 1;
      return place;
    },
    read(place) {
      if (place === last) return counts.subarray(0, length);
      const source = blocks[Math.floor(place / 2 ** 32)]!;
      const start = place % 2 ** 32;
      const text = source.subarray(start, source.indexOf(0, start));
      if (text.length > counts.length) counts = new Uint32Array(2 * text.length);
      length = readCounts(text, counts, "");
      last = place;
      return counts.subarray(0, length);
    },
    clear() {
      blocks.length = 0;
      block = new Uint8Array(0);
      at = 0;
      last = -1;
    },
  };
}
