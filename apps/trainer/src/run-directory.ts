/** The layout of a training's folder. */
import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { didYouMean, parseConfig, toJson } from "@mrcnn/core";
import { haveNames } from "@mrcnn/mask-rcnn";
import { trainingConfigSchema } from "./read-config.ts";
import type { TrainingConfig } from "./config.ts";
import { CommandError } from "./errors.ts";
import { readJson, writeWhole } from "./files.ts";
import { plural } from "./plural.ts";

/** Where everything of a training run lies. */
export interface RunDirectory {
  readonly path: string;
  readonly config: string;
  readonly metrics: string;
  readonly evaluations: string;
  readonly checkpoints: string;
  /** The config that the checkpoints were made with: `config` may be edited by hand. */
  readonly madeWith: string;
  readonly report: string;
}

/** The files of the run at `path`, whether they exist or not. */
export function runDirectory(path: string): RunDirectory {
  return {
    path,
    config: join(path, "config.json"),
    metrics: join(path, "metrics.jsonl"),
    evaluations: join(path, "eval.jsonl"),
    checkpoints: join(path, "checkpoints"),
    madeWith: join(path, "checkpoints", "config.json"),
    report: join(path, "report.html"),
  };
}

/** Whether `path` holds a run. */
export const isRun = (path: string): boolean => existsSync(runDirectory(path).config);

/** The resolved config of a run. @throws CommandError or ConfigError naming the file. */
export const readRunConfig = (path: string): TrainingConfig => readConfigFile(runDirectory(path).config);

function readConfigFile(file: string): TrainingConfig {
  if (statSync(file, { throwIfNoEntry: false })?.isFile() === false)
    throw new CommandError(`${file}: the run's config must be a file.`);
  return parseConfig(trainingConfigSchema, readJson(file, "The run's config"), file);
}

/**
 * The config that a run's checkpoints were made with; that of the run where none is kept beside them, as by
 * earlier versions.
 */
export const configMadeWith = ({ madeWith, config }: RunDirectory): TrainingConfig =>
  readConfigFile(existsSync(madeWith) ? madeWith : config);

/**
 * Writes the resolved config as indented JSON: beside the checkpoints, where it stays as it is, and for
 * people to see.
 */
export function writeRunConfig(
  { checkpoints, madeWith, config: file }: RunDirectory,
  config: TrainingConfig,
): void {
  mkdirSync(checkpoints, { recursive: true });
  for (const place of [madeWith, file]) writeWhole(place, `${toJson(config, { indent: 2 })}\n`);
}

const listed = (names: readonly string[]): string =>
  names
    .slice(0, 10)
    .map((name) => JSON.stringify(name))
    .join(", ") + (names.length > 10 ? " …" : "");

/**
 * Finds the label each of `names` has among a model's `classes`.
 *
 * @throws CommandError for one the model lacks.
 */
export function assertClassesKnown(
  names: readonly string[],
  classes: readonly string[],
  where: string,
): void {
  const unknown = names.filter((name) => !classes.includes(name));
  if (unknown.length === 0) return;
  if (!haveNames(classes.map((one, i) => ({ id: i + 1, name: one })))) {
    throw new CommandError(
      `${where}: the model's ${plural(classes.length, "class")} have no names, so which are ${listed(names)} can't be told. Name them with --classes, label 1 first.`,
    );
  }
  const near = didYouMean(unknown[0]!, classes);
  throw new CommandError(
    `${where}: the model has no class ${unknown.map((name) => `"${name}"`).join(", ")}; it knows ${classes.slice(0, 10).join(", ")}${classes.length > 10 ? ", …" : ""}.` +
      (near === undefined ? " Use annotations of the model's classes." : ` Did you mean "${near}"?`),
  );
}
