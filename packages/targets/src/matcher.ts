/** Matching of anchors and proposals to objects, as torchvision's Matcher. */
import { assertLength, ConfigError } from "@mrcnn/core";
import type { GroundTruth } from "@mrcnn/core";
import { indexOverlaps } from "./overlaps.ts";

/** The match of a candidate whose best IoU is below `low`: a negative. */
export const BELOW_LOW = -1;
/** The match of a candidate whose best IoU is in [`low`, `high`): neither positive nor negative. */
export const BETWEEN = -2;

/** Conditions under which a candidate (an anchor or a proposal) matches an object. */
export interface MatchOptions {
  /** Best IoU from which a candidate is positive. */
  readonly high: number;
  /** Best IoU below which a candidate is negative. */
  readonly low: number;
  /** Whether, for each object, the candidates of the highest IoU with it also become positive. */
  readonly allowLowQuality: boolean;
}

/** Writes the candidates that overlap an object, and their IoU; returns their number. */
type Overlaps = (gt: number, candidates: Int32Array, ious: Float32Array) => number;

// Works object by object and on overlapping pairs only, so that crowded images don't need the whole matrix.
function match(
  gtCount: number,
  candidateCount: number,
  options: MatchOptions,
  overlaps: Overlaps,
): Int32Array {
  // Compared in float32, as torch does for a float32 tensor and a number.
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
 * Assigns to each candidate the object that it overlaps most, or BELOW_LOW or BETWEEN.
 *
 * The rules are those of torchvision's `Matcher`: among equal overlaps the first object wins, and the
 * low-quality pass (section 3.1.2 of Faster R-CNN) assigns to a candidate the object that the candidate
 * overlaps most, which need not be the object whose best candidate it is. An object that nothing overlaps
 * makes every candidate positive, as in torchvision. Without objects all are BELOW_LOW.
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

/**
 * Returns the indices of the objects that take part in training: all but crowd regions, which have no single
 * object to learn.
 */
export function trainableObjects(groundTruth: GroundTruth): Int32Array {
  return Int32Array.from(groundTruth.labels.keys()).filter((g) => groundTruth.isCrowd[g] !== 1);
}

/**
 * Matches boxes [N * 4] to the objects of one image: `matchBoxes` on their IoU, in the float32 of
 * torchvision's `box_iou`. Crowd objects take no part. Memory is O(N), whatever the number of objects.
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
