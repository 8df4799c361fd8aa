import { add, tidy } from "@tensorflow/tfjs-core";
import type { Tensor4D } from "@tensorflow/tfjs-core";
import { ShapeError } from "@mrcnn/core";
import type { FeatureMaps, Random } from "@mrcnn/core";
import { conv2d, initConv2d, maxPool, upsampleNearest } from "@mrcnn/nn";
import type { Conv2dParams } from "@mrcnn/nn";

/** The size of a feature pyramid. */
export interface FpnConfig {
  /** Channels of the backbone's maps, finest first. */
  readonly inChannels: readonly number[];
  /** Channels of every map of the pyramid; the paper's 256. */
  readonly outChannels: number;
}

/** Under torchvision's names: `inner_blocks.0.0.weight` is the 1 × 1 on the finest map. */
export type FpnParams = {
  readonly inner_blocks: readonly (readonly [Conv2dParams])[];
  readonly layer_blocks: readonly (readonly [Conv2dParams])[];
};

/** Random weights, kaiming uniform with gain 1 and zero biases, as torchvision. */
export function initFpn(config: FpnConfig, random: Random): FpnParams {
  const { inChannels, outChannels } = config;
  const init = "kaiming_uniform_fan_in" as const;
  return {
    inner_blocks: inChannels.map((channels) => [initConv2d({ size: 1, inChannels: channels, outChannels }, random, { init })]),
    layer_blocks: inChannels.map(() => [initConv2d({ size: 3, inChannels: outChannels, outChannels }, random, { init })]),
  };
}

/**
 * The feature pyramid (Lin et al. 2017) over the backbone's maps, finest first ("c2".."c5"): each
 * coarser level, resized to the finer map by nearest neighbour, is added to a 1 × 1 of it, then a
 * 3 × 3. The last level is every second pixel of the one before. Returns "p2".."p6", all
 * [B, H, W, outChannels]; torchvision's FeaturePyramidNetwork with LastLevelMaxPool.
 *
 * @throws ShapeError when the number of maps is not the number of blocks.
 */
export function applyFpn(params: FpnParams, features: FeatureMaps): FeatureMaps {
  const maps = [...features.values()];
  if (maps.length !== params.inner_blocks.length) {
    throw new ShapeError(`applyFpn: features must hold ${params.inner_blocks.length} maps, got ${maps.length}.`);
  }
  const first = Number([...features.keys()][0]!.slice(1));
  const levels = tidy(() => {
    const results: Tensor4D[] = [];
    let inner: Tensor4D | undefined;
    for (let i = maps.length - 1; i >= 0; i--) {
      const lateral = conv2d(params.inner_blocks[i]![0], maps[i]!);
      const [, height, width] = lateral.shape;
      const merged: Tensor4D = inner === undefined ? lateral : add(lateral, upsampleNearest(inner, { height, width }));
      results.unshift(conv2d(params.layer_blocks[i]![0], merged, { padding: 1 }));
      inner = merged;
    }
    return [...results, maxPool(results.at(-1)!, { size: 1, stride: 2 })];
  });
  return new Map(levels.map((level, i) => [`p${first + i}`, level]));
}
