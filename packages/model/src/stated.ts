// Checks what files state beside a model's weights: what its labels mean, and how it is meant to be used.
import * as v from "valibot";
import { ConfigError, parseConfig } from "@mrcnn/core";
import type { CocoId } from "@mrcnn/core";
import { parseMaskRcnnConfig } from "./parse-config.ts";
import type { MaskRcnnConfig } from "./config.ts";
import type { DetectOptions } from "./input.ts";

/** A class as a data set numbers and names it. */
interface StatedCategory {
  readonly id: CocoId;
  readonly name: string;
}

const categoriesSchema = v.pipe(
  v.array(
    v.object({
      id: v.union([v.pipe(v.number(), v.safeInteger()), v.string(), v.bigint()]),
      name: v.pipe(v.string(), v.nonEmpty()),
    }),
  ),
  v.minLength(1),
  v.check((all) => new Set(all.map(({ id }) => id)).size === all.length, "every id once"),
);

// valibot takes a list for an object too.
const record = <E extends v.ObjectEntries>(entries: E) =>
  v.pipe(
    v.unknown(),
    v.check((value) => !Array.isArray(value), "an object"),
    v.object(entries),
  );

const edge = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(4096));
const settingsSchema = record({
  scoreThreshold: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1))),
  maxDetections: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(10_000))),
  minSize: v.optional(edge),
  maxSize: v.optional(edge),
  nativeSize: v.optional(v.boolean()),
});

const runSchema = record({
  model: v.looseObject({}),
  data: v.optional(record({ categories: v.optional(categoriesSchema) }), {}),
  evaluation: v.optional(settingsSchema, {}),
});

/**
 * Checks a list of `{ id, name }`, one for each label, label 1 first.
 *
 * @throws ConfigError naming `where` and the entry.
 */
export function parseCategories(value: unknown, where: string): readonly StatedCategory[] {
  return parseConfig(categoriesSchema, value, where);
}

/** A training's model, as its config.json states it. */
export interface StatedRun {
  readonly config: MaskRcnnConfig;
  /** In the order of the labels; absent where the config has none. */
  readonly categories?: readonly StatedCategory[] | undefined;
  /** How the run was evaluated; `nativeSize`: images are not resized. */
  readonly settings: DetectOptions & { readonly nativeSize?: boolean | undefined };
}

/**
 * Checks the config.json of a run of `mrcnn train`, as far as detecting needs it.
 *
 * @throws ConfigError naming `where` and every value that is missing, of a wrong type or out of range.
 */
export function parseRun(value: unknown, where: string): StatedRun {
  const { model, data, evaluation } = parseConfig(runSchema, value, where);
  const config = parseMaskRcnnConfig(model, `${where}: model`);
  const { categories } = data;
  if (categories !== undefined && categories.length !== config.classes.length) {
    throw new ConfigError(
      `${where}: data.categories must name the model's ${config.classes.length} classes, got ${categories.length} names.`,
    );
  }
  return { config, categories, settings: evaluation };
}
