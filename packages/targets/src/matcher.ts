import { assertLength, ConfigError } from "@mrcnn/core";
import type { GroundTruth } from "@mrcnn/core";

/** The match of a candidate whose best IoU is below `low`: a negative. */
export const BELOW_LOW = -1;
/** The match of a candidate whose best IoU is in [`low`, `high`): neither positive nor negative. */
export const BETWEEN = -2;

export interface MatchOptions {
  /** A candidate whose best IoU is at least this is positive. */
  readonly high: number;
  /** A candidate whose best IoU is below this is negative. */
  readonly low: number;
  /** Also make positive, for each object, every candidate that overlaps it as much as any does. */
  readonly allowLowQuality: boolean;
}

// One row of IoU at a time: a crowded image must not need the whole matrix.
function matchRows(
  gtCount: number,
  candidateCount: number,
  options: MatchOptions,
  row: (gt: number) => Float32Array,
): Int32Array {
  // float32, as torch compares a float32 tensor with a number.
  const high = Math.fround(options.high);
  const low = Math.fround(options.low);
  if (!(low <= high)) {
    throw new ConfigError(`matchBoxes: options.low must be at most options.high, got ${options.low} and ${options.high}.`);
  }
  const matches = new Int32Array(candidateCount);
  if (gtCount === 0) return matches.fill(BELOW_LOW);
  const best = new Float32Array(candidateCount).fill(-1);
  const isBestOfSome = new Uint8Array(options.allowLowQuality ? candidateCount : 0);
  for (let g = 0; g < gtCount; g++) {
    const iou = row(g);
    let rowBest = 0;
    for (let c = 0; c < candidateCount; c++) {
      const value = iou[c]!;
      if (value > best[c]!) {
        best[c] = value;
        matches[c] = g;
      }
      if (value > rowBest) rowBest = value;
    }
    if (options.allowLowQuality) for (let c = 0; c < candidateCount; c++) if (iou[c] === rowBest) isBestOfSome[c] = 1;
  }
  for (let c = 0; c < candidateCount; c++) {
    const value = best[c]!;
    if (value < high && isBestOfSome[c] !== 1) matches[c] = value < low ? BELOW_LOW : BETWEEN;
  }
  return matches;
}

/**
 * Gives each candidate the object it overlaps most, or BELOW_LOW or BETWEEN.
 *
 * The rules are those of torchvision's `Matcher`: of equal overlaps the first object wins, and the
 * low-quality pass (section 3.1.2 of Faster R-CNN) gives a candidate the object that the candidate
 * overlaps most, which need not be the object that chose it. An object that nothing overlaps chooses
 * every candidate that does not overlap it, as in torchvision. Without objects all are BELOW_LOW.
 *
 * @param iou float32 [gtCount * candidateCount], object-major.
 * @returns int32 [candidateCount].
 * @throws ShapeError for an `iou` of another length, ConfigError when low > high.
 */
export function matchBoxes(
  iou: Float32Array,
  gtCount: number,
  candidateCount: number,
  options: MatchOptions,
): Int32Array {
  assertLength(iou, gtCount * candidateCount, "matchBoxes", "iou");
  return matchRows(gtCount, candidateCount, options, (g) => iou.subarray(g * candidateCount, (g + 1) * candidateCount));
}

/** Indices of the objects that take part in training: crowd regions have no single object to learn. */
export function trainableObjects(groundTruth: GroundTruth): Int32Array {
  return Int32Array.from(groundTruth.labels.keys()).filter((g) => groundTruth.isCrowd[g] !== 1);
}

/**
 * Matches boxes [N * 4] with the objects of one image: `matchBoxes` on their IoU, rounded to float32
 * like torchvision's `box_iou`. Crowd objects take no part. Memory is O(N), however many objects.
 *
 * @returns int32 [N]: an index into `groundTruth`, BELOW_LOW or BETWEEN.
 */
export function matchToGroundTruth(boxes: Float32Array, groundTruth: GroundTruth, options: MatchOptions): Int32Array {
  const objects = trainableObjects(groundTruth);
  const count = boxes.length / 4;
  const areas = new Float32Array(count);
  for (let c = 0; c < count; c++) {
    areas[c] = Math.fround(boxes[4 * c + 2]! - boxes[4 * c]!) * Math.fround(boxes[4 * c + 3]! - boxes[4 * c + 1]!);
  }
  const iou = new Float32Array(count);
  const matches = matchRows(objects.length, count, options, (row) => {
    const at = 4 * objects[row]!;
    const x1 = groundTruth.boxes[at]!;
    const y1 = groundTruth.boxes[at + 1]!;
    const x2 = groundTruth.boxes[at + 2]!;
    const y2 = groundTruth.boxes[at + 3]!;
    const area = Math.fround(Math.fround(x2 - x1) * Math.fround(y2 - y1));
    for (let c = 0, i = 0; c < count; c++, i += 4) {
      const left = boxes[i]!;
      const top = boxes[i + 1]!;
      const right = boxes[i + 2]!;
      const bottom = boxes[i + 3]!;
      const w = Math.fround((right < x2 ? right : x2) - (left > x1 ? left : x1));
      const h = Math.fround((bottom < y2 ? bottom : y2) - (top > y1 ? top : y1));
      if (w > 0 && h > 0) {
        const inter = Math.fround(w * h);
        iou[c] = inter / Math.fround(Math.fround(area + areas[c]!) - inter);
      } else iou[c] = 0;
    }
    return iou;
  });
  for (let c = 0; c < count; c++) if (matches[c]! >= 0) matches[c] = objects[matches[c]!]!;
  return matches;
}
