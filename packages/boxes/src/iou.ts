/** Pairwise intersection over union of boxes, in torchvision's float32. */
import { boxAreaOnHost } from "./area.ts";

const f = Math.fround;

/**
 * Computes the intersection over union of every pair of xyxy boxes: [N * 4] and [M * 4] to [N * M],
 * row-major, rounded as torchvision's float32 `box_iou`. Two empty boxes give NaN.
 */
export function pairwiseIouOnHost(a: Float32Array, b: Float32Array): Float32Array {
  const areasA = boxAreaOnHost(a);
  const areasB = boxAreaOnHost(b);
  const rows = areasA.length;
  const columns = areasB.length;
  const iou = new Float32Array(rows * columns);
  for (let i = 0, at = 0; i < rows; i++) {
    const x1 = a[i * 4]!;
    const y1 = a[i * 4 + 1]!;
    const x2 = a[i * 4 + 2]!;
    const y2 = a[i * 4 + 3]!;
    const area = areasA[i]!;
    for (let j = 0; j < columns; j++, at++) {
      const width = Math.max(0, f(Math.min(x2, b[j * 4 + 2]!) - Math.max(x1, b[j * 4]!)));
      const height = Math.max(0, f(Math.min(y2, b[j * 4 + 3]!) - Math.max(y1, b[j * 4 + 1]!)));
      const overlap = f(width * height);
      iou[at] = overlap / f(f(area + areasB[j]!) - overlap);
    }
  }
  return iou;
}
