/** A convolution with its optional norm, named as in torchvision's Conv2dNormActivation. */
import type { Tensor4D } from "@tensorflow/tfjs-core";
import { ConfigError } from "@mrcnn/core";
import type { Random } from "@mrcnn/core";
import { conv2d } from "./conv2d.ts";
import type { Conv2dOptions } from "./conv2d.ts";
import { initConv2d } from "./init.ts";
import type { Init } from "./init.ts";
import { convNorm, initNorm } from "./norm.ts";
import type { Norm, NormParams } from "./norm.ts";
import type { Conv2dParams } from "./params.ts";

/**
 * A convolution and its optional norm. Parameter names end in `0.weight` and `1.weight`, as in torchvision's
 * Conv2dNormActivation.
 */
export type ConvLayer = readonly [Conv2dParams, NormParams?];

/** Options of the norms of layers that have them. */
export interface LayerNormOptions {
  /** Kind of the norms, which the parameters don't tell. */
  readonly norm?: Norm;
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number;
  /** Number of groups of group norm. Default 32. */
  readonly groups?: number;
  /**
   * "batch" normalizes by the statistics of the batch, to train ordinary batch norm (see `convNorm`). Default
   * "running".
   */
  readonly statistics?: "running" | "batch";
}

/** Creates a convolution of `size` × `size`. With `norm` it is followed by that norm and has no bias. */
export function initConvLayer(
  { size, inChannels, outChannels }: { size: number; inChannels: number; outChannels: number },
  random: Random,
  { init, norm }: { init: Init; norm?: Norm | undefined },
): ConvLayer {
  const conv = initConv2d({ size, inChannels, outChannels }, random, { init, bias: norm === undefined });
  return norm === undefined ? [conv] : [conv, initNorm(norm, outChannels)];
}

/**
 * Applies `conv2d`, or `convNorm` where the layer has a norm; `x` and the result are as there.
 *
 * @throws ConfigError, naming `where` as the caller, when the layer has a norm and `norm` doesn't say which
 * kind.
 */
export function applyConvLayer(
  [conv, params]: ConvLayer,
  x: Tensor4D,
  { norm, eps, groups, statistics, ...options }: Omit<Conv2dOptions, "groups"> & LayerNormOptions,
  where: string,
): Tensor4D {
  if (params === undefined) return conv2d(conv, x, options);
  if (norm === undefined)
    throw new ConfigError(`${where}: the convolutions have norms; say which kind as \`norm\`.`);
  return convNorm(conv, params, x, {
    ...options,
    kind: norm,
    ...(eps !== undefined && { eps }),
    ...(groups !== undefined && { groups }),
    ...(statistics && { statistics }),
  });
}
