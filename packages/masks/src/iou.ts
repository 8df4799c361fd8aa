/** Pairwise IoU of boxes and of run lengths, as pycocotools. */
import { assertLength, DatasetError } from "@mrcnn/core";
import type { Rle } from "@mrcnn/core";
import { rleArea, rleToBox } from "./rle.ts";

/**
 * Computes the pairwise IoU of boxes (x, y, width, height), flat, in float64: [N * M], one row per detection.
 * For a crowd (`isCrowd[j]` not 0) the union is the detection alone, as in COCO: a detection may be any part
 * of a crowd.
 */
export function boxIou(
  detections: ArrayLike<number>,
  groundTruth: ArrayLike<number>,
  isCrowd: ArrayLike<number>,
): Float64Array {
  const n = detections.length / 4;
  const m = groundTruth.length / 4;
  assertLength(isCrowd, m, "boxIou", "isCrowd");
  const iou = new Float64Array(n * m);
  for (let j = 0; j < m; j++) {
    const [gx, gy, gw, gh] = boxAt(groundTruth, j);
    for (let i = 0; i < n; i++) {
      const [x, y, w, h] = boxAt(detections, i);
      const overlapX = Math.min(x + w, gx + gw) - Math.max(x, gx);
      const overlapY = Math.min(y + h, gy + gh) - Math.max(y, gy);
      if (!(overlapX > 0 && overlapY > 0)) continue;
      const both = overlapX * overlapY;
      const union = isCrowd[j] ? w * h : w * h + gw * gh - both;
      iou[i * m + j] = both / union;
    }
  }
  return iou;
}

const boxAt = (boxes: ArrayLike<number>, i: number): [number, number, number, number] => [
  boxes[4 * i]!,
  boxes[4 * i + 1]!,
  boxes[4 * i + 2]!,
  boxes[4 * i + 3]!,
];

/**
 * Computes the pairwise IoU of masks of one image: [N * M], one row per detection; crowds as in `boxIou`.
 * Runs are compared without decoding, and only where the boxes overlap.
 *
 * @throws DatasetError when the masks' sizes differ.
 */
export function rleIou(
  detections: readonly Rle[],
  groundTruth: readonly Rle[],
  isCrowd: ArrayLike<number>,
): Float64Array {
  const iou = boxIou(detections.flatMap(rleToBox), groundTruth.flatMap(rleToBox), isCrowd);
  const dtArea = detections.map(rleArea);
  const gtArea = groundTruth.map(rleArea);
  detections.forEach((dt, i) => {
    groundTruth.forEach((gt, j) => {
      const at = i * groundTruth.length + j;
      if (dt.size.height !== gt.size.height || dt.size.width !== gt.size.width) {
        throw new DatasetError(
          `rleIou: masks must be of one size, got detection ${i} of ${dt.size.height} x ${dt.size.width} and ` +
            `ground truth ${j} of ${gt.size.height} x ${gt.size.width} (height x width).`,
        );
      }
      if (iou[at]! > 0) {
        const both = runsIntersection(dt.counts, gt.counts);
        iou[at] = both === 0 ? 0 : both / (isCrowd[j] ? dtArea[i]! : dtArea[i]! + gtArea[j]! - both);
      }
    });
  });
  return iou;
}

/** Returns the number of pixels that two masks of one image share, from their `counts`. */
export function runsIntersection(a: Uint32Array, b: Uint32Array): number {
  let i = 1;
  let j = 1;
  if (a.length < 2 || b.length < 2) return 0;
  let startA = a[0]!;
  let startB = b[0]!;
  let endA = startA + a[1]!;
  let endB = startB + b[1]!;
  let both = 0;
  while (true) {
    const start = startA > startB ? startA : startB;
    const end = endA < endB ? endA : endB;
    if (end > start) both += end - start;
    if (endA < endB) {
      i += 2;
      if (i >= a.length) return both;
      startA = endA + a[i - 1]!;
      endA = startA + a[i]!;
    } else {
      j += 2;
      if (j >= b.length) return both;
      startB = endB + b[j - 1]!;
      endB = startB + b[j]!;
    }
  }
}
