/**
 * The box coder (R-CNN's parametrisation) over typed arrays, as torchvision's BoxCoder and matterport's
 * apply_box_deltas.
 */
import { assertLength } from "@mrcnn/core";

const f = Math.fround;

/** Factors on (dx, dy, dw, dh): [1, 1, 1, 1] in torchvision's RPN, [10, 10, 5, 5] in its box head. */
export type BoxCoderWeights = readonly [wx: number, wy: number, ww: number, wh: number];

// Largest log growth of a side; beyond a factor of 1000 / 16 exp would grow too large. torchvision's and
// detectron2's bound.
export const MAX_LOG_SCALE: number = Math.log(1000 / 16);

/** Options of decoding. */
export interface DecodeOptions {
  /** Upper bound on dw and dh; Infinity leaves them unbounded (matterport). Default ln(1000 / 16). */
  readonly maxLogScale?: number;
  /**
   * The order of float32 operations. "torchvision" (and detectron2) divides by the weights and adds half the
   * size on both sides of the centre; "matterport" multiplies by 1 / weight and computes the far corner as
   * the near one plus the size. Default "torchvision".
   */
  readonly rounding?: "torchvision" | "matterport";
}

/** Computes `encodeBoxes` over typed arrays [N * 4], each step rounded as torchvision's float32. */
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

/**
 * Computes `decodeBoxes` over typed arrays [N * 4], each step rounded as torchvision's (or matterport's)
 * float32.
 */
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
