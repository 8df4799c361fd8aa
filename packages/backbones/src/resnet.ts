import { add, tidy } from "@tensorflow/tfjs-core";
import type { Tensor4D } from "@tensorflow/tfjs-core";
import { ConfigError } from "@mrcnn/core";
import type { FeatureMaps, Random } from "@mrcnn/core";
import { convNorm, initConv2d, initNorm, maxPool, relu } from "@mrcnn/nn";
import type { Conv2dParams, ConvNormOptions, Norm, NormParams } from "@mrcnn/nn";

/** Layers with weights, the classifier's included. */
export type ResnetDepth = 18 | 34 | 50 | 101 | 152;

/** A ResNet (He et al. 2015) as torchvision builds it: the stride of a bottleneck is in its 3 × 3. */
export interface ResnetConfig {
  readonly depth: ResnetDepth;
  readonly norm: Norm;
  /** Channels of the stem and of the first stage's 3 × 3; default 64, the paper's. */
  readonly width?: number;
  /** Groups of `group_norm`; default 32. Must divide `width`. */
  readonly groups?: number;
  /** Default 1e-5; torchvision's COCO detectors with frozen batch norm want 0. */
  readonly eps?: number;
  /** How many of [layer4, layer3, layer2, layer1, stem] are trained, from the deepest; default 5, all. */
  readonly trainableLayers?: 0 | 1 | 2 | 3 | 4 | 5;
}

type DownsampleParams = readonly [Conv2dParams, NormParams];

/** A residual block under torchvision's names; a basic block has no third convolution. */
export type BlockParams = {
  readonly conv1: Conv2dParams;
  readonly bn1: NormParams;
  readonly conv2: Conv2dParams;
  readonly bn2: NormParams;
  readonly conv3?: Conv2dParams;
  readonly bn3?: NormParams;
  readonly downsample?: DownsampleParams;
};

/** Everything of torchvision's ResNet but its classifier, under its names. */
export type ResnetParams = {
  readonly conv1: Conv2dParams;
  readonly bn1: NormParams;
  readonly layer1: readonly BlockParams[];
  readonly layer2: readonly BlockParams[];
  readonly layer3: readonly BlockParams[];
  readonly layer4: readonly BlockParams[];
};

const BLOCKS: Readonly<Record<ResnetDepth, readonly [number, number, number, number]>> = {
  18: [2, 2, 2, 2],
  34: [3, 4, 6, 3],
  50: [3, 4, 6, 3],
  101: [3, 4, 23, 3],
  152: [3, 8, 36, 3],
};

const expansionOf = (depth: ResnetDepth): number => (depth >= 50 ? 4 : 1);

/** Channels of c2, c3, c4 and c5. */
export function resnetChannels(config: Pick<ResnetConfig, "depth" | "width">): [number, number, number, number] {
  const { depth, width = 64 } = config;
  const c2 = width * expansionOf(depth);
  return [c2, 2 * c2, 4 * c2, 8 * c2];
}

/**
 * Random weights: convolutions kaiming normal (fan out), norms the identity, as torchvision.
 *
 * @throws ConfigError when the depth is unknown or the groups don't divide the width.
 */
export function initResnet(config: ResnetConfig, random: Random): ResnetParams {
  const { depth, norm, width = 64, groups = 32, trainableLayers = 5 } = config;
  const blocks = BLOCKS[depth];
  if (blocks === undefined) throw new ConfigError(`initResnet: depth must be one of ${Object.keys(BLOCKS).join(", ")}, got ${depth}.`);
  if (norm === "group_norm" && width % groups !== 0) {
    throw new ConfigError(`initResnet: groups must divide the width ${width}, got ${groups}. Choose fewer groups or another width.`);
  }
  const expansion = expansionOf(depth);

  const conv = (size: number, inChannels: number, outChannels: number, trainable: boolean): Conv2dParams =>
    initConv2d({ size, inChannels, outChannels }, random, { init: "kaiming_normal_fan_out", bias: false, trainable });

  const block = (inChannels: number, planes: number, stride: number, trainable: boolean): BlockParams => {
    const bn = (channels: number): NormParams => initNorm(norm, channels, { trainable });
    const outChannels = planes * expansion;
    const downsample = (stride !== 1 || inChannels !== outChannels) && {
      downsample: [conv(1, inChannels, outChannels, trainable), bn(outChannels)] as const,
    };
    if (expansion === 1) {
      return {
        conv1: conv(3, inChannels, planes, trainable),
        bn1: bn(planes),
        conv2: conv(3, planes, planes, trainable),
        bn2: bn(planes),
        ...downsample,
      };
    }
    return {
      conv1: conv(1, inChannels, planes, trainable),
      bn1: bn(planes),
      conv2: conv(3, planes, planes, trainable),
      bn2: bn(planes),
      conv3: conv(1, planes, outChannels, trainable),
      bn3: bn(outChannels),
      ...downsample,
    };
  };

  const stage = (index: number): BlockParams[] => {
    const planes = width << index;
    const before = index === 0 ? width : (planes / 2) * expansion;
    const trainable = trainableLayers >= 4 - index;
    return Array.from({ length: blocks[index]! }, (_, i) =>
      block(i === 0 ? before : planes * expansion, planes, strideOf(index, i), trainable),
    );
  };
  const trainsStem = trainableLayers === 5;
  return {
    conv1: conv(7, 3, width, trainsStem),
    bn1: initNorm(norm, width, { trainable: trainsStem }),
    layer1: stage(0),
    layer2: stage(1),
    layer3: stage(2),
    layer4: stage(3),
  };
}

const strideOf = (stage: number, block: number): number => (stage > 0 && block === 0 ? 2 : 1);

/**
 * Runs the network on `x` [B, H, W, 3] and returns c2 to c5, at strides 4, 8, 16 and 32; each side is
 * rounded up at every halving. `statistics: "batch"` trains ordinary batch norm (see `convNorm`).
 */
export function applyResnet(
  params: ResnetParams,
  config: ResnetConfig,
  x: Tensor4D,
  { statistics = "running" }: { statistics?: "running" | "batch" } = {},
): FeatureMaps {
  const { norm: kind, groups = 32, eps = 1e-5 } = config;
  const shared = { kind, groups, eps, statistics } satisfies ConvNormOptions;

  const applyBlock = (block: BlockParams, input: Tensor4D, stride: number): Tensor4D =>
    tidy(() => {
      const isBottleneck = block.conv3 !== undefined;
      let y = convNorm(block.conv1, block.bn1, input, {
        ...shared,
        activation: "relu",
        ...(isBottleneck ? {} : { stride, padding: 1 }),
      });
      if (isBottleneck) {
        y = convNorm(block.conv2, block.bn2, y, { ...shared, activation: "relu", stride, padding: 1 });
        y = convNorm(block.conv3!, block.bn3!, y, shared);
      } else y = convNorm(block.conv2, block.bn2, y, { ...shared, padding: 1 });
      const shortcut = block.downsample === undefined ? input : convNorm(...block.downsample, input, { ...shared, stride });
      return relu(add(y, shortcut));
    });

  const maps: Tensor4D[] = tidy(() => {
    const stem = convNorm(params.conv1, params.bn1, x, { ...shared, activation: "relu", stride: 2, padding: 3 });
    let y = maxPool(stem, { size: 3, stride: 2, padding: 1 });
    return [params.layer1, params.layer2, params.layer3, params.layer4].map((blocks, stage) => {
      blocks.forEach((block, i) => {
        y = applyBlock(block, y, strideOf(stage, i));
      });
      return y;
    });
  });
  return new Map(maps.map((map, i) => [`c${i + 2}`, map]));
}
