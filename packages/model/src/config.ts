import * as v from "valibot";
import { ConfigError, parseConfig } from "@mrcnn/core";

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

/**
 * The whole of Mask R-CNN on one screen. Defaults are the paper's (section 3.1) with torchvision's
 * numerics; sizes are pixels of the network input.
 */
export interface MaskRcnnConfig {
  /** Names of the classes, label 1 first; the background is not named. */
  readonly classes: readonly string[];
  /** false gives Faster R-CNN: boxes without masks. Default true. */
  readonly mask: boolean;
  /** How photos become the network's input. */
  readonly image: {
    /** Of RGB in 0..1. Default ImageNet's. */
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
    /** Default "frozen_batch_norm". */
    readonly norm: "frozen_batch_norm" | "batch_norm" | "group_norm";
    /** Groups of group norm. Default 32. */
    readonly groups: number;
    /** Added to the variance (1e-5); torchvision's released detectors use 0 with frozen batch norm. */
    readonly eps: number;
    /** Stages trained, counted from the last: 5 trains all; 3, the default, freezes the stem and layer1. */
    readonly trainableLayers: 0 | 1 | 2 | 3 | 4 | 5;
  };
  /** Channels of p2..p6. Default 256. */
  readonly fpn: { readonly channels: number };
  /** The boxes that the region proposal network starts from, centred on every cell of every level. */
  readonly anchors: {
    /** One list per level p2..p6, all of one length: side lengths in pixels. Default 32, 64, 128, 256, 512. */
    readonly sizes: readonly (readonly number[])[];
    /** Heights over widths, the same on every level. Default 1/2, 1, 2. */
    readonly aspectRatios: readonly number[];
  };
  /** The region proposal network. */
  readonly rpn: {
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
    /** Width of the two fully connected layers. Default 1024. */
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
    /** Channels of the deconvolution. Default 256. */
    readonly channels: number;
  };
  /** How both heads read their features. */
  readonly roiAlign: {
    /** Sampling points per bin and axis; 0 = ceil(roi / bin). Default 2. */
    readonly samplingRatio: number;
    /** Shifts by half a pixel; torchvision's detectors do not. Default false. */
    readonly aligned: boolean;
  };
}

type Partially<T> = T extends readonly unknown[] ? T : T extends object ? { readonly [K in keyof T]?: Partially<T[K]> | undefined } : T;
/** What a caller writes: everything but `classes` may be left out. */
export type MaskRcnnOptions = Partially<Omit<MaskRcnnConfig, "classes">> & Pick<MaskRcnnConfig, "classes">;

const whole = v.pipe(v.number(), v.integer(), v.minValue(1));
const notNegative = v.pipe(v.number(), v.minValue(0));
const positive = v.pipe(v.number(), v.gtValue(0));
const fraction = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
const triple = v.pipe(v.array(v.number()), v.length(3));
const sampling = (high: number, low: number, batchSize: number, positiveFraction: number) =>
  v.optional(
    v.strictObject({
      high: v.optional(fraction, high),
      low: v.optional(fraction, low),
      batchSize: v.optional(whole, batchSize),
      positiveFraction: v.optional(fraction, positiveFraction),
    }),
    {},
  );
const topK = (preNmsTopK: number, postNmsTopK: number) =>
  v.optional(v.strictObject({ preNmsTopK: v.optional(whole, preNmsTopK), postNmsTopK: v.optional(whole, postNmsTopK) }), {});

/** The schema of MaskRcnnConfig, to nest in others. */
export const maskRcnnConfigSchema: v.GenericSchema<MaskRcnnOptions, MaskRcnnConfig> = v.strictObject({
  classes: v.pipe(v.array(v.string()), v.minLength(1)),
  mask: v.optional(v.boolean(), true),
  image: v.optional(
    v.strictObject({
      mean: v.optional(triple, [0.485, 0.456, 0.406]),
      std: v.optional(v.pipe(v.array(positive), v.length(3)), [0.229, 0.224, 0.225]),
      minSize: v.optional(whole, 800),
      maxSize: v.optional(whole, 1333),
      divisor: v.optional(whole, 32),
    }),
    {},
  ),
  backbone: v.optional(
    v.strictObject({
      depth: v.optional(v.picklist([18, 34, 50, 101, 152]), 50),
      width: v.optional(whole, 64),
      norm: v.optional(v.picklist(["frozen_batch_norm", "batch_norm", "group_norm"]), "frozen_batch_norm"),
      groups: v.optional(whole, 32),
      eps: v.optional(notNegative, 1e-5),
      trainableLayers: v.optional(v.picklist([0, 1, 2, 3, 4, 5]), 3),
    }),
    {},
  ),
  fpn: v.optional(v.strictObject({ channels: v.optional(whole, 256) }), {}),
  anchors: v.optional(
    v.strictObject({
      sizes: v.optional(v.pipe(v.array(v.pipe(v.array(positive), v.minLength(1))), v.length(5)), [[32], [64], [128], [256], [512]]),
      aspectRatios: v.optional(v.pipe(v.array(positive), v.minLength(1)), [0.5, 1, 2]),
    }),
    {},
  ),
  rpn: v.optional(
    v.strictObject({
      training: topK(2000, 2000),
      detection: topK(1000, 1000),
      nmsThreshold: v.optional(fraction, 0.7),
      minSize: v.optional(notNegative, 1e-3),
      targets: sampling(0.7, 0.3, 256, 0.5),
    }),
    {},
  ),
  box: v.optional(
    v.strictObject({
      poolSize: v.optional(whole, 7),
      representation: v.optional(whole, 1024),
      weights: v.optional(v.pipe(v.array(positive), v.length(4)), [10, 10, 5, 5]),
      targets: sampling(0.5, 0.5, 512, 0.25),
      scoreThreshold: v.optional(fraction, 0.05),
      nmsThreshold: v.optional(fraction, 0.5),
      maxDetections: v.optional(whole, 100),
      minSize: v.optional(notNegative, 1e-2),
    }),
    {},
  ),
  maskHead: v.optional(
    v.strictObject({
      poolSize: v.optional(whole, 14),
      layers: v.optional(v.pipe(v.array(whole), v.minLength(1)), [256, 256, 256, 256]),
      channels: v.optional(whole, 256),
    }),
    {},
  ),
  roiAlign: v.optional(
    v.strictObject({
      samplingRatio: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 2),
      aligned: v.optional(v.boolean(), false),
    }),
    {},
  ),
}) as v.GenericSchema<unknown> as v.GenericSchema<MaskRcnnOptions, MaskRcnnConfig>;

/**
 * Checks a config and fills in its defaults.
 *
 * @throws ConfigError naming the path of each unknown key or wrong value; `where` is the file or argument.
 */
export function parseMaskRcnnConfig(value: unknown, where: string): MaskRcnnConfig {
  const config = parseConfig(maskRcnnConfigSchema, value, where);
  const { classes, image, backbone, anchors, rpn, box } = config;
  const complain = (text: string): never => {
    throw new ConfigError(`${where}: ${text}`);
  };
  if (new Set(classes).size !== classes.length) complain(`classes must differ, got ${classes.join(", ")}.`);
  if (image.minSize > image.maxSize) complain(`image.minSize must be at most image.maxSize, got ${image.minSize} and ${image.maxSize}.`);
  if (backbone.norm === "group_norm" && backbone.width % backbone.groups !== 0) {
    complain(`backbone.width must be a multiple of backbone.groups, got ${backbone.width} and ${backbone.groups}.`);
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
