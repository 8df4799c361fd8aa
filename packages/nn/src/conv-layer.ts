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

/** A convolution and, where there is one, its norm: names end in `0.weight` and `1.weight`, as in torchvision's Conv2dNormActivation. */
export type ConvLayer = readonly [Conv2dParams, NormParams?];

/** How the norms of layers are computed, where there are any. */
export interface LayerNormOptions {
  /** Their kind, which parameters don't tell. */
  readonly norm?: Norm;
  /** Default 1e-5. */
  readonly eps?: number;
  /** Groups of group norm. Default 32. */
  readonly groups?: number;
  /** "batch" trains ordinary batch norm (see `convNorm`). Default "running". */
  readonly statistics?: "running" | "batch";
}

/** A convolution of `size` × `size`; with `norm` that follows it, and it has no bias. */
export function initConvLayer(
  { size, inChannels, outChannels }: { size: number; inChannels: number; outChannels: number },
  random: Random,
  { init, norm }: { init: Init; norm?: Norm | undefined },
): ConvLayer {
  const conv = initConv2d({ size, inChannels, outChannels }, random, { init, bias: norm === undefined });
  return norm === undefined ? [conv] : [conv, initNorm(norm, outChannels)];
}

/**
 * `conv2d`, or `convNorm` where the layer has a norm; `x` and the result as there.
 *
 * @throws ConfigError, calling itself `where`, when the layer has a norm and `norm` doesn't say which.
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
