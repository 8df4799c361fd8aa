/** ResNet (He et al. 2015) and ResNeXt (Xie et al. 2017) backbones, as torchvision. */
import { tidy } from "@tensorflow/tfjs-core";
import type { Tensor4D } from "@tensorflow/tfjs-core";
import { ConfigError } from "@mrcnn/core";
import { offTape } from "@mrcnn/core/tensors";
import type { Random } from "@mrcnn/core";
import type { FeatureMaps } from "@mrcnn/core/tensors";
import { convNorm, initConv2d, initNorm, inSequence, maxPool } from "@mrcnn/nn";
import type { Conv2dParams, ConvNormOptions, Norm, NormParams } from "@mrcnn/nn";

/** Depth: the number of layers with weights, including the classifier. */
export type ResnetDepth = 18 | 34 | 50 | 101 | 152;

/** The size of a ResNet (He et al. 2015) or ResNeXt (Xie et al. 2017), as torchvision's unless noted. */
export interface ResnetConfig {
  readonly depth: ResnetDepth;
  readonly norm: Norm;
  /** Channels of the stem and of the first stage's 3 × 3 convolutions. Default 64, the paper's. */
  readonly width?: number;
  /** Number of groups of a bottleneck's 3 × 3 convolution: 32 in ResNeXt. Default 1. */
  readonly cardinality?: number;
  /** Channels of each of these groups in the first stage, at width 64. Default 64. */
  readonly widthPerGroup?: number;
  /**
   * Whether a bottleneck's stride is in its first 1 × 1 convolution, as in the paper and Caffe2, or in its
   * 3 × 3. Default false.
   */
  readonly strideIn1x1?: boolean;
  /**
   * Padding of the stem's pool: "padded" (torch's, one row on each side) or TensorFlow's "same". Default
   * "padded".
   */
  readonly stemPool?: "padded" | "same";
  /** Number of stages; 3 leaves out layer4, for detectors that use it as their head (C4). Default 4. */
  readonly stages?: 3 | 4;
  /**
   * Whether layer4 keeps layer3's stride, with all of its 3 × 3 convolutions dilated by 2 (detectron2's DC5).
   * Default false.
   */
  readonly dilateLayer4?: boolean;
  /** Number of groups of `group_norm`, which must divide `width`. Default 32. */
  readonly groups?: number;
  /**
   * Added to the variance of norms; torchvision's COCO detectors with frozen batch norm need 0. Default 1e-5.
   */
  readonly eps?: number;
  /**
   * Number of layers that are trained, counted from the deepest: layer4, layer3, layer2, layer1, stem.
   * Default 5, all.
   */
  readonly trainableLayers?: 0 | 1 | 2 | 3 | 4 | 5;
}

type DownsampleParams = readonly [Conv2dParams, NormParams];

/** Parameters of a residual block under torchvision's names; a basic block has no third convolution. */
export type BlockParams = {
  readonly conv1: Conv2dParams;
  readonly bn1: NormParams;
  readonly conv2: Conv2dParams;
  readonly bn2: NormParams;
  readonly conv3?: Conv2dParams;
  readonly bn3?: NormParams;
  readonly downsample?: DownsampleParams;
};

/** Parameters of torchvision's ResNet without the classifier, under its names. */
export type ResnetParams = {
  readonly conv1: Conv2dParams;
  readonly bn1: NormParams;
  readonly layer1: readonly BlockParams[];
  readonly layer2: readonly BlockParams[];
  readonly layer3: readonly BlockParams[];
  /** The last stage; absent with `stages: 3`. */
  readonly layer4?: readonly BlockParams[];
};

/** Number of blocks of each stage, by depth. */
export const resnetBlocks: Readonly<Record<ResnetDepth, readonly [number, number, number, number]>> = {
  18: [2, 2, 2, 2],
  34: [3, 4, 6, 3],
  50: [3, 4, 6, 3],
  101: [3, 4, 23, 3],
  152: [3, 8, 36, 3],
};

const expansionOf = (depth: ResnetDepth): number => (depth >= 50 ? 4 : 1);

/** Returns the number of channels of c2, c3, c4 and c5, whether or not there is a c5. */
export function resnetChannels(
  config: Pick<ResnetConfig, "depth" | "width">,
): [number, number, number, number] {
  const { depth, width = 64 } = config;
  const c2 = width * expansionOf(depth);
  return [c2, 2 * c2, 4 * c2, 8 * c2];
}

type Stage = 0 | 1 | 2 | 3;

/**
 * Creates random weights: convolutions kaiming normal (fan out), norms the identity, as torchvision.
 *
 * @throws ConfigError when the depth is unknown, the groups don't divide the width, or a basic block should
 * be grouped.
 */
export function initResnet(config: ResnetConfig, random: Random): ResnetParams {
  const { width = 64, norm, trainableLayers = 5, stages = 4 } = config;
  const trainable = trainableLayers === 5;
  return {
    conv1: initConv2d({ size: 7, inChannels: 3, outChannels: width }, random, {
      init: "kaiming_normal_fan_out",
      bias: false,
      trainable,
    }),
    bn1: initNorm(norm, width, { trainable }),
    layer1: initResnetStage(config, 0, random),
    layer2: initResnetStage(config, 1, random),
    layer3: initResnetStage(config, 2, random),
    ...(stages === 4 && { layer4: initResnetStage(config, 3, random) }),
  };
}

/** Creates the blocks of one stage, layer1 being 0, as `initResnet` does. */
export function initResnetStage(config: ResnetConfig, stage: Stage, random: Random): BlockParams[] {
  const {
    depth,
    norm,
    width = 64,
    groups = 32,
    cardinality = 1,
    widthPerGroup = 64,
    trainableLayers = 5,
  } = config;
  const blocks = resnetBlocks[depth];
  if (blocks === undefined)
    throw new ConfigError(
      `initResnet: depth must be one of ${Object.keys(resnetBlocks).join(", ")}, got ${depth}.`,
    );
  if (norm === "group_norm" && width % groups !== 0) {
    throw new ConfigError(
      `initResnet: groups must divide the width ${width}, got ${groups}. Choose fewer groups or another width.`,
    );
  }
  const expansion = expansionOf(depth);
  if (expansion === 1 && (cardinality !== 1 || widthPerGroup !== 64)) {
    throw new ConfigError(
      `initResnet: cardinality and widthPerGroup need bottlenecks, a depth of 50 or more, got depth ${depth}.`,
    );
  }
  const trainable = trainableLayers >= 4 - stage;
  const planes = width << stage;
  const outChannels = planes * expansion;
  // The channels of a bottleneck's 3 x 3 convolution by torchvision's formula.
  const middle = expansion === 1 ? planes : Math.floor((planes * widthPerGroup) / 64) * cardinality;
  const conv = (size: number, from: number, to: number, convGroups = 1): Conv2dParams =>
    initConv2d({ size, inChannels: from, outChannels: to, groups: convGroups }, random, {
      init: "kaiming_normal_fan_out",
      bias: false,
      trainable,
    });
  const bn = (channels: number): NormParams => initNorm(norm, channels, { trainable });

  return Array.from({ length: blocks[stage]! }, (_, i) => {
    const inChannels =
      i > 0 ? outChannels
      : stage === 0 ? width
      : outChannels / 2;
    const downsample = i === 0 &&
      (stage > 0 || inChannels !== outChannels) && {
        downsample: [conv(1, inChannels, outChannels), bn(outChannels)] as const,
      };
    if (expansion === 1) {
      return {
        conv1: conv(3, inChannels, planes),
        bn1: bn(planes),
        conv2: conv(3, planes, planes),
        bn2: bn(planes),
        ...downsample,
      };
    }
    return {
      conv1: conv(1, inChannels, middle),
      bn1: bn(middle),
      conv2: conv(3, middle, middle, cardinality),
      bn2: bn(middle),
      conv3: conv(1, middle, outChannels),
      bn3: bn(outChannels),
      ...downsample,
    };
  });
}

/** Options of the computation of batch norm. */
export interface ResnetOptions {
  /**
   * "batch" normalizes by the statistics of the batch, to train ordinary batch norm (see `convNorm`). Default
   * "running".
   */
  readonly statistics?: "running" | "batch";
}

/**
 * Runs the network on `x` [B, H, W, 3] and returns c2 to c5 (c4 with `stages: 3`), at strides 4, 8, 16 and 32
 * (16 with `dilateLayer4`); each side is rounded up at every halving. Layers that `trainableLayers` excludes
 * are not recorded on a tape: no gradient reaches `x` through them.
 */
export function applyResnet(
  params: ResnetParams,
  config: ResnetConfig,
  x: Tensor4D,
  options: ResnetOptions = {},
): FeatureMaps {
  const maps: Tensor4D[] = tidy(() => {
    let y = x;
    return resnetLayers(params, config, options)
      .map(({ apply, level }) => ({ map: (y = apply(y)), level }))
      .flatMap(({ map, level }) => (level === undefined ? [] : [map]));
  });
  return new Map(maps.map((map, i) => [`c${i + 2}`, map]));
}

/** One layer of a backbone, from the previous map to its own, both [B, H, W, C]. */
export interface BackboneLayer {
  readonly name: string;
  /** Name of its map among the backbone's outputs, "c2" to "c5"; undefined for the stem. */
  readonly level: string | undefined;
  readonly apply: (x: Tensor4D) => Tensor4D;
}

/** Returns the layers that `applyResnet` applies one after the other: "stem", then "layer1" to "layer4". */
export function resnetLayers(
  params: ResnetParams,
  config: ResnetConfig,
  options: ResnetOptions = {},
): BackboneLayer[] {
  const { trainableLayers = 5 } = config;
  // Layers are counted from the deepest: layer4 is 1, the stem 5.
  const unlessFrozen =
    (layer: number, apply: (x: Tensor4D) => Tensor4D) =>
    (x: Tensor4D): Tensor4D =>
      layer > trainableLayers ? offTape(() => apply(x)) : apply(x);
  const { layer1, layer2, layer3, layer4 } = params;
  const stages = [layer1, layer2, layer3, ...(layer4 === undefined ? [] : [layer4])];
  return [
    {
      name: "stem",
      level: undefined,
      apply: unlessFrozen(5, (x) => applyResnetStem(params, config, x, options)),
    },
    ...stages.map((blocks, stage) => ({
      name: `layer${stage + 1}`,
      level: `c${stage + 2}`,
      apply: unlessFrozen(4 - stage, (x) => applyResnetStage(blocks, config, stage as Stage, x, options)),
    })),
  ];
}

/** Applies the stem to `x` [B, H, W, 3]: a 7 × 7 convolution of stride 2 and the pool. */
export function applyResnetStem(
  { conv1, bn1 }: ResnetParams,
  config: ResnetConfig,
  x: Tensor4D,
  options: ResnetOptions = {},
): Tensor4D {
  return tidy(() => {
    const stem = convNorm(conv1, bn1, x, {
      ...normOptions(config, options),
      activation: "relu",
      stride: 2,
      padding: 3,
    });
    return maxPool(stem, { size: 3, stride: 2, padding: config.stemPool === "same" ? "same" : 1 });
  });
}

/**
 * Applies one stage, layer1 being 0, to `x` [B, H, W, C], the previous stage's output, which must not be
 * empty.
 */
export function applyResnetStage(
  blocks: readonly BlockParams[],
  config: ResnetConfig,
  stage: Stage,
  x: Tensor4D,
  options: ResnetOptions = {},
): Tensor4D {
  const dilated = stage === 3 && config.dilateLayer4 === true;
  const strideOf = (i: number): number => (i === 0 && stage > 0 && !dilated ? 2 : 1);
  return inSequence(
    x,
    blocks.map((block, i) => (y) => applyBlock(block, config, y, strideOf(i), dilated ? 2 : 1, options)),
  );
}

const normOptions = (
  { norm: kind, groups = 32, eps = 1e-5 }: ResnetConfig,
  { statistics = "running" }: ResnetOptions,
): ConvNormOptions => ({
  kind,
  groups,
  eps,
  statistics,
});

function applyBlock(
  block: BlockParams,
  config: ResnetConfig,
  x: Tensor4D,
  stride: number,
  dilation: number,
  options: ResnetOptions,
): Tensor4D {
  const shared = normOptions(config, options);
  return tidy(() => {
    const shortcut =
      block.downsample === undefined ? x : convNorm(...block.downsample, x, { ...shared, stride });
    if (block.conv3 === undefined || block.bn3 === undefined) {
      const y = convNorm(block.conv1, block.bn1, x, {
        ...shared,
        activation: "relu",
        stride,
        dilation,
        padding: dilation,
      });
      return convNorm(block.conv2, block.bn2, y, {
        ...shared,
        dilation,
        padding: dilation,
        addend: shortcut,
        activation: "relu",
      });
    }
    const [first, second] = config.strideIn1x1 === true ? [stride, 1] : [1, stride];
    const narrow = convNorm(block.conv1, block.bn1, x, { ...shared, activation: "relu", stride: first });
    const { cardinality: convGroups = 1 } = config;
    const y = convNorm(block.conv2, block.bn2, narrow, {
      ...shared,
      activation: "relu",
      stride: second,
      dilation,
      padding: dilation,
      convGroups,
    });
    return convNorm(block.conv3, block.bn3, y, { ...shared, addend: shortcut, activation: "relu" });
  });
}
