/** Reads a model's config off the names and shapes of its weights. */
import { ConfigError, isRecord, WeightsError } from "@mrcnn/core";
import type { NamedArrays } from "@mrcnn/core";
import type { Norm } from "@mrcnn/nn";
import { parseMaskRcnnConfig } from "./parse-config.ts";
import type { MaskRcnnConfig, MaskRcnnOptions, Partially } from "./config.ts";
import { mergeConfig } from "./defaults.ts";
import type { Architecture, Numerics } from "./numerics.ts";

/** What is known of weights beside their names and shapes. */
export interface InferOptions {
  /** The library that made the weights. */
  readonly numerics: Numerics;
  /** Kind of the norms of backbone, pyramid and heads. */
  readonly norm: Norm;
  /**
   * Added to the variance by the backbone's norms, where it is neither said nor the library's; default what
   * the library's released weights were trained with.
   */
  readonly eps?: number | undefined;
  /** Names of the classes, label 1 first; "class 1", ... by default. */
  readonly classes?: readonly string[] | undefined;
  /** Names of the keypoints; "keypoint 1", ... by default. */
  readonly keypoints?: readonly string[] | undefined;
  /** What the file says beside its weights: what its input was normalised by, its anchors. */
  readonly stated?: Pick<Partially<MaskRcnnConfig>, "image" | "anchors"> | undefined;
  /** What the caller says: it replaces what the file says and what is assumed. */
  readonly config?: Partially<MaskRcnnConfig> | undefined;
  /** What the weights came from, for errors. */
  readonly where: string;
  /** What errors call `config`. Default "config". */
  readonly configName?: string | undefined;
}

/** A config, and what of it is a guess. */
export interface InferredConfig {
  readonly config: MaskRcnnConfig;
  /** What neither weights nor anybody says, as `path=value` with the value in JSON: "backbone.eps=0". */
  readonly assumed: readonly string[];
}

const DEPTHS = { bottleneck: { 6: 50, 23: 101, 36: 152 }, basic: { 2: 18, 6: 34 } } as const;

/**
 * Reads a model's config off its weights, given under our names and in our layouts: depth, cardinality,
 * pyramid, heads, classes. The rest is what is said, else the library's default, which is told: in particular
 * torchvision's released weights with frozen batch norm were trained with eps 0, and detectron2's ResNeXts
 * have the stride in the 3x3 and a standard deviation of their own.
 *
 * @throws WeightsError naming what is missing, or what no such model has; ConfigError for a `config` that
 *   can't be meant, or contradicts the weights.
 */
export function inferMaskRcnnConfig(arrays: NamedArrays, options: InferOptions): InferredConfig {
  const { norm, where, configName = "config" } = options;
  const { classes, keypoints, ...said } = options.config ?? {};
  const numerics = said.numerics ?? options.numerics;
  const shape = (name: string): readonly number[] => {
    const array = arrays.get(name);
    if (array === undefined)
      throw new WeightsError(
        `${where}: ${name} is missing. These are not the weights of a Mask, Faster or Keypoint R-CNN.`,
      );
    return array.shape;
  };
  const has = (name: string): boolean => arrays.has(name);
  const count = (name: (i: number) => string): number => {
    let n = 0;
    while (has(name(n))) n++;
    return n;
  };
  const last = (name: string): number => shape(name).at(-1)!;

  const body = "backbone.body";
  const width = last(`${body}.conv1.weight`);
  const bottleneck = has(`${body}.layer1.0.conv3.weight`);
  const blocks = count((i) => `${body}.layer3.${i}.conv1.weight`);
  const depth = (
    DEPTHS[bottleneck ? "bottleneck" : "basic"] as Readonly<
      Record<number, MaskRcnnConfig["backbone"]["depth"]>
    >
  )[blocks];
  if (depth === undefined)
    throw new WeightsError(
      `${where}: no ResNet has ${blocks} ${bottleneck ? "bottleneck" : "basic"} blocks in its third stage.`,
    );
  const middle = shape(`${body}.layer1.0.conv2.weight`) as readonly [number, number, number, number];
  const cardinality = bottleneck ? middle[3] / middle[2] : 1;

  const architecture: Architecture =
    has("backbone.fpn.inner_blocks.0.0.weight") ? "fpn"
    : has("roi_heads.layer4.0.conv1.weight") ? "c4"
    : "dc5";
  const perLocation = last("rpn.head.cls_logits.weight");
  const features = shape("rpn.head.conv.0.0.weight")[2]!;
  const hidden = last("rpn.head.conv.0.0.weight");

  const classCount = last("roi_heads.box_predictor.cls_score.bias") - 1;
  const boxLayers = architecture === "c4" ? 0 : count((i) => `roi_heads.box_head.${i}.0.weight`);
  const maskLayers = count((i) => `roi_heads.mask_head.${i}.0.weight`);
  const mask = has("roi_heads.mask_predictor.mask_fcn_logits.weight");
  const keypointCount =
    has("roi_heads.keypoint_predictor.kps_score_lowres.weight") ?
      shape("roi_heads.keypoint_predictor.kps_score_lowres.weight")[2]!
    : 0;
  const keypointLayers = count((i) => `roi_heads.keypoint_head.${2 * i}.weight`);
  const resnext = numerics === "detectron2" && cardinality > 1;

  const named = (names: readonly string[] | undefined, length: number, what: string): readonly string[] => {
    if (names !== undefined && names.length !== length) {
      throw new WeightsError(
        `${where}: the weights tell ${length} ${what}s apart, ${names.length} names were given.`,
      );
    }
    return names ?? Array.from({ length }, (_, i) => `${what} ${i + 1}`);
  };
  const normOf = (name: string): Norm | "none" => (has(name) ? norm : "none");
  const layers = (length: number, name: (i: number) => string): number[] =>
    Array.from({ length }, (_, i) => last(name(i)));

  const sizes = (): Partially<Pick<MaskRcnnConfig, "box" | "maskHead" | "keypointHead">> => ({
    ...(architecture !== "c4" && {
      box:
        boxLayers > 0 ?
          {
            ...pooled(
              `roi_heads.box_head.${boxLayers + 1}.weight`,
              last(`roi_heads.box_head.${boxLayers - 1}.0.weight`),
            ),
            layers: layers(boxLayers, (i) => `roi_heads.box_head.${i}.0.weight`),
            norm: normOf("roi_heads.box_head.0.1.weight"),
          }
        : pooled("roi_heads.box_head.fc6.weight", features),
    }),
    ...(mask && {
      maskHead: {
        layers: layers(maskLayers, (i) => `roi_heads.mask_head.${i}.0.weight`),
        norm: normOf("roi_heads.mask_head.0.1.weight"),
        channels: shape("roi_heads.mask_predictor.conv5_mask.weight")[2]!,
      },
    }),
    ...(keypointCount > 0 && {
      keypointHead: { layers: layers(keypointLayers, (i) => `roi_heads.keypoint_head.${2 * i}.weight`) },
    }),
  });
  // The first fully connected layer reads poolSize^2 pixels of the channels before it.
  const pooled = (name: string, channels: number): { poolSize: number; representation: number } => {
    const [inputs, representation] = shape(name) as readonly [number, number];
    const poolSize = Math.sqrt(inputs / channels);
    if (!Number.isInteger(poolSize))
      throw new WeightsError(
        `${where}: ${name} has ${inputs} inputs, which is no square of ${channels} channels.`,
      );
    return { poolSize, representation };
  };

  const read: MaskRcnnOptions = {
    classes: named(options.classes ?? classes, classCount, "class"),
    numerics,
    architecture,
    mask,
    keypoints: named(
      keypointCount === 0 ? undefined : (keypoints ?? options.keypoints),
      keypointCount,
      "keypoint",
    ),
    backbone: {
      depth,
      width,
      cardinality,
      widthPerGroup: bottleneck ? (middle[2] * 64) / width : 64,
      norm: said.backbone?.norm ?? norm,
    },
    ...(architecture === "fpn" && {
      fpn: { channels: features, norm: normOf("backbone.fpn.inner_blocks.0.1.weight") },
    }),
    rpn: {
      convs: count((i) => `rpn.head.conv.${i}.0.weight`),
      channels: hidden === features ? undefined : hidden,
    },
    ...sizes(),
  };
  const usual: Partially<MaskRcnnConfig> = {
    image: resnext ? { std: [57.375, 57.12, 58.395] } : {},
    backbone: {
      ...(resnext && { strideIn1x1: false }),
      ...(options.eps !== undefined ?
        { eps: options.eps }
      : numerics === "torchvision" && norm === "frozen_batch_norm" && { eps: 0 }),
    },
  };
  const told = [usual, options.stated ?? {}, read, said];
  assertAgrees(read, said, where, configName);
  const config = parseMaskRcnnConfig(
    told.reduce(mergeConfig),
    options.config === undefined ? where : `${where}: ${configName}`,
  );
  const { sizes: anchorSizes, aspectRatios } = config.anchors;
  if (perLocation !== anchorSizes[0]!.length * aspectRatios.length) {
    throw new WeightsError(
      `${where}: rpn.head.cls_logits has ${perLocation} anchors per location where anchors.sizes x anchors.aspectRatios make ${anchorSizes[0]!.length} x ${aspectRatios.length} = ${anchorSizes[0]!.length * aspectRatios.length}. ` +
        `Weights don't tell which: say anchors.sizes and anchors.aspectRatios (${configName}).`,
    );
  }
  const groups = (part: "fpn" | "box" | "maskHead"): string[] =>
    config[part].norm === "group_norm" ? [`${part}.groups`] : [];
  const guesses = [
    "numerics",
    "anchors.sizes",
    "anchors.aspectRatios",
    "backbone.eps",
    ...(config.backbone.norm === "group_norm" ? ["backbone.groups"] : []),
    ...(architecture === "fpn" ? groups("fpn") : []),
    ...(architecture === "c4" ? [] : groups("box")),
    ...(mask ? groups("maskHead") : []),
    ...(bottleneck ? ["backbone.strideIn1x1"] : []),
    ...["channelOrder", "mean", "std", "minSize", "maxSize"].map((key) => `image.${key}`),
  ];
  const isSaid = (path: string): boolean => [options.stated, said].some((one) => at(one, path) !== undefined);
  return {
    config,
    assumed: guesses
      .filter((path) => !isSaid(path))
      .map((path) => `${path}=${JSON.stringify(at(config, path) ?? 32)}`),
  };
}

// The value at a path of a config.
const at = (config: object | undefined, path: string): unknown =>
  path
    .split(".")
    .reduce<unknown>((here, key) => (here as Readonly<Record<string, unknown>> | undefined)?.[key], config);
// What weights tell can't be said otherwise; how norms compute can, and what things are called.
function assertAgrees(read: object, said: object, where: string, configName: string, path = ""): void {
  for (const [key, value] of Object.entries(said)) {
    const here = `${path}${key}`;
    const own = (read as Readonly<Record<string, unknown>>)[key];
    if (value === undefined || own === undefined || /^(numerics|backbone\.norm)$/.test(here)) continue;
    if (isRecord(own) && isRecord(value)) assertAgrees(own, value, where, configName, `${here}.`);
    else if (JSON.stringify(own) !== JSON.stringify(value)) {
      throw new ConfigError(
        `${where}: ${configName}: ${here} is ${JSON.stringify(value)}, but these weights have ${JSON.stringify(own)}. Leave it out.`,
      );
    }
  }
}
