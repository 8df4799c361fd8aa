import * as v from "valibot";
import { ConfigError, parseConfig } from "@mrcnn/core";

const whole = v.pipe(v.number(), v.integer(), v.minValue(1));
const positive = v.pipe(v.number(), v.minValue(0));
const fraction = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
const triple = v.pipe(v.array(v.number()), v.length(3));
const sampling = (high: number, low: number, batchSize: number, positiveFraction: number) =>
  v.optional(
    v.strictObject({
      /** IoU from which a box is positive. */
      high: v.optional(fraction, high),
      /** IoU below which a box is negative. */
      low: v.optional(fraction, low),
      /** Sampled boxes per image. */
      batchSize: v.optional(whole, batchSize),
      positiveFraction: v.optional(fraction, positiveFraction),
    }),
    {},
  );
const topK = (preNmsTopK: number, postNmsTopK: number) =>
  v.optional(v.strictObject({ preNmsTopK: v.optional(whole, preNmsTopK), postNmsTopK: v.optional(whole, postNmsTopK) }), {});

/**
 * The whole of Mask R-CNN on one screen. Defaults are the paper's (section 3.1) with torchvision's
 * numerics; sizes are pixels of the network input.
 */
export const maskRcnnConfigSchema = v.strictObject({
  /** Names of the classes, label 1 first; the background is not named. */
  classes: v.pipe(v.array(v.string()), v.minLength(1)),
  /** false gives Faster R-CNN: boxes without masks. */
  mask: v.optional(v.boolean(), true),
  image: v.optional(
    v.strictObject({
      mean: v.optional(triple, [0.485, 0.456, 0.406]),
      std: v.optional(triple, [0.229, 0.224, 0.225]),
      /** The shorter edge is resized to this, unless the longer would exceed `maxSize`. */
      minSize: v.optional(whole, 800),
      maxSize: v.optional(whole, 1333),
      /** Batches are padded to a multiple of this. */
      divisor: v.optional(whole, 32),
    }),
    {},
  ),
  backbone: v.optional(
    v.strictObject({
      depth: v.optional(v.picklist([18, 34, 50, 101, 152]), 50),
      /** Channels of the first stage; 64 is the standard network, 32 half of it. */
      width: v.optional(whole, 64),
      norm: v.optional(v.picklist(["frozen_batch_norm", "batch_norm", "group_norm"]), "frozen_batch_norm"),
      /** Groups of group norm. */
      groups: v.optional(whole, 32),
      /** Added to the variance; torchvision's released detectors use 0 with frozen batch norm. */
      eps: v.optional(positive, 1e-5),
      /** Stages trained, counted from the last: 5 trains all, 3 freezes the stem and layer1. */
      trainableLayers: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(5)), 3),
    }),
    {},
  ),
  fpn: v.optional(v.strictObject({ channels: v.optional(whole, 256) }), {}),
  anchors: v.optional(
    v.strictObject({
      /** One list per level p2..p6. */
      sizes: v.optional(v.pipe(v.array(v.pipe(v.array(positive), v.minLength(1))), v.length(5)), [[32], [64], [128], [256], [512]]),
      /** Heights over widths, the same on every level. */
      aspectRatios: v.optional(v.pipe(v.array(positive), v.minLength(1)), [0.5, 1, 2]),
    }),
    {},
  ),
  rpn: v.optional(
    v.strictObject({
      training: topK(2000, 2000),
      detection: topK(1000, 1000),
      nmsThreshold: v.optional(fraction, 0.7),
      minSize: v.optional(positive, 1e-3),
      targets: sampling(0.7, 0.3, 256, 0.5),
    }),
    {},
  ),
  box: v.optional(
    v.strictObject({
      poolSize: v.optional(whole, 7),
      /** Width of the two fully connected layers. */
      representation: v.optional(whole, 1024),
      /** Of the box coder: deltas are multiplied by these. */
      weights: v.optional(v.pipe(v.array(v.number()), v.length(4)), [10, 10, 5, 5]),
      targets: sampling(0.5, 0.5, 512, 0.25),
      scoreThreshold: v.optional(fraction, 0.05),
      nmsThreshold: v.optional(fraction, 0.5),
      maxDetections: v.optional(whole, 100),
      minSize: v.optional(positive, 1e-2),
    }),
    {},
  ),
  maskHead: v.optional(
    v.strictObject({
      poolSize: v.optional(whole, 14),
      /** Channels of each 3×3 convolution. */
      layers: v.optional(v.pipe(v.array(whole), v.minLength(1)), [256, 256, 256, 256]),
      /** Channels of the deconvolution. */
      channels: v.optional(whole, 256),
    }),
    {},
  ),
  roiAlign: v.optional(
    v.strictObject({
      /** Sampling points per bin and axis; 0 = ceil(roi / bin). */
      samplingRatio: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 2),
      /** Shifts by half a pixel; torchvision's detectors do not. */
      aligned: v.optional(v.boolean(), false),
    }),
    {},
  ),
});

export type MaskRcnnConfig = Readonly<v.InferOutput<typeof maskRcnnConfigSchema>>;
/** What a caller writes: everything but `classes` may be left out. */
export type MaskRcnnOptions = v.InferInput<typeof maskRcnnConfigSchema>;

/**
 * Checks a config and fills in its defaults.
 *
 * @throws ConfigError naming the path of each unknown key or wrong value; `where` is the file or argument.
 */
export function parseMaskRcnnConfig(value: unknown, where: string): MaskRcnnConfig {
  const config = parseConfig(maskRcnnConfigSchema, value, where);
  const { classes, image, box, backbone, rpn } = config;
  const complain = (text: string): never => {
    throw new ConfigError(`${where}: ${text}`);
  };
  if (new Set(classes).size !== classes.length) complain(`classes must differ, got ${classes.join(", ")}.`);
  if (image.minSize > image.maxSize) complain(`image.minSize must be at most image.maxSize, got ${image.minSize} and ${image.maxSize}.`);
  if (backbone.norm === "group_norm" && backbone.width % backbone.groups !== 0) {
    complain(`backbone.width must be a multiple of backbone.groups, got ${backbone.width} and ${backbone.groups}.`);
  }
  for (const [name, { high, low }] of [["rpn", rpn.targets], ["box", box.targets]] as const) {
    if (low > high) complain(`${name}.targets.low must be at most high, got ${low} and ${high}.`);
  }
  return config;
}

/** Builds a config from what differs from the defaults. */
export function maskRcnnConfig(options: MaskRcnnOptions): MaskRcnnConfig {
  return parseMaskRcnnConfig(options, "maskRcnnConfig");
}
