/** Overlaps of boxes, masks and keypoints, as pycocotools. */
import { runsIntersection } from "@mrcnn/masks";
import type { Entries } from "./entries.ts";
import type { IouType } from "./params.ts";

/**
 * Returns the overlap of a detection and an object, given as indices into `detections` and `objects`: exact
 * from `atLeast` up, below it perhaps 0. The union with a crowd is the detection alone, as in COCO: a
 * detection may be any part of a crowd.
 */
export type Overlap = (detection: number, object: number, atLeast: number) => number;

/** Returns the overlap that `iouType` compares. */
export function overlapOf(
  iouType: IouType,
  detections: Entries,
  objects: Entries,
  sigmas: readonly number[],
): Overlap {
  if (iouType === "bbox") return (d, g) => boxOverlap(detections, d, objects, g);
  if (iouType === "segm") return maskOverlap(detections, objects);
  return keypointSimilarity(detections, objects, sigmas);
}

// Returns the area of the boxes' intersection.
function boxIntersection(a: Float64Array, d: number, b: Float64Array, g: number): number {
  const i = 4 * d;
  const j = 4 * g;
  const width = Math.min(a[i]! + a[i + 2]!, b[j]! + b[j + 2]!) - Math.max(a[i]!, b[j]!);
  if (width <= 0) return 0;
  const height = Math.min(a[i + 1]! + a[i + 3]!, b[j + 1]! + b[j + 3]!) - Math.max(a[i + 1]!, b[j + 1]!);
  return height <= 0 ? 0 : width * height;
}

function boxOverlap(detections: Entries, d: number, objects: Entries, g: number): number {
  const a = detections.box;
  const b = objects.box;
  const both = boxIntersection(a, d, b, g);
  if (both === 0) return 0;
  const area = a[4 * d + 2]! * a[4 * d + 3]!;
  return both / (objects.isCrowd[g] === 1 ? area : area + b[4 * g + 2]! * b[4 * g + 3]! - both);
}

// Runs are compared only where the masks' boxes and sizes allow for enough overlap.
function maskOverlap(detections: Entries, objects: Entries): Overlap {
  return (d, g, atLeast) => {
    const within = boxIntersection(detections.box, d, objects.box, g);
    if (within === 0) return 0;
    const area = detections.maskPixels[d]!;
    const other = objects.maskPixels[g]!;
    const crowd = objects.isCrowd[g] === 1;
    const most = Math.min(within, area, other);
    if (most / (crowd ? area : area + other - most) < atLeast) return 0;
    const both = runsIntersection(
      detections.masks.read(detections.maskPlace[d]!),
      objects.masks.read(objects.maskPlace[g]!),
    );
    return both === 0 ? 0 : both / (crowd ? area : area + other - both);
  };
}

// COCO's object keypoint similarity: the mean over the object's marked keypoints of exp(-distance² / (2 area
// (2 sigma)²)). For objects without marked keypoints, distances are measured to the box enlarged by its own
// size on each side.
function keypointSimilarity(detections: Entries, objects: Entries, sigmas: readonly number[]): Overlap {
  const variances = sigmas.map((sigma) => (sigma * 2) ** 2);
  const values = objects.keypointValues;
  return (d, g) => {
    const found = detections.keypoints;
    const marked = objects.keypoints;
    const { box } = objects;
    const i = values * d;
    const j = values * g;
    const area = objects.area[g]! + Number.EPSILON;
    let any = false;
    for (let k = 2; k < values; k += 3) if (marked[j + k]! > 0) any = true;
    const [x0, y0, width, height] = [box[4 * g]!, box[4 * g + 1]!, box[4 * g + 2]!, box[4 * g + 3]!];
    const beyond = (v: number, from: number, size: number): number =>
      Math.max(0, from - size - v) + Math.max(0, v - (from + size * 2));
    let sum = 0;
    let count = 0;
    for (let k = 0; k < values; k += 3) {
      if (any && !(marked[j + k + 2]! > 0)) continue;
      const dx = any ? found[i + k]! - marked[j + k]! : beyond(found[i + k]!, x0, width);
      const dy = any ? found[i + k + 1]! - marked[j + k + 1]! : beyond(found[i + k + 1]!, y0, height);
      sum += Math.exp(-((dx ** 2 + dy ** 2) / variances[k / 3]! / area / 2));
      count++;
    }
    return sum / count;
  };
}
