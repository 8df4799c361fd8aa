import * as v from "valibot";
import { ConfigError, parseConfig } from "@mrcnn/core";
import type { Norm } from "@mrcnn/nn";
import { configDefaults } from "./defaults.ts";
import type { Architecture, Numerics } from "./numerics.ts";

/** Which boxes are positive or negative, and how many are sampled per image. */
export interface SamplingConfig {
  /** IoU from which a box is positive. */
  readonly high: number;
  /** IoU below which a box is negative. */
  readonly low: number;
  /** Sampled boxes per image. */
  readonly batchSize: number;
  /** At most this share of the sample is positive. */
  readonly positiveFraction: number;
}

/** Proposals kept per level before, and in all after, non-maximum suppression. */
export interface TopKConfig {
  /** Per level, before. */
  readonly preNmsTopK: number;
  /** Per image, after. */
  readonly postNmsTopK: number;
}

/** Of a head's convolutions; without, they have biases. */
export type HeadNorm = Norm | "none";

/**
 * The whole of Mask R-CNN on one screen. The defaults noted are the paper's (section 3.1) with
 * torchvision's numerics; other numerics and architectures have some of their own
 * (`defaults.ts`). Sizes are pixels of the network input.
 */
export interface MaskRcnnConfig {
  /** Names of the classes, label 1 first; the background is not named. */
  readonly classes: readonly string[];
  /** Whose arithmetic is followed: that of the library the weights were trained with. Default "torchvision". */
  readonly numerics: Numerics;
  /** Where regions read their features: a pyramid, conv4 with conv5 as head, or dilated conv5. Default "fpn". */
  readonly architecture: Architecture;
  /** false gives Faster R-CNN: boxes without masks. Default true. */
  readonly mask: boolean;
  /** Names of an object's keypoints (the paper's section 5); none, the default, builds no keypoint head. */
  readonly keypoints: readonly string[];
  /** How photos become the network's input. */
  readonly image: {
    /** Order of the input's channels. Default "rgb". */
    readonly channelOrder: "rgb" | "bgr";
    /** Value of white before the mean is taken off. Default 1. */
    readonly range: 1 | 255;
    /** In that order and range. Default ImageNet's. */
    readonly mean: readonly [number, number, number];
    readonly std: readonly [number, number, number];
    /** The shorter edge is resized to this (800), unless the longer would exceed `maxSize` (1333). */
    readonly minSize: number;
    readonly maxSize: number;
    /** Batches are padded to a multiple of this. Default 32. */
    readonly divisor: number;
  };
  /** The ResNet that gives c2..c5. */
  readonly backbone: {
    /** Of the ResNet. Default 50. */
    readonly depth: 18 | 34 | 50 | 101 | 152;
    /** Channels of the first stage; 64 is the standard network, 32 half of it. */
    readonly width: number;
    /** Groups of the 3x3 convolutions: 32 is ResNeXt. Default 1. */
    readonly cardinality: number;
    /** Channels of such a group in the first stage. Default 64. */
    readonly widthPerGroup: number;
    /** Whether a stage's stride is in its first 1x1 (the paper's, Caffe2's) or in its 3x3. Default false. */
    readonly strideIn1x1: boolean;
    /** Default "frozen_batch_norm". */
    readonly norm: "frozen_batch_norm" | "batch_norm" | "group_norm";
    /** Groups of group norm. Default 32. */
    readonly groups: number;
    /** Added to the variance (1e-5); torchvision's released detectors use 0 with frozen batch norm. */
    readonly eps: number;
    /** Stages trained, counted from the last: 5 trains all; 3, the default, freezes the stem and layer1. */
    readonly trainableLayers: 0 | 1 | 2 | 3 | 4 | 5;
  };
  /** The feature pyramid; of no meaning to other architectures. */
  readonly fpn: {
    /** Channels of p2..p6. Default 256. */
    readonly channels: number;
    /** Default "none". */
    readonly norm: HeadNorm;
  };
  /** The boxes that the region proposal network starts from, centred on every cell of every level. */
  readonly anchors: {
    /** One list per level p2..p6 (c4, dc5: one list), all of one length: side lengths in pixels. Default 32, 64, 128, 256, 512. */
    readonly sizes: readonly (readonly number[])[];
    /** Heights over widths, the same on every level. Default 1/2, 1, 2. */
    readonly aspectRatios: readonly number[];
  };
  /** The region proposal network. */
  readonly rpn: {
    /** 3x3 convolutions before the outputs. Default 1. */
    readonly convs: number;
    /** Their channels; as many as the features have by default. */
    readonly channels: number | undefined;
    /** Default 2000 and 2000. */
    readonly training: TopKConfig;
    /** Default 1000 and 1000. */
    readonly detection: TopKConfig;
    /** Default 0.7. */
    readonly nmsThreshold: number;
    /** Proposals with a shorter side are dropped. Default 1e-3. */
    readonly minSize: number;
    /** Default 0.7, 0.3, 256, 0.5. */
    readonly targets: SamplingConfig;
  };
  /** The box head, and what counts as a detection. */
  readonly box: {
    /** Bins of RoIAlign per side. Default 7. */
    readonly poolSize: number;
    /** Channels of 3x3 convolutions; with any, one fully connected layer follows instead of two. Default none. */
    readonly layers: readonly number[];
    /** Of those convolutions. Default "none". */
    readonly norm: HeadNorm;
    /** Width of the fully connected layers. Default 1024. */
    readonly representation: number;
    /** Of the box coder: deltas are multiplied by these. Default 10, 10, 5, 5. */
    readonly weights: readonly [number, number, number, number];
    /** Default 0.5, 0.5, 512, 0.25. */
    readonly targets: SamplingConfig;
    /** Default 0.05. */
    readonly scoreThreshold: number;
    /** Default 0.5. */
    readonly nmsThreshold: number;
    /** Default 100. */
    readonly maxDetections: number;
    /** Default 1e-2. */
    readonly minSize: number;
  };
  /** The mask head; not built when `mask` is false. */
  readonly maskHead: {
    /** Bins of RoIAlign per side; masks have twice as many pixels. Default 14. */
    readonly poolSize: number;
    /** Channels of each 3x3 convolution. Default four of 256. */
    readonly layers: readonly number[];
    /** Default "none". */
    readonly norm: HeadNorm;
    /** Channels of the deconvolution. Default 256. */
    readonly channels: number;
  };
  /** The keypoint head; not built without `keypoints`. */
  readonly keypointHead: {
    /** Bins of RoIAlign per side; heatmaps have four times as many pixels. Default 14. */
    readonly poolSize: number;
    /** Channels of each 3x3 convolution. Default eight of 512. */
    readonly layers: readonly number[];
  };
  /** How the heads read their features. */
  readonly roiAlign: {
    /** Sampling points per bin and axis; 0 = ceil(roi / bin). Default 2. */
    readonly samplingRatio: number;
    /** Shifts by half a pixel; torchvision's detectors do not. Default false. */
    readonly aligned: boolean;
  };
}

/** Any part of it. */
export type Partially<T> = T extends readonly unknown[] ? T : T extends object ? { readonly [K in keyof T]?: Partially<T[K]> | undefined } : T;
/** What a caller writes: everything but `classes` may be left out. */
export type MaskRcnnOptions = Partially<Omit<MaskRcnnConfig, "classes">> & Pick<MaskRcnnConfig, "classes">;

const whole = v.pipe(v.number(), v.integer(), v.minValue(1));
const notNegative = v.pipe(v.number(), v.minValue(0));
const positive = v.pipe(v.number(), v.gtValue(0));
const fraction = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
const triple = v.pipe(v.array(v.number()), v.length(3));
const headNorm = v.picklist(["none", "frozen_batch_norm", "batch_norm", "group_norm"]);
const sampling = (d: SamplingConfig) =>
  v.optional(
    v.strictObject({
      high: v.optional(fraction, d.high),
      low: v.optional(fraction, d.low),
      batchSize: v.optional(whole, d.batchSize),
      positiveFraction: v.optional(fraction, d.positiveFraction),
    }),
    {},
  );
const topK = (d: TopKConfig) =>
  v.optional(v.strictObject({ preNmsTopK: v.optional(whole, d.preNmsTopK), postNmsTopK: v.optional(whole, d.postNmsTopK) }), {});

const numerics = ["torchvision", "detectron2", "matterport"] as const;
const architectures = ["fpn", "c4", "dc5"] as const;

// Lists are copied, so that no config holds the defaults themselves.
function schemaWith(ownNumerics: Numerics, architecture: Architecture): v.GenericSchema<MaskRcnnOptions, MaskRcnnConfig> {
  const d = configDefaults(ownNumerics, architecture);
  return v.strictObject({
    classes: v.pipe(v.array(v.string()), v.minLength(1)),
    numerics: v.optional(v.picklist(numerics), ownNumerics),
    architecture: v.optional(v.picklist(architectures), architecture),
    mask: v.optional(v.boolean(), d.mask),
    keypoints: v.optional(v.array(v.string()), [...d.keypoints]),
    image: v.optional(
      v.strictObject({
        channelOrder: v.optional(v.picklist(["rgb", "bgr"]), d.image.channelOrder),
        range: v.optional(v.picklist([1, 255]), d.image.range),
        mean: v.optional(triple, [...d.image.mean]),
        std: v.optional(v.pipe(v.array(positive), v.length(3)), [...d.image.std]),
        minSize: v.optional(whole, d.image.minSize),
        maxSize: v.optional(whole, d.image.maxSize),
        divisor: v.optional(whole, d.image.divisor),
      }),
      {},
    ),
    backbone: v.optional(
      v.strictObject({
        depth: v.optional(v.picklist([18, 34, 50, 101, 152]), d.backbone.depth),
        width: v.optional(whole, d.backbone.width),
        cardinality: v.optional(whole, d.backbone.cardinality),
        widthPerGroup: v.optional(whole, d.backbone.widthPerGroup),
        strideIn1x1: v.optional(v.boolean(), d.backbone.strideIn1x1),
        norm: v.optional(v.picklist(["frozen_batch_norm", "batch_norm", "group_norm"]), d.backbone.norm),
        groups: v.optional(whole, d.backbone.groups),
        eps: v.optional(notNegative, d.backbone.eps),
        trainableLayers: v.optional(v.picklist([0, 1, 2, 3, 4, 5]), d.backbone.trainableLayers),
      }),
      {},
    ),
    fpn: v.optional(v.strictObject({ channels: v.optional(whole, d.fpn.channels), norm: v.optional(headNorm, d.fpn.norm) }), {}),
    anchors: v.optional(
      v.strictObject({
        sizes: v.optional(
          v.pipe(v.array(v.pipe(v.array(positive), v.minLength(1))), v.length(architecture === "fpn" ? 5 : 1)),
          d.anchors.sizes.map((sizes) => [...sizes]),
        ),
        aspectRatios: v.optional(v.pipe(v.array(positive), v.minLength(1)), [...d.anchors.aspectRatios]),
      }),
      {},
    ),
    rpn: v.optional(
      v.strictObject({
        convs: v.optional(whole, d.rpn.convs),
        channels: v.optional(whole, d.rpn.channels as number),
        training: topK(d.rpn.training),
        detection: topK(d.rpn.detection),
        nmsThreshold: v.optional(fraction, d.rpn.nmsThreshold),
        minSize: v.optional(notNegative, d.rpn.minSize),
        targets: sampling(d.rpn.targets),
      }),
      {},
    ),
    box: v.optional(
      v.strictObject({
        poolSize: v.optional(whole, d.box.poolSize),
        layers: v.optional(v.array(whole), [...d.box.layers]),
        norm: v.optional(headNorm, d.box.norm),
        representation: v.optional(whole, d.box.representation),
        weights: v.optional(v.pipe(v.array(positive), v.length(4)), [...d.box.weights]),
        targets: sampling(d.box.targets),
        scoreThreshold: v.optional(fraction, d.box.scoreThreshold),
        nmsThreshold: v.optional(fraction, d.box.nmsThreshold),
        maxDetections: v.optional(whole, d.box.maxDetections),
        minSize: v.optional(notNegative, d.box.minSize),
      }),
      {},
    ),
    maskHead: v.optional(
      v.strictObject({
        poolSize: v.optional(whole, d.maskHead.poolSize),
        layers: v.optional(v.array(whole), [...d.maskHead.layers]),
        norm: v.optional(headNorm, d.maskHead.norm),
        channels: v.optional(whole, d.maskHead.channels),
      }),
      {},
    ),
    keypointHead: v.optional(
      v.strictObject({
        poolSize: v.optional(whole, d.keypointHead.poolSize),
        layers: v.optional(v.pipe(v.array(whole), v.minLength(1)), [...d.keypointHead.layers]),
      }),
      {},
    ),
    roiAlign: v.optional(
      v.strictObject({
        samplingRatio: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), d.roiAlign.samplingRatio),
        aligned: v.optional(v.boolean(), d.roiAlign.aligned),
      }),
      {},
    ),
  }) as v.GenericSchema<unknown> as v.GenericSchema<MaskRcnnOptions, MaskRcnnConfig>;
}

/** The schema of MaskRcnnConfig for `value`, whose numerics and architecture decide the defaults; to nest in others (`v.lazy`). */
export function maskRcnnConfigSchema(value: unknown): v.GenericSchema<MaskRcnnOptions, MaskRcnnConfig> {
  const given = (value ?? {}) as { numerics?: unknown; architecture?: unknown };
  const oneOf = <T extends string>(known: readonly T[], name: unknown): T => known.find((one) => one === name) ?? known[0]!;
  return schemaWith(oneOf(numerics, given.numerics), oneOf(architectures, given.architecture));
}

/**
 * Checks a config and fills in its defaults.
 *
 * @throws ConfigError naming the path of each unknown key or wrong value; `where` is the file or argument.
 */
export function parseMaskRcnnConfig(value: unknown, where: string): MaskRcnnConfig {
  const config = parseConfig(maskRcnnConfigSchema(value), value, where);
  const { classes, image, backbone, anchors, rpn, box } = config;
  const complain = (text: string): never => {
    throw new ConfigError(`${where}: ${text}`);
  };
  if (new Set(classes).size !== classes.length) complain(`classes must differ, got ${classes.join(", ")}.`);
  if (image.minSize > image.maxSize) complain(`image.minSize must be at most image.maxSize, got ${image.minSize} and ${image.maxSize}.`);
  if (backbone.norm === "group_norm" && backbone.width % backbone.groups !== 0) {
    complain(`backbone.width must be a multiple of backbone.groups, got ${backbone.width} and ${backbone.groups}.`);
  }
  if (backbone.cardinality > 1 && backbone.depth < 50) complain(`backbone.cardinality needs a depth of 50 or more, got depth ${backbone.depth}.`);
  if (config.architecture === "c4" && (box.layers.length > 0 || config.numerics === "matterport")) {
    complain(`architecture "c4" has conv5 as its box head; it takes neither box.layers nor numerics "matterport".`);
  }
  if (config.architecture !== "c4" && config.mask && config.maskHead.layers.length === 0) complain(`maskHead.layers must hold at least one, except with architecture "c4".`);
  if (config.architecture === "c4" && config.keypoints.length > 0) complain(`architecture "c4" has no keypoint head; use "fpn".`);
  if (config.numerics === "matterport" && (config.architecture !== "fpn" || config.keypoints.length > 0)) {
    complain(`numerics "matterport" knows architecture "fpn" without keypoints only.`);
  }
  if (anchors.sizes.some((sizes) => sizes.length !== anchors.sizes[0]!.length)) {
    complain(`anchors.sizes must list as many sizes on each level, got ${anchors.sizes.map((sizes) => sizes.length).join(", ")}.`);
  }
  for (const [name, { high, low }] of [["rpn", rpn.targets], ["box", box.targets]] as const) {
    if (low > high) complain(`${name}.targets.low must be at most high, got ${low} and ${high}.`);
  }
  return config;
}

/**
 * Builds a config from what differs from the defaults.
 *
 * @throws ConfigError as `parseMaskRcnnConfig`.
 */
export function maskRcnnConfig(options: MaskRcnnOptions): MaskRcnnConfig {
  return parseMaskRcnnConfig(options, "maskRcnnConfig");
}
