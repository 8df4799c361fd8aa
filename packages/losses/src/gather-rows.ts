/** Differentiable selection of rows, and the loss of no samples. */
import {
  customGrad,
  gather,
  scalar,
  scatterND,
  tensor1d,
  tensor2d,
  tidy,
  zeros,
} from "@tensorflow/tfjs-core";
import type { Scalar, Tensor, Tensor2D } from "@tensorflow/tfjs-core";

/**
 * Returns rows of `x` [N, C] by index, each at most once. The gradient is one scatter: TensorFlow.js's own
 * gather differentiates through a segment sum that is slow or absent on some backends.
 */
export function gatherRows(x: Tensor2D, indices: Int32Array): Tensor2D {
  const shape = x.shape;
  const op = customGrad((rows) => ({
    value: gather(rows as Tensor2D, tensor1d(indices, "int32")),
    gradFunc: (dy) => tidy(() => scatterND(tensor2d(indices, [indices.length, 1], "int32"), dy, shape)),
  }));
  return tidy(() => op(x) as Tensor2D);
}

/**
 * Returns an exact 0, whatever `x` holds, whose gradient with respect to `x` is 0: the loss of no samples.
 */
export function connectedZero(x: Tensor): Scalar {
  const shape = x.shape;
  const op = customGrad(() => ({ value: scalar(0), gradFunc: () => zeros(shape) }));
  return tidy(() => op(x) as Scalar);
}
