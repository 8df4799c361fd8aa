import { parseConfig } from "@mrcnn/core";
import type { CocoId, ImageSize } from "@mrcnn/core";
import type { ShapesOptions } from "@mrcnn/datasets";
import { maskRcnnConfigSchema } from "@mrcnn/model";
import type { MaskRcnnConfig } from "@mrcnn/model";
import type { Augmentation } from "@mrcnn/transforms";
import * as v from "valibot";
import { assertEffective } from "./config-effects.ts";
import { readJson } from "./files.ts";
import { setOption } from "./set-option.ts";

/** Where images and their objects come from. Paths are relative to the working directory. */
export interface DataSource {
  /** "coco" (default): `images` and `annotations`. "folders": `folder`, or `images` and `masks`. "shapes": generated. */
  readonly format: "coco" | "folders" | "shapes";
  /** Folder of the images. */
  readonly images?: string | undefined;
  /** COCO instances JSON. */
  readonly annotations?: string | undefined;
  /** COCO: what to do about objects that can't be learned: boxes without area, no mask where others have one. Default "error"; in validation they count, unless dropped. */
  readonly degenerate?: "error" | "drop" | undefined;
  /** COCO: whether categories without objects are classes of the model. Default "keep". */
  readonly emptyCategories?: "keep" | "drop" | undefined;
  /** Which way up photos are read that EXIF says are turned: "stored" (default), as COCO's own tools do, or "exif", upright, where they were annotated so. */
  readonly orientation?: "stored" | "exif" | undefined;
  /** Images of more pixels are refused. Default 178,956,970. */
  readonly maxPixels?: number | undefined;
  /** A folder per image, each with images/ and masks/. */
  readonly folder?: string | undefined;
  /** Folder of label images named as those of `images`. */
  readonly masks?: string | undefined;
  /** The one class of folders of masks. Default "object". */
  readonly className?: string | undefined;
  readonly shapes?: ShapesOptions | undefined;
}

/** A training config: a file of `configs/`, with --set applied. Sizes are pixels. */
export interface TrainingConfig {
  readonly $schema?: string | undefined;
  readonly description?: string | undefined;
  /** @mrcnn/model's config. `classes` come from the data and need not be given. */
  readonly model: Omit<MaskRcnnConfig, "classes"> & Partial<Pick<MaskRcnnConfig, "classes">>;
  readonly data: {
    readonly train: DataSource;
    readonly validation?: DataSource | undefined;
    /** What the data sets are known by, whatever their paths; training fills them in. */
    readonly fingerprint?:
      { readonly train?: string | undefined; readonly validation?: string | undefined } | undefined;
    /** The ids that the data set gives `model.classes`; training fills them in. */
    readonly categories?: readonly { readonly id: CocoId; readonly name: string }[] | undefined;
  };
  /** How training images vary; what is absent is not done. `flip` is 0.5 unless given. */
  readonly augment: { readonly [K in keyof Augmentation]?: Augmentation[K] | undefined };
  /** SGD with momentum; linear warm-up, then steps down. */
  readonly optimizer: {
    /** Default 0.02. */
    readonly rate: number;
    /** Default 0.9. */
    readonly momentum: number;
    /** Default 1e-4. */
    readonly weightDecay: number;
    /** Whether norms and biases decay too, as in torchvision's reference. Default true. */
    readonly decayNorms: boolean;
    /** Gradients with a greater global L2 norm are scaled down to it. Default: none are. */
    readonly clipNorm?: number | undefined;
    /** Default 1000 steps from a thousandth of the rate. */
    readonly warmupSteps: number;
    readonly warmupFactor: number;
    /** Steps at which the rate is multiplied by gamma (0.1). Default: none. */
    readonly milestones: readonly number[];
    readonly gamma: number;
  };
  readonly training: {
    /** Updates in the whole run. */
    readonly steps: number;
    /** At most 1024; default 2. */
    readonly batchSize: number;
    /** Batches per update; their gradients are averaged. Default 1. */
    readonly accumulate: number;
    /** Default 0. */
    readonly seed: number;
    /** A run of `mrcnn train`, a file of torchvision (a classifier's too), detectron2, matterport or this project, or a folder of .npy files (a backbone with batch norm folded in). Default: random. */
    readonly initialWeights?: string | undefined;
    /** Steps per line of metrics.jsonl. Default 1. */
    readonly logEvery: number;
    /** Default 500 steps. */
    readonly checkpointEvery: number;
    /** Steps between evaluations on `data.validation`; 0, the default: only at the end. */
    readonly evaluateEvery: number;
    /** Threads that decode and augment ahead of the step; 0: none, at most 64. Default: by the number of processors. */
    readonly workers?: number | undefined;
  };
  /** Of `data.validation`; also what `mrcnn eval` and `mrcnn detect` take for this run. */
  readonly evaluation: {
    /** Default 100. */
    readonly maxDetections: number;
    /** Default 0.05. */
    readonly scoreThreshold: number;
    /** Shorter and longer edge of the network input. Default: `model.image`'s. */
    readonly minSize?: number | undefined;
    readonly maxSize?: number | undefined;
    /** true: images are not resized at all. Default false. */
    readonly nativeSize: boolean;
    /** While training, only the first so many validation images. Default: all. */
    readonly limit?: number | undefined;
  };
}

const whole = v.pipe(v.number(), v.integer(), v.minValue(1));
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const atLeast0 = v.pipe(v.number(), v.minValue(0));
const fraction = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
const range = v.pipe(v.array(atLeast0), v.length(2));
const size: v.GenericSchema<ImageSize> = v.strictObject({ height: whole, width: whole });

const dataSource = v.strictObject({
  format: v.optional(v.picklist(["coco", "folders", "shapes"]), "coco"),
  images: v.optional(v.string()),
  annotations: v.optional(v.string()),
  degenerate: v.optional(v.picklist(["error", "drop"])),
  emptyCategories: v.optional(v.picklist(["keep", "drop"])),
  orientation: v.optional(v.picklist(["stored", "exif"])),
  maxPixels: v.optional(whole),
  folder: v.optional(v.string()),
  masks: v.optional(v.string()),
  className: v.optional(v.string()),
  shapes: v.optional(
    v.strictObject({
      count: whole,
      seed: v.optional(count),
      size: v.optional(size),
      classes: v.optional(v.array(v.picklist(["circle", "rectangle", "triangle"]))),
      objects: v.optional(range),
      objectSize: v.optional(range),
      noise: v.optional(atLeast0),
      textures: v.optional(v.boolean()),
      minVisible: v.optional(fraction),
    }),
  ),
});

// The model's schema is a strict object, typed as its result: `classes` is made optional behind the type's back.
const model = v.lazy((value) =>
  v.partial(maskRcnnConfigSchema(value) as unknown as v.StrictObjectSchema<v.ObjectEntries, undefined>, [
    "classes",
  ]),
);

/** The schema of TrainingConfig. */
export const trainingConfigSchema: v.GenericSchema<unknown, TrainingConfig> = v.strictObject({
  $schema: v.optional(v.string()),
  description: v.optional(v.string()),
  model: v.optional(model, {}),
  data: v.strictObject({
    train: dataSource,
    validation: v.optional(dataSource),
    fingerprint: v.optional(
      v.strictObject({ train: v.optional(v.string()), validation: v.optional(v.string()) }),
    ),
    categories: v.optional(
      v.array(v.strictObject({ id: v.union([v.number(), v.string(), v.bigint()]), name: v.string() })),
    ),
  }),
  augment: v.optional(
    v.strictObject({
      flip: v.optional(fraction, 0.5),
      verticalFlip: v.optional(fraction),
      rotate90: v.optional(fraction),
      minSizes: v.optional(v.pipe(v.array(whole), v.minLength(1))),
      maxSize: v.optional(whole),
      crop: v.optional(size),
      minArea: v.optional(atLeast0),
      brightness: v.optional(fraction),
      contrast: v.optional(fraction),
      saturation: v.optional(fraction),
      hue: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(0.5))),
    }),
    {},
  ),
  optimizer: v.optional(
    v.strictObject({
      rate: v.optional(atLeast0, 0.02),
      momentum: v.optional(fraction, 0.9),
      weightDecay: v.optional(atLeast0, 1e-4),
      decayNorms: v.optional(v.boolean(), true),
      clipNorm: v.optional(v.pipe(v.number(), v.gtValue(0))),
      warmupSteps: v.optional(count, 1000),
      warmupFactor: v.optional(fraction, 1e-3),
      milestones: v.optional(v.array(count), []),
      gamma: v.optional(fraction, 0.1),
    }),
    {},
  ),
  training: v.strictObject({
    steps: whole,
    // More images make a step by `accumulate`.
    batchSize: v.optional(v.pipe(whole, v.maxValue(1024)), 2),
    accumulate: v.optional(whole, 1),
    seed: v.optional(count, 0),
    initialWeights: v.optional(v.string()),
    logEvery: v.optional(whole, 1),
    checkpointEvery: v.optional(whole, 500),
    evaluateEvery: v.optional(count, 0),
    workers: v.optional(v.pipe(count, v.maxValue(64))),
  }),
  evaluation: v.optional(
    v.strictObject({
      maxDetections: v.optional(whole, 100),
      scoreThreshold: v.optional(fraction, 0.05),
      minSize: v.optional(whole),
      maxSize: v.optional(whole),
      nativeSize: v.optional(v.boolean(), false),
      limit: v.optional(whole),
    }),
    {},
  ),
}) as unknown as v.GenericSchema<unknown, TrainingConfig>;

/**
 * Reads a config file, applies each --set `path=value` and fills in defaults.
 *
 * @throws ConfigError or CommandError naming the file, also for settings that would do nothing; UsageError naming the --set.
 */
export function readTrainingConfig(file: string, assignments: readonly string[] = []): TrainingConfig {
  const config = changedConfig(readJson(file, "The config"), assignments, file);
  assertEffective(config, file);
  return config;
}

/** Applies each --set to a config, and fills in defaults. @throws ConfigError naming the file; UsageError naming the --set. */
export function changedConfig(config: unknown, assignments: readonly string[], file: string): TrainingConfig {
  const value = assignments.reduce(
    (changed, assignment) => setOption(changed, assignment, trainingConfigSchema),
    config,
  );
  return parseConfig(trainingConfigSchema, value, file);
}
