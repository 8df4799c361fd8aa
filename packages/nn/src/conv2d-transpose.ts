import { concat, reshape, slice, tidy, transpose } from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor2D, Tensor4D } from "@tensorflow/tfjs-core";
import { assertShape, ShapeError } from "@mrcnn/core";
import { affine } from "./dense.ts";
import type { Conv2dParams } from "./params.ts";

/**
 * Transposed convolution whose stride is the size of its filter (the mask head's 2 × 2), plus
 * `bias`, then the activation: `x` [B, H, W, in] with `weight` [s, s, out, in] gives
 * [B, s H, s W, out]. torch.nn.ConvTranspose2d(kernel_size=s, stride=s).
 *
 * As no two outputs overlap it is one matrix product per row of the filter, and the products'
 * rows interleaved: no scattering, no transposing of anything as large as x.
 *
 * @throws ShapeError when the channels don't match or the filter's size is not the stride.
 */
export function conv2dTranspose(
  params: Conv2dParams,
  x: Tensor4D,
  { stride, activation }: { stride: number; activation?: "relu" },
): Tensor4D {
  const [size, filterWidth, outChannels, inChannels] = params.weight.shape;
  if (size !== stride || filterWidth !== stride) {
    throw new ShapeError(`conv2dTranspose: weight must have shape [${stride}, ${stride}, *, *] for stride ${stride}, got [${params.weight.shape.join(", ")}].`);
  }
  assertShape(x, [null, null, null, inChannels], "conv2dTranspose", "x");
  const [batch, height, width] = x.shape;
  return tidy(() => {
    const rows = reshape(x, [batch * height * width, inChannels]) as Tensor2D;
    const row = size * outChannels;
    const byRow = transpose(reshape(params.weight, [size, row, inChannels]), [0, 2, 1]);
    const { bias } = params;
    const biasRow = bias && (concat(Array<Tensor1D>(size).fill(bias)) as Tensor1D);
    const outputs = Array.from({ length: size }, (_, i) => {
      const weight = reshape(slice(byRow, [i, 0, 0], [1, inChannels, row]), [inChannels, row]) as Tensor2D;
      return reshape(affine(rows, weight, biasRow, activation), [batch * height, width * row]);
    });
    return reshape(concat(outputs, 1), [batch, height * size, width * size, outChannels]) as Tensor4D;
  });
}
