/** Compares the detections of two models on the same pictures. */
import type { Detections } from "@mrcnn/core";
import { boxIou, rleIou } from "@mrcnn/masks";

/** How the detections of two models on one image differ. */
export interface DetectionDifference {
  /**
   * Objects that each found, and those that are the same: of one class, their boxes' IoU at least one half.
   */
  readonly before: number;
  readonly after: number;
  readonly same: number;
  /** Distances between boxes of the same objects; absent without such objects. */
  readonly boxes?: Spread;
  readonly scores?: Spread;
  /** 1 - IoU; absent too when a model has no masks. */
  readonly masks?: Spread;
  /** Pixels of the photo; absent too when a model has no keypoints. */
  readonly keypoints?: Spread;
}

/** The largest difference, and the middle one. Boxes and keypoints in pixels of the photo. */
export interface Spread {
  readonly max: number;
  readonly median: number;
}

/**
 * Compares what two models found in one image. Each object, best first, takes the free one that overlaps it
 * most.
 */
export function compareDetections(before: Detections, after: Detections): DetectionDifference {
  const pairs = pairUp(before, after);
  const differences = {
    boxes: pairs.map(([i, j]) => largest(before.boxes, after.boxes, 4, i, j)),
    scores: pairs.map(([i, j]) => Math.abs(before.scores[i]! - after.scores[j]!)),
    masks:
      before.masks === undefined || after.masks === undefined ?
        []
      : pairs.map(([i, j]) => 1 - maskOverlap(before.masks![i]!, after.masks![j]!)),
    keypoints:
      before.keypoints === undefined || after.keypoints === undefined ?
        []
      : pairs.map(([i, j]) =>
          largest(before.keypoints!.points, after.keypoints!.points, 3 * before.keypoints!.count, i, j),
        ),
  };
  return {
    before: before.scores.length,
    after: after.scores.length,
    same: pairs.length,
    ...Object.fromEntries(
      Object.entries(differences)
        .filter(([, values]) => values.length > 0)
        .map(([what, values]) => [what, spread(values)]),
    ),
  };
}

type Pair = readonly [before: number, after: number];
type RleMask = NonNullable<Detections["masks"]>[number];

// Two empty masks are the same.
const maskOverlap = (a: RleMask, b: RleMask): number =>
  a.counts.length <= 1 && b.counts.length <= 1 ? 1 : rleIou([a], [b], [0])[0]!;

function pairUp(before: Detections, after: Detections): Pair[] {
  const count = after.labels.length;
  const iou = boxIou(sizes(before.boxes), sizes(after.boxes), new Uint8Array(count));
  const free = new Set(after.labels.keys());
  const pairs: Pair[] = [];
  for (const [i, label] of before.labels.entries()) {
    let best: number | undefined;
    for (const j of free)
      if (
        after.labels[j] === label &&
        iou[i * count + j]! >= 0.5 &&
        iou[i * count + j]! > (best === undefined ? 0 : iou[i * count + best]!)
      )
        best = j;
    if (best === undefined) continue;
    free.delete(best);
    pairs.push([i, best]);
  }
  return pairs;
}

// Corners as x, y, width and height.
const sizes = (boxes: Float32Array): number[] =>
  Array.from(boxes, (v, i) => (i % 4 < 2 ? v : v - boxes[i - 2]!));

/** The largest difference of rows `i` and `j`, `length` long. */
function largest(a: Float32Array, b: Float32Array, length: number, i: number, j: number): number {
  let most = 0;
  for (let k = 0; k < length; k++) most = Math.max(most, Math.abs(a[i * length + k]! - b[j * length + k]!));
  return most;
}

function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  return { max: sorted.at(-1)!, median: sorted[sorted.length >> 1]! };
}
