/** Reads configs: their schema with its bounds, and what parts of one must agree. */
import * as v from "valibot";
import { resnetChannels } from "@mrcnn/backbones";
import { ConfigError, parseConfig } from "@mrcnn/core";
import { configDefaults } from "./defaults.ts";
import type { Architecture, Numerics } from "./numerics.ts";
import { parameterCount } from "./weight-shapes.ts";

import type { MaskRcnnConfig, MaskRcnnOptions, SamplingConfig, TopKConfig } from "./config.ts";

// What any published model has, and a sane user would want, with room to spare: a config may come with a file
// from anywhere.
const bounded = (least: number, most: number) => v.pipe(v.number(), v.minValue(least), v.maxValue(most));
const whole = (most: number, least = 1) => v.pipe(bounded(least, most), v.integer());
const listOf = <S extends v.GenericSchema>(item: S, most: number, least = 0) =>
  v.pipe(v.array(v.unknown()), v.minLength(least), v.maxLength(most), v.array(item));
/** Channels, and widths of fully connected layers. */
const channels = whole(16_384);
/** Convolutions in a row. */
const layers = listOf(channels, 64);
const poolSize = whole(128);
/** Pixels of a network input's edge. */
const edge = whole(4096);
const groups = whole(4096);
const eps = bounded(0, 1);
const fraction = bounded(0, 1);
const scale = bounded(1e-6, 1e6);
const leastSide = bounded(0, 4096);
const names = listOf(v.pipe(v.string(), v.maxLength(1000)), 65_536);
const headNorm = v.picklist(["none", "frozen_batch_norm", "batch_norm", "group_norm"]);
const normSettings = { groups: v.optional(groups), eps: v.optional(eps) };
const sampling = (d: SamplingConfig) =>
  v.optional(
    v.strictObject({
      high: v.optional(fraction, d.high),
      low: v.optional(fraction, d.low),
      batchSize: v.optional(whole(1_000_000), d.batchSize),
      positiveFraction: v.optional(fraction, d.positiveFraction),
    }),
    {},
  );
const topK = (d: TopKConfig) =>
  v.optional(
    v.strictObject({
      preNmsTopK: v.optional(whole(20_000), d.preNmsTopK),
      postNmsTopK: v.optional(whole(10_000), d.postNmsTopK),
    }),
    {},
  );

const numerics = ["torchvision", "detectron2", "matterport"] as const;
const architectures = ["fpn", "c4", "dc5"] as const;

// Lists are copied, so that no config holds the defaults themselves.
function schemaWith(
  ownNumerics: Numerics,
  architecture: Architecture,
): v.GenericSchema<MaskRcnnOptions, MaskRcnnConfig> {
  const d = configDefaults(ownNumerics, architecture);
  const levels = architecture === "fpn" ? 5 : 1;
  return v.strictObject({
    classes: v.pipe(names, v.minLength(1)),
    numerics: v.optional(v.picklist(numerics), ownNumerics),
    architecture: v.optional(v.picklist(architectures), architecture),
    mask: v.optional(v.boolean(), d.mask),
    keypoints: v.optional(v.pipe(names, v.maxLength(1000)), [...d.keypoints]),
    image: v.optional(
      v.strictObject({
        channelOrder: v.optional(v.picklist(["rgb", "bgr"]), d.image.channelOrder),
        range: v.optional(v.picklist([1, 255]), d.image.range),
        mean: v.optional(listOf(bounded(-1e6, 1e6), 3, 3), [...d.image.mean]),
        std: v.optional(listOf(scale, 3, 3), [...d.image.std]),
        minSize: v.optional(edge, d.image.minSize),
        maxSize: v.optional(edge, d.image.maxSize),
        divisor: v.optional(whole(1024), d.image.divisor),
      }),
      {},
    ),
    backbone: v.optional(
      v.strictObject({
        depth: v.optional(v.picklist([18, 34, 50, 101, 152]), d.backbone.depth),
        width: v.optional(whole(4096), d.backbone.width),
        cardinality: v.optional(whole(4096), d.backbone.cardinality),
        widthPerGroup: v.optional(whole(4096), d.backbone.widthPerGroup),
        strideIn1x1: v.optional(v.boolean(), d.backbone.strideIn1x1),
        norm: v.optional(v.picklist(["frozen_batch_norm", "batch_norm", "group_norm"]), d.backbone.norm),
        groups: v.optional(groups, d.backbone.groups),
        eps: v.optional(eps, d.backbone.eps),
        trainableLayers: v.optional(v.picklist([0, 1, 2, 3, 4, 5]), d.backbone.trainableLayers),
      }),
      {},
    ),
    fpn: v.optional(
      v.strictObject({
        channels: v.optional(channels, d.fpn.channels),
        norm: v.optional(headNorm, d.fpn.norm),
        ...normSettings,
      }),
      {},
    ),
    anchors: v.optional(
      v.strictObject({
        sizes: v.optional(
          listOf(listOf(bounded(0.1, 65_536), 64, 1), levels, levels),
          d.anchors.sizes.map((sizes) => [...sizes]),
        ),
        aspectRatios: v.optional(listOf(bounded(1e-3, 1e3), 64, 1), [...d.anchors.aspectRatios]),
      }),
      {},
    ),
    rpn: v.optional(
      v.strictObject({
        convs: v.optional(whole(64), d.rpn.convs),
        channels: v.optional(channels, d.rpn.channels as number),
        training: topK(d.rpn.training),
        detection: topK(d.rpn.detection),
        nmsThreshold: v.optional(fraction, d.rpn.nmsThreshold),
        minSize: v.optional(leastSide, d.rpn.minSize),
        targets: sampling(d.rpn.targets),
      }),
      {},
    ),
    box: v.optional(
      v.strictObject({
        poolSize: v.optional(poolSize, d.box.poolSize),
        layers: v.optional(layers, [...d.box.layers]),
        norm: v.optional(headNorm, d.box.norm),
        ...normSettings,
        representation: v.optional(whole(65_536), d.box.representation),
        weights: v.optional(listOf(bounded(1e-3, 1e4), 4, 4), [...d.box.weights]),
        targets: sampling(d.box.targets),
        scoreThreshold: v.optional(fraction, d.box.scoreThreshold),
        nmsThreshold: v.optional(fraction, d.box.nmsThreshold),
        maxDetections: v.optional(whole(10_000), d.box.maxDetections),
        minSize: v.optional(leastSide, d.box.minSize),
      }),
      {},
    ),
    maskHead: v.optional(
      v.strictObject({
        poolSize: v.optional(poolSize, d.maskHead.poolSize),
        layers: v.optional(layers, [...d.maskHead.layers]),
        norm: v.optional(headNorm, d.maskHead.norm),
        ...normSettings,
        channels: v.optional(channels, d.maskHead.channels),
      }),
      {},
    ),
    keypointHead: v.optional(
      v.strictObject({
        poolSize: v.optional(poolSize, d.keypointHead.poolSize),
        layers: v.optional(v.pipe(layers, v.minLength(1)), [...d.keypointHead.layers]),
      }),
      {},
    ),
    roiAlign: v.optional(
      v.strictObject({
        samplingRatio: v.optional(whole(16, 0), d.roiAlign.samplingRatio),
        aligned: v.optional(v.boolean(), d.roiAlign.aligned),
      }),
      {},
    ),
  }) as v.GenericSchema<unknown> as v.GenericSchema<MaskRcnnOptions, MaskRcnnConfig>;
}

/**
 * The schema of MaskRcnnConfig for `value`, whose numerics and architecture decide the defaults; to nest in
 * others (`v.lazy`).
 */
export function maskRcnnConfigSchema(value: unknown): v.GenericSchema<MaskRcnnOptions, MaskRcnnConfig> {
  const given = (value ?? {}) as { numerics?: unknown; architecture?: unknown };
  const oneOf = <T extends string>(known: readonly T[], name: unknown): T =>
    known.find((one) => one === name) ?? known[0]!;
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
  const twice = classes.find((name, i) => classes.indexOf(name) !== i);
  if (twice !== undefined) complain(`classes must differ, got ${JSON.stringify(twice)} twice.`);
  if (image.minSize > image.maxSize)
    complain(`image.minSize must be at most image.maxSize, got ${image.minSize} and ${image.maxSize}.`);
  if (backbone.norm === "group_norm" && backbone.width % backbone.groups !== 0) {
    complain(
      `backbone.width must be a multiple of backbone.groups, got ${backbone.width} and ${backbone.groups}.`,
    );
  }
  for (const [name, part] of [
    ["fpn", config.fpn],
    ["box", box],
    ["maskHead", config.maskHead],
  ] as const) {
    if (part.norm !== "group_norm") continue;
    const { groups = 32 } = part;
    const layers = "layers" in part ? part.layers : [part.channels];
    if (layers.some((channels) => channels % groups !== 0))
      complain(
        `the channels of ${name} must be multiples of ${name}.groups, got ${layers.join(", ")} and ${groups}.`,
      );
  }
  if (backbone.cardinality > 1 && backbone.depth < 50)
    complain(`backbone.cardinality needs a depth of 50 or more, got depth ${backbone.depth}.`);
  if (backbone.widthPerGroup !== 64 && backbone.depth < 50)
    complain(`backbone.widthPerGroup needs a depth of 50 or more, got depth ${backbone.depth}.`);
  if (config.architecture === "c4" && (box.layers.length > 0 || config.numerics === "matterport")) {
    complain(
      `architecture "c4" has conv5 as its box head; it takes neither box.layers nor numerics "matterport".`,
    );
  }
  if (config.architecture !== "c4" && config.mask && config.maskHead.layers.length === 0)
    complain(`maskHead.layers must hold at least one, except with architecture "c4".`);
  if (config.architecture === "c4" && config.keypoints.length > 0)
    complain(`architecture "c4" has no keypoint head; use "fpn".`);
  if (config.numerics === "matterport" && (config.architecture !== "fpn" || config.keypoints.length > 0)) {
    complain(`numerics "matterport" knows architecture "fpn" without keypoints only.`);
  }
  if (anchors.sizes.some((sizes) => sizes.length !== anchors.sizes[0]!.length)) {
    complain(
      `anchors.sizes must list as many sizes on each level, got ${anchors.sizes.map((sizes) => sizes.length).join(", ")}.`,
    );
  }
  for (const [name, { high, low }] of [
    ["rpn", rpn.targets],
    ["box", box.targets],
  ] as const) {
    if (low > high) complain(`${name}.targets.low must be at most high, got ${low} and ${high}.`);
  }
  const parameters = parameterCount(config);
  if (parameters > MOST_VALUES)
    complain(
      `the model would have ${billions(parameters)} parameters, more than the ${billions(MOST_VALUES)} that are allowed. Make its layers narrower, or fewer.`,
    );
  for (const { what, values } of largestMaps(config)) {
    if (values > MOST_VALUES)
      complain(
        `${what} would hold ${billions(values)} values, more than the ${billions(MOST_VALUES)} that are allowed. Make one of them smaller.`,
      );
  }
  return config;
}

/**
 * Values of all weights together, and of any one map in between: 4 GB of float32. Published models stay below
 * a fifth of it.
 */
const MOST_VALUES = 2 ** 30;

const billions = (count: number): string => `${(count / 1e9).toPrecision(3)} billion`;

// The maps whose size a config decides beside the weights': what RoIs become, and what an image does.
function largestMaps(config: MaskRcnnConfig): { readonly what: string; readonly values: number }[] {
  const { architecture, backbone, fpn, image, rpn, box, maskHead, keypointHead, keypoints } = config;
  const [, , c4, c5] = resnetChannels(backbone);
  const features =
    architecture === "fpn" ? fpn.channels
    : architecture === "c4" ? c4
    : c5;
  const pooled = (count: number, side: number, widest: number): number =>
    count * side * side * Math.max(features, widest);
  const proposals = Math.max(rpn.detection.postNmsTopK, box.targets.batchSize);
  const detections = box.maxDetections;
  return [
    {
      what: `image.minSize ${image.minSize}, image.maxSize ${image.maxSize} and backbone.width ${backbone.width}`,
      values: (image.minSize * image.maxSize * backbone.width) / 4,
    },
    {
      what: `box.poolSize ${box.poolSize} and ${proposals} proposals (rpn.detection.postNmsTopK, box.targets.batchSize)`,
      values: pooled(proposals, box.poolSize, Math.max(0, ...box.layers)),
    },
    ...(config.mask ?
      [
        {
          what: `maskHead.poolSize ${maskHead.poolSize} and box.maxDetections ${detections}`,
          values: pooled(detections, 2 * maskHead.poolSize, Math.max(maskHead.channels, ...maskHead.layers)),
        },
      ]
    : []),
    ...(keypoints.length > 0 ?
      [
        {
          what: `keypointHead.poolSize ${keypointHead.poolSize} and box.maxDetections ${detections}`,
          values: pooled(
            detections,
            keypointHead.poolSize,
            Math.max(16 * keypoints.length, ...keypointHead.layers),
          ),
        },
      ]
    : []),
  ];
}

/**
 * Builds a config from what differs from the defaults.
 *
 * @throws ConfigError as `parseMaskRcnnConfig`.
 */
export function maskRcnnConfig(options: MaskRcnnOptions): MaskRcnnConfig {
  return parseMaskRcnnConfig(options, "maskRcnnConfig");
}
