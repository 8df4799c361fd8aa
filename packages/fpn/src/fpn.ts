import { add, tidy } from "@tensorflow/tfjs-core";
import type { Tensor4D } from "@tensorflow/tfjs-core";
import { ConfigError, ShapeError } from "@mrcnn/core";
import type { FeatureMaps, Random } from "@mrcnn/core";
import { conv2d, convNorm, initConv2d, initNorm, maxPool, upsampleNearest } from "@mrcnn/nn";
import type { Conv2dOptions, Conv2dParams, Norm, NormParams } from "@mrcnn/nn";

/** The size of a feature pyramid. */
export interface FpnConfig {
  /** Channels of the backbone's maps, finest first. */
  readonly inChannels: readonly number[];
  /** Channels of every map of the pyramid; the paper's 256. */
  readonly outChannels: number;
  /** After every convolution, which then has no bias (torchvision's v2 detectors). Default none. */
  readonly norm?: Norm;
}

type LayerParams = readonly [Conv2dParams, NormParams?];

/** Under torchvision's names: `inner_blocks.0.0.weight` is the 1 × 1 on the finest map, `inner_blocks.0.1.weight` its norm's. */
export type FpnParams = {
  readonly inner_blocks: readonly LayerParams[];
  readonly layer_blocks: readonly LayerParams[];
};

/** Random weights, kaiming uniform with gain 1 and zero biases, as torchvision. */
export function initFpn(config: FpnConfig, random: Random): FpnParams {
  const { inChannels, outChannels, norm } = config;
  const layer = (size: number, channels: number): LayerParams => {
    const conv = initConv2d({ size, inChannels: channels, outChannels }, random, { init: "kaiming_uniform_fan_in", bias: norm === undefined });
    return norm === undefined ? [conv] : [conv, initNorm(norm, outChannels)];
  };
  return {
    inner_blocks: inChannels.map((channels) => layer(1, channels)),
    layer_blocks: inChannels.map(() => layer(3, outChannels)),
  };
}

/** Of the norms, where there are any. */
export interface FpnOptions {
  /** The config's. */
  readonly norm?: Norm;
  /** Default 1e-5. */
  readonly eps?: number;
  /** "batch" trains ordinary batch norm (see `convNorm`). Default "running". */
  readonly statistics?: "running" | "batch";
}

/**
 * The feature pyramid (Lin et al. 2017) over the backbone's maps, finest first ("c2".."c5"): each
 * coarser level, resized to the finer map by nearest neighbour, is added to a 1 × 1 of it, then a
 * 3 × 3. The last level is every second pixel of the one before. Returns "p2".."p6", all
 * [B, H, W, outChannels]; torchvision's FeaturePyramidNetwork with LastLevelMaxPool.
 *
 * @throws ShapeError when the number of maps is not the number of blocks; ConfigError when blocks have norms of no kind.
 */
export function applyFpn(params: FpnParams, features: FeatureMaps, { norm: kind, eps, statistics }: FpnOptions = {}): FeatureMaps {
  const maps = [...features.values()];
  if (maps.length !== params.inner_blocks.length) {
    throw new ShapeError(`applyFpn: features must hold ${params.inner_blocks.length} maps, got ${maps.length}.`);
  }
  const apply = ([conv, norm]: LayerParams, x: Tensor4D, options: Conv2dOptions): Tensor4D => {
    if (norm === undefined) return conv2d(conv, x, options);
    if (kind === undefined) throw new ConfigError("applyFpn: the blocks have norms; say which kind as `norm`.");
    return convNorm(conv, norm, x, { ...options, kind, ...(eps !== undefined && { eps }), ...(statistics && { statistics }) });
  };
  const first = Number([...features.keys()][0]!.slice(1));
  const levels = tidy(() => {
    const results: Tensor4D[] = [];
    let inner: Tensor4D | undefined;
    for (let i = maps.length - 1; i >= 0; i--) {
      const lateral = apply(params.inner_blocks[i]!, maps[i]!, {});
      const [, height, width] = lateral.shape;
      const merged: Tensor4D = inner === undefined ? lateral : add(lateral, upsampleNearest(inner, { height, width }));
      results.unshift(apply(params.layer_blocks[i]!, merged, { padding: 1 }));
      inner = merged;
    }
    return [...results, maxPool(results.at(-1)!, { size: 1, stride: 2 })];
  });
  return new Map(levels.map((level, i) => [`p${first + i}`, level]));
}
