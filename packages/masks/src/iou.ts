import { assertLength, DatasetError } from "@mrcnn/core";
import type { Rle } from "@mrcnn/core";
import { rleToBox } from "./rle.ts";

/**
 * Pairwise IoU of boxes (x, y, width, height), flat, in double: [N * M], one row per detection.
 * For a crowd (`isCrowd[j]` not 0) the union is the detection alone, as in COCO: any part of a crowd may be found.
 */
export function boxIou(detections: ArrayLike<number>, groundTruth: ArrayLike<number>, isCrowd: ArrayLike<number>): Float64Array {
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
 * Pairwise IoU of masks of one image: [N * M], one row per detection; crowds as in `boxIou`. Runs are
 * walked side by side, never decoded, and only where the boxes overlap.
 *
 * @throws DatasetError when sizes differ.
 */
export function rleIou(detections: readonly Rle[], groundTruth: readonly Rle[], isCrowd: ArrayLike<number>): Float64Array {
  const iou = boxIou(detections.flatMap(rleToBox), groundTruth.flatMap(rleToBox), isCrowd);
  detections.forEach((dt, i) => {
    groundTruth.forEach((gt, j) => {
      const at = i * groundTruth.length + j;
      if (dt.size.height !== gt.size.height || dt.size.width !== gt.size.width) {
        throw new DatasetError(
          `rleIou: masks must be of one size, got detection ${i} of ${dt.size.height} x ${dt.size.width} and ` +
            `ground truth ${j} of ${gt.size.height} x ${gt.size.width} (height x width).`,
        );
      }
      if (iou[at]! > 0) iou[at] = pairIou(dt.counts, gt.counts, Boolean(isCrowd[j]));
    });
  });
  return iou;
}

function pairIou(a: Uint32Array, b: Uint32Array, crowd: boolean): number {
  let i = 0;
  let j = 0;
  let endA = a[0]!;
  let endB = b[0]!;
  let at = 0;
  let both = 0;
  let either = 0;
  let areaA = 0;
  while (true) {
    const next = endA < endB ? endA : endB;
    const inA = i & 1;
    const inB = j & 1;
    const n = next - at;
    if (inA & inB) both += n;
    if (inA | inB) either += n;
    if (inA) areaA += n;
    at = next;
    if (endA === at) {
      if (++i < a.length) endA += a[i]!;
      else break;
    }
    if (endB === at) {
      if (++j < b.length) endB += b[j]!;
      else break;
    }
  }
  return both === 0 ? 0 : both / (crowd ? areaA : either);
}
