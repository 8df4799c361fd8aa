import {
  add,
  div,
  expandDims,
  maximum,
  minimum,
  mul,
  relu,
  slice,
  squeeze,
  sub,
  tidy,
} from "@tensorflow/tfjs-core";
import type { Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import { assertShape } from "@mrcnn/core";
import type { Boxes } from "@mrcnn/core";
import { boxArea, boxAreaOnHost } from "./area.ts";

const f = Math.fround;

/**
 * Intersection over union of every pair of xyxy boxes: [N, 4] and [M, 4] to [N, M], in [0, 1].
 * Two empty boxes give NaN, as in torchvision's `box_iou`.
 */
export function pairwiseIou(a: Boxes, b: Boxes): Tensor2D {
  assertShape(a, [null, 4], "pairwiseIou", "a");
  assertShape(b, [null, 4], "pairwiseIou", "b");
  return tidy(() => {
    const left = expandDims(a, 1) as Tensor3D; // [N, 1, 4]
    const right = expandDims(b, 0) as Tensor3D; // [1, M, 4]
    const corner = (boxes: Tensor3D, from: number): Tensor3D => slice(boxes, [0, 0, from], [-1, -1, 2]);
    const sides = relu(
      sub(minimum(corner(left, 2), corner(right, 2)), maximum(corner(left, 0), corner(right, 0))),
    ) as Tensor3D;
    const side = (axis: number): Tensor2D => squeeze(slice(sides, [0, 0, axis], [-1, -1, 1]), [2]);
    const overlap = mul(side(0), side(1));
    const areas = add(expandDims(boxArea(a), 1), expandDims(boxArea(b), 0));
    return div(overlap, sub(areas, overlap));
  });
}

/**
 * Intersection over union of every pair of xyxy boxes: [N * 4] and [M * 4] to [N * M], row-major,
 * rounded as torchvision's float32 `box_iou`. Two empty boxes give NaN.
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
