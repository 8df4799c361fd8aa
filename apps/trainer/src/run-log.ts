// The logs of a run, a JSON object a line: metrics.jsonl and eval.jsonl.
import { existsSync, readFileSync, statSync } from "node:fs";
import { parseConfig, parseJson, toJson } from "@mrcnn/core";
import * as v from "valibot";
import { CommandError } from "./errors.ts";
import { appendWhole, writeWhole } from "./files.ts";
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
export type EvaluationLine = {
  readonly step: number;
  readonly images: number;
  readonly seconds: number;
} & Scores;

const step = v.pipe(v.number(), v.integer(), v.minValue(0));
// What earlier versions did not measure is 0.
const measured = v.optional(v.number(), 0);
const metricsSchema = v.objectWithRest(
  {
    step,
    lr: v.number(),
    loss: v.number(),
    secondsPerStep: measured,
    secondsWaiting: measured,
    waitingShare: measured,
    imagesPerSecond: measured,
    memoryMb: measured,
    peakMemoryMb: measured,
  },
  v.number(),
) as unknown as v.GenericSchema<unknown, MetricsLine>;

const scores = v.optional(
  v.looseObject({
    stats: v.record(v.string(), v.number()),
    perCategory: v.array(v.looseObject({ name: v.string() })),
  }),
);
const evaluationSchema = v.looseObject({
  step,
  images: v.number(),
  seconds: v.number(),
  bbox: scores,
  segm: scores,
  keypoints: scores,
}) as unknown as v.GenericSchema<unknown, EvaluationLine>;

/** How a log is read. */
export interface ReadLogOptions {
  /** Told that the last line was cut and is left out. */
  readonly onNote?: ((note: string) => void) | undefined;
}

interface Line<T> {
  readonly text: string;
  readonly value: T;
}

// A last line without its end is what a kill or a full disk leaves; anything else that isn't a line of the
// log is not ours.
function readLines<T>(
  file: string,
  schema: v.GenericSchema<unknown, T>,
  { onNote }: ReadLogOptions,
): { readonly lines: readonly Line<T>[]; readonly isCut: boolean } {
  if (!existsSync(file)) return { lines: [], isCut: false };
  if (!statSync(file).isFile())
    throw new CommandError(`${file}: the run's log must be a file. Move it away, or give another --out.`);
  const texts = readFileSync(file, "utf8").split("\n");
  const rest = texts.pop()!;
  const advice = "Correct the line or remove it.";
  const lines = texts.map((text, i) => {
    const where = `${file}: line ${i + 1}`;
    let value: unknown;
    try {
      value = parseJson(text);
    } catch (cause) {
      throw new CommandError(`${where} is not JSON: ${(cause as Error).message}. ${advice}`, { cause });
    }
    try {
      return { text, value: parseConfig(schema, value, where) };
    } catch (cause) {
      throw new CommandError(`${(cause as Error).message} ${advice}`, { cause });
    }
  });
  if (rest !== "")
    onNote?.(`${file}: line ${lines.length + 1} was cut when the training was stopped, and is left out.`);
  return { lines, isCut: rest !== "" };
}

const valuesOf = <T>(file: string, schema: v.GenericSchema<unknown, T>, options: ReadLogOptions): T[] =>
  readLines(file, schema, options).lines.map(({ value }) => value);

/**
 * The lines of metrics.jsonl; none when there is no file. A last line that was cut is left out.
 *
 * @throws CommandError naming file and line.
 */
export const readMetrics = (file: string, options: ReadLogOptions = {}): MetricsLine[] =>
  valuesOf(file, metricsSchema, options);

/**
 * The lines of eval.jsonl; none when there is no file. A last line that was cut is left out.
 *
 * @throws CommandError naming file and line.
 */
export const readEvaluations = (file: string, options: ReadLogOptions = {}): EvaluationLine[] =>
  valuesOf(file, evaluationSchema, options);

/** Adds a line to metrics.jsonl or eval.jsonl. */
export function appendLine(file: string, line: object): void {
  appendWhole(file, `${toJson(line)}\n`);
}

/**
 * Forgets what a run's logs say of later steps than `last`: a resumed run writes them again. All are read
 * before one is written.
 *
 * @throws CommandError naming file and line.
 */
export function truncateLogs(
  { metrics, evaluations }: { readonly metrics: string; readonly evaluations: string },
  last: number,
  options: ReadLogOptions = {},
): void {
  const logs = [
    { file: metrics, ...readLines<{ step: number }>(metrics, metricsSchema, options) },
    { file: evaluations, ...readLines<{ step: number }>(evaluations, evaluationSchema, options) },
  ];
  for (const { file, lines, isCut } of logs) {
    const kept = lines.filter(({ value }) => value.step <= last);
    if (isCut || kept.length < lines.length) writeWhole(file, kept.map(({ text }) => `${text}\n`).join(""));
  }
}
