import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { didYouMean, parseConfig, toJson } from "@mrcnn/core";
import { trainingConfigSchema } from "./config.ts";
import type { TrainingConfig } from "./config.ts";
import { CommandError } from "./errors.ts";
import { appendWhole, readJson, readJsonLines, writeWhole } from "./files.ts";
import type { Scores } from "./scores.ts";

/** A line of metrics.jsonl: one training step. */
export interface MetricsLine {
  /** Updates done, this one included. */
  readonly step: number;
  readonly lr: number;
  /** The sum of the loss terms, which stand beside it by name. */
  readonly loss: number;
  /** Wall time, waiting for data included. */
  readonly secondsPerStep: number;
  readonly secondsWaiting: number;
  /** The part of `secondsPerStep` spent waiting for data, 0 to 1. */
  readonly waitingShare: number;
  readonly imagesPerSecond: number;
  /** Resident memory of the process, now and at its peak since the line before; 2^20 bytes. */
  readonly memoryMb: number;
  readonly peakMemoryMb: number;
  readonly [term: `loss_${string}`]: number;
  readonly [other: string]: number;
}

/** A line of eval.jsonl: the validation set after `step` updates. */
export type EvaluationLine = { readonly step: number; readonly images: number; readonly seconds: number } & Scores;

/** Where everything of a training run lies. */
export interface RunDirectory {
  readonly path: string;
  readonly config: string;
  readonly metrics: string;
  readonly evaluations: string;
  readonly checkpoints: string;
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
    report: join(path, "report.html"),
  };
}

/** Whether `path` holds a run. */
export const isRun = (path: string): boolean => existsSync(runDirectory(path).config);

/** The resolved config of a run. @throws CommandError or ConfigError naming the file. */
export function readRunConfig(path: string): TrainingConfig {
  const { config } = runDirectory(path);
  return parseConfig(trainingConfigSchema, readJson(config, "The run's config"), config);
}

/** Writes the resolved config, as indented JSON. */
export function writeRunConfig(run: RunDirectory, config: TrainingConfig): void {
  mkdirSync(run.path, { recursive: true });
  writeWhole(run.config, `${toJson(config, { indent: 2 })}\n`);
}

/** Adds a line to metrics.jsonl or eval.jsonl. */
export function appendLine(file: string, line: object): void {
  appendWhole(file, `${toJson(line)}\n`);
}

/** Forgets what a log says of later steps than `step`: a resumed run writes them again. */
export function truncateLog(file: string, step: number): void {
  if (!existsSync(file)) return;
  const kept = readJsonLines<{ step: number }>(file).filter((line) => line.step <= step);
  writeWhole(file, kept.map((line) => `${toJson(line)}\n`).join(""));
}

// What decides the arithmetic of a run; the rest (steps, logging, workers, evaluation) may change on the way.
const fixed = (config: TrainingConfig): Record<string, unknown> => ({
  model: config.model,
  augment: config.augment,
  "training.batchSize": config.training.batchSize,
  "training.accumulate": config.training.accumulate,
  "training.seed": config.training.seed,
});

/**
 * Throws unless `config` may go on where the run with config `before` stopped.
 *
 * @throws CommandError naming what differs.
 */
export function assertResumable(before: TrainingConfig, config: TrainingConfig, where: string): void {
  const [old, now] = [fixed(before), fixed(config)];
  const changed = Object.keys(old).filter((key) => JSON.stringify(old[key]) !== JSON.stringify(now[key]));
  if (changed.length > 0) {
    throw new CommandError(`--resume: ${changed.join(" and ")} differ from the run in ${where}. Give the config the run was started with, or train into another --out.`);
  }
}

/** Finds the label each of `names` has among a model's `classes`. @throws CommandError for one the model lacks. */
export function assertClassesKnown(names: readonly string[], classes: readonly string[], where: string): void {
  const unknown = names.filter((name) => !classes.includes(name));
  if (unknown.length === 0) return;
  const near = didYouMean(unknown[0]!, classes);
  throw new CommandError(
    `${where}: the model has no class ${unknown.map((name) => `"${name}"`).join(", ")}; it knows ${classes.slice(0, 10).join(", ")}${classes.length > 10 ? ", …" : ""}.` +
      (near === undefined ? " Use annotations of the model's classes." : ` Did you mean "${near}"?`),
  );
}
