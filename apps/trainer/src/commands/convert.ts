import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { WeightsError } from "@mrcnn/core";
import { inferMaskRcnnConfig } from "@mrcnn/model";
import type { Numerics } from "@mrcnn/model";
import { quantizationErrors, quantize, readWeights, writeSafetensors, writeShards } from "@mrcnn/weights";
import type { QuantizationError, SourceWeights, StoredArrays, WeightsDtype } from "@mrcnn/weights";
import { UsageError } from "../errors.ts";
import { writeWhole } from "../files.ts";
import type { Terminal } from "../terminal.ts";

export const librariesOfWeights = ["torchvision", "detectron2", "matterport"] as const;
export const weightsDtypes = ["float32", "float16", "int8"] as const;

export interface ConvertOptions {
  readonly from: Numerics;
  readonly model: string;
  readonly out: string;
  readonly dtype: WeightsDtype;
  /** Megabytes of a file. */
  readonly shards?: number;
  readonly json?: string;
}

const EXTENSION = ".safetensors";

/** `mrcnn convert`. @returns the exit code. */
export async function convert(file: string, { from, model, out, dtype, shards, json }: ConvertOptions, terminal: Terminal): Promise<number> {
  if (!out.endsWith(EXTENSION)) throw new UsageError(`--out must end in ${EXTENSION}, got ${out}.`);
  if (resolve(out) === resolve(file)) throw new UsageError("--out is the file to convert. Name another.");
  const bytes = readBytes(file);
  const weights = await readWeights(bytes, file);
  assertFrom(weights, from, file);
  // A file that lacks weights is found here, not when it is used.
  inferMaskRcnnConfig(weights.arrays, { numerics: from, norm: weights.norm, where: file });

  const stored = quantize(weights.arrays, dtype);
  const metadata = { ...weights.metadata, format: "mrcnn", source: from, numerics: from, norm: weights.norm, model, dtype };
  const files = shards === undefined ? [{ path: out, data: writeSafetensors(stored, metadata) }] : shardFiles(stored, out, shards * 1e6, metadata);
  writeTogether(files);

  const errors = quantizationErrors(weights.arrays, stored);
  const size = files.reduce((sum, { data }) => sum + data.length, 0);
  const found = { from: { file, bytes: bytes.length, tensors: weights.arrays.size }, to: { files: files.map(({ path }) => path), bytes: size, dtype }, error: summary(errors) };
  if (json !== undefined) writeWhole(json, `${JSON.stringify({ ...found, tensors: errors }, null, 2)}\n`);
  for (const line of text(found)) terminal.out(line);
  return 0;
}

function readBytes(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new WeightsError(`${file}: the weights can't be read: ${(cause as Error).message}. Check the path.`, { cause });
  }
}

function assertFrom({ source, metadata }: SourceWeights, from: Numerics, file: string): void {
  const maker = source === "mrcnn" ? metadata["source"] : source;
  if (maker === from) return;
  throw new WeightsError(
    maker === undefined
      ? `${file}: these weights are this project's own, as \`mrcnn train\` writes them, and are not ${from}'s. Use their run directory as --model.`
      : `${file}: these are weights of ${maker}, not of ${from}. Say --from ${maker}.`,
  );
}

interface OutputFile {
  readonly path: string;
  readonly data: string | Uint8Array;
}

// The index last: where it is, the shards are.
function shardFiles(stored: StoredArrays, out: string, maxBytes: number, metadata: Readonly<Record<string, string>>): OutputFile[] {
  const { index, shards } = writeShards(stored, maxBytes, { name: basename(out, EXTENSION), metadata });
  return [
    ...shards.map(({ file, bytes }) => ({ path: join(dirname(out), file), data: bytes })),
    { path: `${out}.index.json`, data: `${JSON.stringify({ ...index, metadata: { ...metadata, ...index.metadata } }, null, 2)}\n` },
  ];
}

/** All files are written aside before the first one takes its place, so that a full disk leaves none of them. */
function writeTogether(files: readonly OutputFile[]): void {
  const folder = dirname(files[0]!.path);
  mkdirSync(folder, { recursive: true });
  const aside = mkdtempSync(join(folder, ".convert-"));
  try {
    for (const { path, data } of files) writeWhole(join(aside, basename(path)), data);
    for (const { path } of files) renameSync(join(aside, basename(path)), path);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

interface ErrorSummary {
  readonly tensors: number;
  /** The worst tensor by each. */
  readonly max: QuantizationError;
  readonly rms: QuantizationError;
  /** The middle tensor's. */
  readonly medianRms: number;
}

function summary(errors: readonly QuantizationError[]): ErrorSummary | undefined {
  if (errors.length === 0) return undefined;
  const byRms = errors.toSorted((a, b) => a.rms - b.rms);
  return { tensors: errors.length, max: errors.reduce((a, b) => (b.max > a.max ? b : a)), rms: byRms.at(-1)!, medianRms: byRms[byRms.length >> 1]!.rms };
}

interface Converted {
  readonly from: { readonly file: string; readonly bytes: number; readonly tensors: number };
  readonly to: { readonly files: readonly string[]; readonly bytes: number; readonly dtype: WeightsDtype };
  readonly error: ErrorSummary | undefined;
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 1)} MB`;
const percent = (share: number): string => `${share >= 0.1 ? (100 * share).toFixed(1) : (100 * share).toPrecision(2)} %`;

function text({ from, to, error }: Converted): string[] {
  const [first, last] = [to.files[0]!, to.files.at(-1)!];
  const where = to.files.length === 1 ? first : `${to.files.length - 1} files and ${last}`;
  return [
    `${from.file}: ${from.tensors} tensors, ${megabytes(from.bytes)}`,
    `${where}: ${to.dtype}, ${megabytes(to.bytes)} (${percent(to.bytes / from.bytes)} of it)`,
    ...(error === undefined
      ? ["Weights are unchanged."]
      : [
          `Error of the ${error.tensors} tensors in ${to.dtype}, the others are unchanged:`,
          `  largest   ${percent(error.max.max)} of the tensor's largest weight (${error.max.name})`,
          `  RMS       ${percent(error.rms.rms)} of the weights' in the worst tensor (${error.rms.name}), ${percent(error.medianRms)} in the median`,
        ]),
  ];
}
