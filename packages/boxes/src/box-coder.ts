import { add, concat, div, exp, log, minimum, mul, slice, sub, tensor1d, tidy } from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import { assertLength, assertShape } from "@mrcnn/core";
import type { Boxes } from "@mrcnn/core";

const f = Math.fround;

/** Factors on (dx, dy, dw, dh): [1, 1, 1, 1] in torchvision's RPN, [10, 10, 5, 5] in its box head. */
export type BoxCoderWeights = readonly [wx: number, wy: number, ww: number, wh: number];

// Growth by more than 1000 / 16 would send exp too far; the bound is torchvision's and detectron2's.
const MAX_LOG_SCALE = Math.log(1000 / 16);

/** Of decoding. */
export interface DecodeOptions {
  /** dw and dh are held below this; Infinity lets them be (matterport). Default ln(1000 / 16). */
  readonly maxLogScale?: number;
  /**
   * The order of float32 operations: torchvision's (and detectron2's), the default, divides by the weights and adds half
   * the size on both sides of the centre; matterport's multiplies by 1 / weight, and its far corner is the near one plus
   * the size.
   */
  readonly rounding?: "torchvision" | "matterport";
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
 * What moves `reference` onto `boxes`, both xyxy [N, 4]: deltas (dx, dy, dw, dh) [N, 4] with
 * `dx = wx (x - xr) / wr`, `dw = ww ln(w / wr)` of centres and sizes (R-CNN's parametrisation;
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
 * Applies deltas (dx, dy, dw, dh) to `reference` boxes, all [N, 4]: the inverse of `encodeBoxes`,
 * except that dw and dh are held below ln(1000 / 16). Returns xyxy boxes, not clipped to any image.
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

/** `encodeBoxes` on flat arrays [N * 4], rounded step by step as torchvision's float32. */
export function encodeBoxesOnHost(
  boxes: Float32Array,
  reference: Float32Array,
  weights: BoxCoderWeights,
): Float32Array {
  assertLength(reference, boxes.length, "encodeBoxesOnHost", "reference");
  const deltas = new Float32Array(boxes.length);
  for (let i = 0; i < deltas.length; i += 4) {
    for (let axis = 0; axis < 2; axis++) {
      const from = reference[i + axis]!;
      const fromSize = f(reference[i + axis + 2]! - from);
      const to = boxes[i + axis]!;
      const toSize = f(boxes[i + axis + 2]! - to);
      const shift = f(f(to + f(0.5 * toSize)) - f(from + f(0.5 * fromSize)));
      deltas[i + axis] = f(f(weights[axis]!) * shift) / fromSize;
      deltas[i + axis + 2] = f(weights[axis + 2]!) * f(Math.log(f(toSize / fromSize)));
    }
  }
  return deltas;
}

/** `decodeBoxes` on flat arrays [N * 4], rounded step by step as torchvision's (or matterport's) float32. */
export function decodeBoxesOnHost(
  deltas: Float32Array,
  reference: Float32Array,
  weights: BoxCoderWeights,
  { maxLogScale = MAX_LOG_SCALE, rounding = "torchvision" }: DecodeOptions = {},
): Float32Array {
  assertLength(reference, deltas.length, "decodeBoxesOnHost", "reference");
  const boxes = new Float32Array(deltas.length);
  const most = f(maxLogScale);
  const scale = (delta: number, weight: number): number =>
    rounding === "torchvision" ? f(delta / f(weight)) : f(delta * f(1 / weight));
  for (let i = 0; i < boxes.length; i += 4) {
    for (let axis = 0; axis < 2; axis++) {
      const from = reference[i + axis]!;
      const fromSize = f(reference[i + axis + 2]! - from);
      const shift = scale(deltas[i + axis]!, weights[axis]!);
      const growth = Math.min(scale(deltas[i + axis + 2]!, weights[axis + 2]!), most);
      const center = f(f(shift * fromSize) + f(from + f(0.5 * fromSize)));
      const size = f(f(Math.exp(growth)) * fromSize);
      const half = f(0.5 * size);
      boxes[i + axis] = center - half;
      boxes[i + axis + 2] = rounding === "torchvision" ? center + half : boxes[i + axis]! + size;
    }
  }
  return boxes;
}
