/** The 3 × 3 convolutions that heads begin with. */
import { zeros } from "@tensorflow/tfjs-core";
import type { Tensor4D } from "@tensorflow/tfjs-core";
import { ConfigError } from "@mrcnn/core";
import { conv2d, convNorm, initNorm } from "@mrcnn/nn";
import type { Conv2dParams, Norm, NormParams } from "@mrcnn/nn";

/** A convolution and, where there is one, its norm. */
export type ConvLayer = readonly [Conv2dParams] | readonly [Conv2dParams, NormParams];

/** How the norms of a head's convolutions are computed. */
export interface HeadOptions {
  /** The config's; needed where there are norms. */
  readonly norm?: Norm;
  /** Default 1e-5. */
  readonly eps?: number;
  /** "batch" trains ordinary batch norm (see `convNorm` of @mrcnn/nn). Default "running". */
  readonly statistics?: "running" | "batch";
}

/** A convolution with the norm that follows it. */
export const initLayerNorm = (conv: Conv2dParams, norm: Norm | undefined, channels: number): ConvLayer =>
  norm === undefined ? [conv] : [conv, initNorm(norm, channels)];

/** 3 × 3 convolutions with their norms and ReLU, one after the other; `x` [R, H, W, C], R may be 0. */
export function applyConvs(layers: readonly ConvLayer[], x: Tensor4D, { norm: kind, eps, statistics }: HeadOptions, where: string): Tensor4D {
  // TensorFlow refuses to convolve an empty batch.
  if (x.shape[0] === 0 && layers.length > 0) return zeros([0, x.shape[1], x.shape[2], layers.at(-1)![0].weight.shape[3]]);
  return layers.reduce((y, [conv, norm]) => {
    if (norm === undefined) return conv2d(conv, y, { padding: 1, activation: "relu" });
    if (kind === undefined) throw new ConfigError(`${where}: the convolutions have norms; say which kind as \`norm\`.`);
    return convNorm(conv, norm, y, { kind, padding: 1, activation: "relu", ...(eps !== undefined && { eps }), ...(statistics && { statistics }) });
  }, x);
}
