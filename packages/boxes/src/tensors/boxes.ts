/**
 * Operations on boxes as tensors [N, 4]: area, IoU, clipping and the box coder, as torchvision's, for code
 * that is differentiated or stays on the device.
 */
import {
  add,
  concat,
  div,
  exp,
  expandDims,
  log,
  maximum,
  minimum,
  mul,
  relu,
  slice,
  squeeze,
  sub,
  tensor1d,
  tidy,
  unstack,
} from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import { assertShape } from "@mrcnn/core";
import type { ImageSize } from "@mrcnn/core";
import type { Boxes } from "@mrcnn/core/tensors";
import { MAX_LOG_SCALE } from "../box-coder.ts";
import type { BoxCoderWeights } from "../box-coder.ts";

/** Returns the areas of xyxy boxes: float32 [N, 4] to [N], in square pixels. Negative when one side is. */
export function boxArea(boxes: Boxes): Tensor1D {
  assertShape(boxes, [null, 4], "boxArea", "boxes");
  return tidy(() => {
    const [x1, y1, x2, y2] = unstack(boxes, 1) as [Tensor1D, Tensor1D, Tensor1D, Tensor1D];
    return mul(sub(x2, x1), sub(y2, y1));
  });
}

interface CentersAndSizes {
  readonly centers: Tensor2D;
  readonly sizes: Tensor2D;
}

function centersAndSizes(boxes: Boxes): CentersAndSizes {
  const low = slice(boxes, [0, 0], [-1, 2]);
  const sizes = sub(slice(boxes, [0, 2], [-1, 2]), low) as Tensor2D;
  return { centers: add(low, mul(0.5, sizes)), sizes };
}

/**
 * Returns the transformation of `reference` into `boxes`, both xyxy [N, 4], as deltas (dx, dy, dw, dh) [N, 4]
 * with `dx = wx (x - xr) / wr`, `dw = ww ln(w / wr)` of centres and sizes (R-CNN's parametrisation;
 * torchvision's BoxCoder). Sides must be positive.
 */
export function encodeBoxes(boxes: Boxes, reference: Boxes, weights: BoxCoderWeights): Tensor2D {
  assertShape(boxes, [null, 4], "encodeBoxes", "boxes");
  assertShape(reference, boxes.shape, "encodeBoxes", "reference");
  return tidy(() => {
    const to = centersAndSizes(boxes);
    const from = centersAndSizes(reference);
    const shift = div(
      mul(tensor1d(weights.slice(0, 2)), sub(to.centers, from.centers)),
      from.sizes,
    ) as Tensor2D;
    const growth = mul(tensor1d(weights.slice(2)), log(div(to.sizes, from.sizes))) as Tensor2D;
    return concat([shift, growth], 1);
  });
}

/**
 * Applies deltas (dx, dy, dw, dh) to `reference` boxes, all [N, 4]: the inverse of `encodeBoxes`, except that
 * dw and dh are bounded by ln(1000 / 16). Returns xyxy boxes, not clipped to any image.
 */
export function decodeBoxes(deltas: Tensor2D, reference: Boxes, weights: BoxCoderWeights): Boxes {
  assertShape(deltas, [null, 4], "decodeBoxes", "deltas");
  assertShape(reference, deltas.shape, "decodeBoxes", "reference");
  return tidy(() => {
    const { centers, sizes } = centersAndSizes(reference);
    const scaled = div(deltas, tensor1d([...weights])) as Tensor2D;
    const center = add(mul(slice(scaled, [0, 0], [-1, 2]), sizes), centers);
    const half = mul(0.5, mul(exp(minimum(slice(scaled, [0, 2], [-1, 2]), MAX_LOG_SCALE)), sizes));
    return concat([sub(center, half) as Tensor2D, add(center, half) as Tensor2D], 1);
  });
}

/** Clips xyxy boxes [N, 4] to [0, width] and [0, height]. */
export function clipBoxes(boxes: Boxes, size: ImageSize): Boxes {
  assertShape(boxes, [null, 4], "clipBoxes", "boxes");
  const { height, width } = size;
  return tidy(() => minimum(maximum(boxes, 0), tensor1d([width, height, width, height])));
}

/**
 * Computes the intersection over union of every pair of xyxy boxes: [N, 4] and [M, 4] to [N, M], in [0, 1].
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
