/** The feature pyramid network (Lin et al. 2017), as torchvision's FeaturePyramidNetwork. */
import { tidy } from "@tensorflow/tfjs-core";
import type { Tensor4D } from "@tensorflow/tfjs-core";
import { ShapeError } from "@mrcnn/core";
import { hasKernel } from "@mrcnn/core/tensors";
import type { Random } from "@mrcnn/core";
import type { FeatureMaps } from "@mrcnn/core/tensors";
import { applyConvLayer, initConvLayer, maxPool, upsampleAdd, upsampleNearest } from "@mrcnn/nn";
import type { ConvLayer, LayerNormOptions, Norm } from "@mrcnn/nn";
import { upsampleAddContract } from "@mrcnn/nn/kernel";

/** The size of a feature pyramid. */
export interface FpnConfig {
  /** Channels of the backbone's maps, finest first. */
  readonly inChannels: readonly number[];
  /** Channels of every map of the pyramid; the paper's 256. */
  readonly outChannels: number;
  /** Norm after every convolution, which then has no bias (torchvision's v2 detectors). Default none. */
  readonly norm?: Norm;
}

/**
 * Parameters of the pyramid under torchvision's names: `inner_blocks.0.0.weight` is the 1 × 1 convolution of
 * the finest map, `inner_blocks.0.1.weight` that of its norm.
 */
export type FpnParams = {
  readonly inner_blocks: readonly ConvLayer[];
  readonly layer_blocks: readonly ConvLayer[];
};

/** Creates random weights, kaiming uniform with gain 1 and zero biases, as torchvision. */
export function initFpn(config: FpnConfig, random: Random): FpnParams {
  const { inChannels, outChannels, norm } = config;
  const layer = (size: number, channels: number): ConvLayer =>
    initConvLayer({ size, inChannels: channels, outChannels }, random, {
      init: "kaiming_uniform_fan_in",
      norm,
    });
  return {
    inner_blocks: inChannels.map((channels) => layer(1, channels)),
    layer_blocks: inChannels.map(() => layer(3, outChannels)),
  };
}

/**
 * Applies the feature pyramid to the backbone's maps, finest first ("c2".."c5"): each coarser level, enlarged
 * by nearest neighbours, is added to a 1 × 1 convolution of the next finer map; a 3 × 3 convolution follows.
 * The last level is every second pixel of the one before. Returns "p2".."p6", all [B, H, W, outChannels]. As
 * torchvision's FeaturePyramidNetwork with LastLevelMaxPool.
 *
 * @throws ShapeError when the number of maps is not the number of blocks; ConfigError when blocks have norms
 * and `options.norm` doesn't say which kind.
 */
export function applyFpn(
  params: FpnParams,
  features: FeatureMaps,
  options: LayerNormOptions = {},
): FeatureMaps {
  const maps = [...features.values()];
  if (maps.length !== params.inner_blocks.length) {
    throw new ShapeError(
      `applyFpn: features must hold ${params.inner_blocks.length} maps, got ${maps.length}.`,
    );
  }
  const first = Number([...features.keys()][0]!.slice(1));
  const levels = tidy(() => {
    const results: Tensor4D[] = [];
    let inner: Tensor4D | undefined;
    for (let i = maps.length - 1; i >= 0; i--) {
      const map = maps[i]!;
      const [, height, width] = map.shape;
      const coarser = inner;
      const merged = tidy(() => {
        const lateral = (addend?: Tensor4D): Tensor4D =>
          applyConvLayer(params.inner_blocks[i]!, map, { ...options, addend }, "applyFpn");
        if (coarser === undefined) return lateral();
        // Without that kernel, one for the convolution may include the addition.
        return hasKernel(upsampleAddContract, {}) ?
            upsampleAdd(coarser, lateral())
          : lateral(upsampleNearest(coarser, { height, width }));
      });
      results.unshift(
        applyConvLayer(params.layer_blocks[i]!, merged, { ...options, padding: 1 }, "applyFpn"),
      );
      inner = merged;
    }
    return [...results, maxPool(results.at(-1)!, { size: 1, stride: 2 })];
  });
  return new Map(levels.map((level, i) => [`p${first + i}`, level]));
}
