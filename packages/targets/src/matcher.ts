import { assertLength, ConfigError } from "@mrcnn/core";
import type { GroundTruth } from "@mrcnn/core";
import { indexOverlaps } from "./overlaps.ts";

/** The match of a candidate whose best IoU is below `low`: a negative. */
export const BELOW_LOW = -1;
/** The match of a candidate whose best IoU is in [`low`, `high`): neither positive nor negative. */
export const BETWEEN = -2;

/** When a candidate (an anchor or a proposal) matches an object. */
export interface MatchOptions {
  /** A candidate whose best IoU is at least this is positive. */
  readonly high: number;
  /** A candidate whose best IoU is below this is negative. */
  readonly low: number;
  /** Also make positive, for each object, every candidate that overlaps it as much as any does. */
  readonly allowLowQuality: boolean;
}

/** Writes the candidates that overlap an object, and by how much; returns how many. */
type Overlaps = (gt: number, candidates: Int32Array, ious: Float32Array) => number;

// Object by object, and only what overlaps: a crowded image must not need the whole matrix.
function match(
  gtCount: number,
  candidateCount: number,
  options: MatchOptions,
  overlaps: Overlaps,
): Int32Array {
  // float32, as torch compares a float32 tensor with a number.
  const high = Math.fround(options.high);
  const low = Math.fround(options.low);
  if (!(low <= high)) {
    throw new ConfigError(
      `matchBoxes: options.low must be at most options.high, got ${options.low} and ${options.high}.`,
    );
  }
  const matches = new Int32Array(candidateCount);
  if (gtCount === 0) return matches.fill(BELOW_LOW);
  const best = new Float32Array(candidateCount);
  const isBestOfSome = new Uint8Array(candidateCount);
  const candidates = new Int32Array(candidateCount);
  const ious = new Float32Array(candidateCount);
  for (let g = 0; g < gtCount; g++) {
    const count = overlaps(g, candidates, ious);
    let most = 0;
    for (let i = 0; i < count; i++) {
      const iou = ious[i]!;
      const candidate = candidates[i]!;
      if (iou > best[candidate]!) {
        best[candidate] = iou;
        matches[candidate] = g;
      }
      if (iou > most) most = iou;
    }
    if (!options.allowLowQuality) continue;
    if (count === 0) isBestOfSome.fill(1);
    for (let i = 0; i < count; i++) if (ious[i] === most) isBestOfSome[candidates[i]!] = 1;
  }
  for (let c = 0; c < candidateCount; c++) {
    const iou = best[c]!;
    if (iou < high && isBestOfSome[c] !== 1) matches[c] = iou < low ? BELOW_LOW : BETWEEN;
  }
  return matches;
}

/**
 * Gives each candidate the object it overlaps most, or BELOW_LOW or BETWEEN.
 *
 * The rules are those of torchvision's `Matcher`: of equal overlaps the first object wins, and the
 * low-quality pass (section 3.1.2 of Faster R-CNN) gives a candidate the object that the candidate
 * overlaps most, which need not be the object that chose it. An object that nothing overlaps chooses
 * every candidate, as in torchvision. Without objects all are BELOW_LOW.
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
  return match(gtCount, candidateCount, options, (gt, candidates, ious) => {
    let count = 0;
    for (let c = 0; c < candidateCount; c++) {
      const value = iou[gt * candidateCount + c]!;
      if (value > 0) {
        candidates[count] = c;
        ious[count++] = value;
      }
    }
    return count;
  });
}

/** Indices of the objects that take part in training: crowd regions have no single object to learn. */
export function trainableObjects(groundTruth: GroundTruth): Int32Array {
  return Int32Array.from(groundTruth.labels.keys()).filter((g) => groundTruth.isCrowd[g] !== 1);
}

/**
 * Matches boxes [N * 4] with the objects of one image: `matchBoxes` on their IoU, in the float32
 * of torchvision's `box_iou`. Crowd objects take no part. Memory is O(N), however many objects.
 *
 * @returns int32 [N]: an index into `groundTruth`, BELOW_LOW or BETWEEN.
 */
export function matchToGroundTruth(
  boxes: Float32Array,
  groundTruth: GroundTruth,
  options: MatchOptions,
): Int32Array {
  const objects = trainableObjects(groundTruth);
  const findOverlaps = indexOverlaps(boxes);
  const matches = match(objects.length, boxes.length / 4, options, (i, candidates, ious) =>
    findOverlaps(groundTruth.boxes.subarray(4 * objects[i]!, 4 * objects[i]! + 4), candidates, ious),
  );
  return matches.map((object) => (object >= 0 ? objects[object]! : object));
}
