/** Reads training configs: their schema, and values that the command line puts over them. */
import { parseConfig } from "@mrcnn/core";
import type { ImageSize } from "@mrcnn/core";
import { maskRcnnConfigSchema } from "@mrcnn/model";
import * as v from "valibot";
import { assertEffective } from "./config-effects.ts";
import { readJson } from "./files.ts";
import { setOption } from "./set-option.ts";

import type { TrainingConfig } from "./config.ts";

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

// The model's schema is a strict object, typed as its result: `classes` is made optional behind the type's
// back.
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
 * @throws ConfigError or CommandError naming the file, also for settings that would do nothing; UsageError
 *   naming the --set.
 */
export function readTrainingConfig(file: string, assignments: readonly string[] = []): TrainingConfig {
  const config = changedConfig(readJson(file, "The config"), assignments, file);
  assertEffective(config, file);
  return config;
}

/**
 * Applies each --set to a config, and fills in defaults.
 *
 * @throws ConfigError naming the file; UsageError naming the --set.
 */
export function changedConfig(config: unknown, assignments: readonly string[], file: string): TrainingConfig {
  const value = assignments.reduce(
    (changed, assignment) => setOption(changed, assignment, trainingConfigSchema),
    config,
  );
  return parseConfig(trainingConfigSchema, value, file);
}
