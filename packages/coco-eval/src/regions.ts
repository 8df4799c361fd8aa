/** Validation of the evaluator's objects and detections, and their conversion to entries. */
import { DatasetError, quote, quoteIds } from "@mrcnn/core";
import type { CocoId, Rle } from "@mrcnn/core";
import { measureCounts } from "@mrcnn/masks";
import type { CocoBox } from "@mrcnn/masks";
import type { EntryValues } from "./entries.ts";
import type { ReadRle } from "./mask-store.ts";
import type { ResolvedParams } from "./params.ts";

/**
 * An object of an image. "bbox" compares `bbox`, "segm" compares `mask`, "keypoints" compares `keypoints` and
 * uses `bbox`.
 */
export interface CocoGroundTruth {
  readonly categoryId: CocoId;
  readonly bbox?: CocoBox;
  readonly mask?: Rle;
  /** (x, y, visibility) of each keypoint, flat; visibility 0 is unmarked. */
  readonly keypoints?: ArrayLike<number>;
  /**
   * Area in pixels, for the size ranges and the scale of keypoints. Default the mask's for "segm", else the
   * box's.
   */
  readonly area?: number;
  /**
   * Whether the object is a crowd, which is ignored and may match any number of detections. Default false.
   */
  readonly isCrowd?: boolean;
  /**
   * Whether the object is ignored even if it is no crowd; one detection may match it. Default false, for
   * "keypoints" true where no keypoint is marked.
   */
  readonly isIgnored?: boolean;
}

/** A detection: an object with a score. Without a box, its keypoints have the area that they span. */
export interface CocoDetection {
  readonly categoryId: CocoId;
  readonly score: number;
  readonly bbox?: CocoBox;
  readonly mask?: Rle;
  readonly keypoints?: ArrayLike<number>;
  readonly area?: number;
}

/** Converts objects and detections to entries. `where` names the entry in errors. */
export interface Regions {
  object(entry: CocoGroundTruth, where: string): EntryValues;
  detection(entry: CocoDetection, where: string): EntryValues;
}

/**
 * Creates the conversion.
 *
 * @throws DatasetError, from both of its functions, naming the entry: an unknown category, a missing or
 * impossible region.
 */
export function createRegions({ iouType, categories, sigmas }: ResolvedParams): Regions {
  const places = new Map(categories.map(({ id }, k) => [id, k]));
  const placeOf = (id: CocoId, where: string): number => {
    const place = places.get(id);
    if (place !== undefined) return place;
    throw new DatasetError(
      `${where}: categoryId must be one of the evaluated categories (${quoteIds([...places.keys()])}), got ${quote(id)}.`,
    );
  };
  const checkArea = (area: number | undefined, where: string): number | undefined => {
    if (area !== undefined && !(Number.isFinite(area) && area >= 0))
      throw new DatasetError(`${where}: area must be a number >= 0, got ${quote(area)}.`);
    return area;
  };
  const checkBox = (bbox: CocoBox | undefined, where: string): CocoBox => {
    if (!(bbox?.length === 4 && bbox.every(Number.isFinite) && bbox[2] >= 0 && bbox[3] >= 0)) {
      throw new DatasetError(
        `${where}: bbox must be [x, y, width, height] with sizes >= 0, got ${quote(bbox)}.`,
      );
    }
    return bbox;
  };
  const checkKeypoints = (keypoints: ArrayLike<number> | undefined, where: string): ArrayLike<number> => {
    const fits =
      keypoints?.length === 3 * sigmas.length && Array.prototype.every.call(keypoints, Number.isFinite);
    if (fits) return keypoints;
    const got = keypoints === undefined ? "none" : `${keypoints.length} numbers`;
    throw new DatasetError(
      `${where}: keypoints must be (x, y, visibility) of ${sigmas.length} keypoints, as many as sigmas, got ${got}.`,
    );
  };
  const read = (
    entry: CocoGroundTruth | CocoDetection,
    score: number,
    isCrowd: boolean,
    where: string,
  ): EntryValues => {
    const category = placeOf(entry.categoryId, where);
    const area = checkArea(entry.area, where);
    if (iouType === "segm") {
      const mask: ReadRle | undefined = entry.mask;
      if (mask === undefined)
        throw new DatasetError(
          `${where}: must have a mask to be evaluated by "segm". Evaluate by "bbox" instead.`,
        );
      const { pixels, box } = mask.measures ?? measureCounts(mask.counts, mask.size.height);
      return {
        category,
        area: area ?? pixels,
        score,
        isCrowd,
        isIgnored: false,
        box,
        counts: mask.counts,
        pixels,
        text: mask.text,
      };
    }
    if (iouType === "bbox") {
      const box = checkBox(entry.bbox, where);
      return { category, area: area ?? box[2] * box[3], score, isCrowd, isIgnored: false, box };
    }
    const keypoints = checkKeypoints(entry.keypoints, where);
    // A detection's box is needed only for its area.
    const box =
      "score" in entry && entry.bbox === undefined ? spanOf(keypoints) : checkBox(entry.bbox, where);
    return {
      category,
      area: area ?? box[2] * box[3],
      score,
      isCrowd,
      isIgnored: !isMarked(keypoints),
      box,
      keypoints,
    };
  };
  return {
    object(entry, where) {
      const values = read(entry, 0, entry.isCrowd ?? false, where);
      return entry.isIgnored === undefined ? values : { ...values, isIgnored: entry.isIgnored };
    },
    detection(entry, where) {
      if (!Number.isFinite(entry.score))
        throw new DatasetError(`${where}: score must be a finite number, got ${quote(entry.score)}.`);
      return read(entry, entry.score, false, where);
    },
  };
}

function isMarked(keypoints: ArrayLike<number>): boolean {
  for (let i = 2; i < keypoints.length; i += 3) if (keypoints[i]! > 0) return true;
  return false;
}

function spanOf(keypoints: ArrayLike<number>): CocoBox {
  let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < keypoints.length; i += 3) {
    x0 = Math.min(x0, keypoints[i]!);
    x1 = Math.max(x1, keypoints[i]!);
    y0 = Math.min(y0, keypoints[i + 1]!);
    y1 = Math.max(y1, keypoints[i + 1]!);
  }
  return [x0, y0, x1 - x0, y1 - y0];
}
