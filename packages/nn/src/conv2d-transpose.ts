/** Transposed 2-D convolution, as torch.nn.ConvTranspose2d. */
import {
  concat,
  conv2dTranspose as tfConv2dTranspose,
  reshape,
  slice,
  tidy,
  transpose,
} from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor2D, Tensor4D } from "@tensorflow/tfjs-core";
import { assertShape, ShapeError } from "@mrcnn/core";
import { affine } from "./dense.ts";
import { finish } from "./finish.ts";
import type { Conv2dParams } from "./params.ts";

/** Options of a transposed convolution; both axes are treated alike. */
export interface Conv2dTransposeOptions {
  readonly stride: number;
  /** Pixels cut off each of the four sides of the output, as in torch. Default 0. */
  readonly padding?: number;
  readonly activation?: "relu";
}

/**
 * Computes a transposed convolution plus `bias`, then the activation: `x` [B, H, W, in] with `weight`
 * [s, s, out, in] gives [B, H', W', out], H' = (H - 1) stride + s - 2 padding, as torch.nn.ConvTranspose2d.
 *
 * @throws ShapeError when the channels don't match or the filter is not square, at least as large as the
 * stride.
 */
export function conv2dTranspose(
  params: Conv2dParams,
  x: Tensor4D,
  { stride, padding = 0, activation }: Conv2dTransposeOptions,
): Tensor4D {
  const [size, filterWidth, , inChannels] = params.weight.shape;
  if (size < stride || filterWidth !== size) {
    throw new ShapeError(
      `conv2dTranspose: weight must have shape [s, s, *, *] with s at least the stride ${stride}, got [${params.weight.shape.join(", ")}].`,
    );
  }
  assertShape(x, [null, null, null, inChannels], "conv2dTranspose", "x");
  return tidy(() =>
    size === stride && padding === 0 ?
      interleaved(params, x, activation)
    : overlapping(params, x, stride, padding, activation),
  );
}

function overlapping(
  { weight, bias }: Conv2dParams,
  x: Tensor4D,
  stride: number,
  padding: number,
  activation: "relu" | undefined,
): Tensor4D {
  const [batch, height, width] = x.shape;
  const [size, , outChannels] = weight.shape;
  const full = (length: number): number => (length - 1) * stride + size;
  const spread = tfConv2dTranspose(
    x,
    weight as Tensor4D,
    [batch, full(height), full(width), outChannels],
    stride,
    "valid",
  );
  const cut = slice(
    spread,
    [0, padding, padding, 0],
    [batch, full(height) - 2 * padding, full(width) - 2 * padding, outChannels],
  );
  return finish(cut, bias, activation);
}

/**
 * The case of a stride equal to the filter's size. As no two outputs overlap, it is one matrix product per
 * row of the filter, whose results are interleaved: nothing is scattered, and nothing as large as `x` is
 * transposed.
 */
function interleaved({ weight, bias }: Conv2dParams, x: Tensor4D, activation: "relu" | undefined): Tensor4D {
  const [size, , outChannels, inChannels] = weight.shape;
  const [batch, height, width] = x.shape;
  const rows = reshape(x, [batch * height * width, inChannels]) as Tensor2D;
  const row = size * outChannels;
  const byRow = transpose(reshape(weight, [size, row, inChannels]), [0, 2, 1]);
  const biasRow = bias && (concat(Array<Tensor1D>(size).fill(bias)) as Tensor1D);
  const outputs = Array.from({ length: size }, (_, i) => {
    const own = reshape(slice(byRow, [i, 0, 0], [1, inChannels, row]), [inChannels, row]) as Tensor2D;
    return reshape(affine(rows, own, biasRow, activation), [batch * height, width * row]);
  });
  return reshape(concat(outputs, 1), [batch, height * size, width * size, outChannels]) as Tensor4D;
}
