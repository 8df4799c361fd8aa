/** `mrcnn convert`: writes weights in other formats, precisions and shards. */
import { readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { toJson, WeightsError } from "@mrcnn/core";
import { readImageFile, writeFilesWhole, whyNoFile } from "@mrcnn/datasets/node";
import type { OutputContent } from "@mrcnn/datasets/node";
import { createPretrained, findInCatalog } from "@mrcnn/mask-rcnn";
import type { CatalogEntry, Category } from "@mrcnn/mask-rcnn";
import type { MaskRcnnConfig, Numerics } from "@mrcnn/model";
import { readLatestWeights } from "@mrcnn/trainer/node";
import {
  dequantize,
  quantizationErrors,
  quantize,
  readSafetensors,
  readWeights,
  writeSafetensors,
  writeShards,
} from "@mrcnn/weights";
import type { QuantizationError, SourceWeights, StoredArrays, WeightsDtype } from "@mrcnn/weights";
import { chooseBackend, startBackend } from "../backend.ts";
import type { BackendOptions } from "../backend.ts";
import { compareDetections } from "../compare-detections.ts";
import type { DetectionDifference } from "../compare-detections.ts";
import { detectImage } from "../detection.ts";
import type { NamedImage } from "../detection.ts";
import { UsageError } from "../errors.ts";
import { INTERRUPTED, onInterrupt } from "../interrupt.ts";
import { optionNames, readModelOptions } from "../model-options.ts";
import type { ModelOptions, SaidOfModel } from "../model-options.ts";
import { guesses, runModelAs } from "../model-source.ts";
import { openOutputs } from "../outputs.ts";
import { plural } from "../plural.ts";
import { isRun, runDirectory } from "../run-directory.ts";
import type { Terminal } from "../terminal.ts";

export const librariesOfWeights = ["torchvision", "detectron2", "matterport"] as const;
export const weightsDtypes = ["float32", "float16", "int8"] as const;

export interface ConvertOptions extends BackendOptions, ModelOptions {
  /** Left out, the weights are this project's own. */
  readonly from?: Numerics;
  readonly model?: string;
  readonly out: string;
  readonly dtype: WeightsDtype;
  /** Megabytes of a file. */
  readonly shards?: number;
  /** An image to run both models on. */
  readonly check?: string;
  readonly json?: string;
}

const EXTENSION = ".safetensors";

/** `mrcnn convert`. @returns the exit code. */
export async function convert(file: string, options: ConvertOptions, given: Terminal): Promise<number> {
  const { from, model, out, dtype, shards, check, json } = options;
  if (!out.endsWith(EXTENSION))
    throw new UsageError(`--out must end in ${EXTENSION}, got ${JSON.stringify(out)}.`);
  if (resolve(out) === resolve(file)) throw new UsageError("--out is the file to convert. Name another.");
  if (from !== undefined && model === undefined)
    throw new UsageError("--from needs --model NAME: a name that `mrcnn models` lists, or one of your own.");
  const entry = model === undefined ? undefined : findInCatalog(model);
  if (entry !== undefined && entry.source !== (from ?? "mrcnn"))
    throw new UsageError(`--model ${model} is ${entry.source}'s. Say --from ${entry.source}.`);
  const outputs = openOutputs({ "--out": out, "--json": json }, { terminal: given, inputs: [file, check] });
  const { terminal } = outputs;
  const image = check === undefined ? undefined : { image: await readImageFile(check), name: check };
  const said = readModelOptions(options);
  const isOfRun = isRun(file);
  const { weights, size } = isOfRun ? await ofRun(file, said, terminal) : await ofFile(file);
  assertFrom(weights, from, file);

  if (image === undefined) await startBackend("cpu");
  else await chooseBackend(options, terminal);
  // Weights that are missing or of another model are found here, not when they are used.
  const before = await tryModel(weights, { entry, file, image, said: isOfRun ? {} : said });

  const stored = quantize(weights.arrays, dtype);
  const metadata = {
    ...weights.metadata,
    format: "mrcnn",
    source: from ?? weights.metadata["source"] ?? "mrcnn",
    numerics: before.config.numerics,
    norm: weights.norm,
    ...(model !== undefined && { model }),
    dtype,
    categories: toJson(before.categories),
    config: JSON.stringify(before.config),
  };
  const files =
    shards === undefined ?
      [{ path: out, data: writeSafetensors(stored, metadata) }]
    : shardFiles(stored, out, shards * 1e6, metadata);
  const after =
    image &&
    (await tryModel(
      { ...weights, arrays: asRead(stored) },
      { entry, file: out, image, said: isOfRun ? {} : said },
    ));
  // Whoever stops it now gets no files, and whoever stops it later all of them.
  const interrupt = onInterrupt(terminal, "Stopping.");
  try {
    await interrupt.listen();
    if (interrupt.signal.aborted) return INTERRUPTED;
    if (shards === undefined) await outputs.to["--out"]!.write(files[0]!.data);
    else writeFilesWhole(files);
  } finally {
    interrupt.release();
  }

  const errors = quantizationErrors(weights.arrays, stored);
  const found = {
    from: { file, bytes: size, tensors: weights.arrays.size },
    to: {
      files: files.map(({ path }) => path),
      bytes: files.reduce((sum, { data }) => sum + data.length, 0),
      dtype,
    },
    error: summary(errors),
    ...(after === undefined ?
      {}
    : { check: { image: check!, ...compareDetections(before.detections!, after.detections!) } }),
  };
  for (const line of guesses(file, before)) terminal.note(line);
  for (const line of text(found)) terminal.out(line);
  await outputs.write({ "--json": () => `${JSON.stringify({ ...found, tensors: errors }, null, 2)}\n` });
  return 0;
}

/** The weights as a reader gives them. */
const asRead = (stored: StoredArrays): SourceWeights["arrays"] =>
  dequantize(readSafetensors(writeSafetensors(stored), "the converted weights"));

interface TryOptions {
  readonly entry: CatalogEntry | undefined;
  readonly file: string;
  readonly image: NamedImage | undefined;
  readonly said: SaidOfModel;
}

/** Makes the model that weights are of, and runs it on the image if there is one. */
async function tryModel(
  weights: SourceWeights,
  { entry, file, image, said }: TryOptions,
): Promise<{
  categories: readonly Category[];
  assumed: readonly string[];
  notes: readonly string[];
  config: MaskRcnnConfig;
  detections?: Awaited<ReturnType<typeof detectImage>>;
}> {
  const { model, categories, assumed, notes } = createPretrained(weights, {
    ...said,
    names: optionNames,
    entry,
    where: file,
  });
  try {
    return {
      categories,
      assumed,
      notes,
      config: model.config,
      ...(image && { detections: await detectImage(model, image, {}) }),
    };
  } finally {
    model.dispose();
  }
}

interface Source {
  readonly weights: SourceWeights;
  /** Bytes. */
  readonly size: number;
}

async function ofFile(file: string): Promise<Source> {
  const bytes = readBytes(file);
  return { weights: await readWeights(bytes, file), size: bytes.length };
}

/** The newest weights of a run of `mrcnn train`, and what its config says of them. */
async function ofRun(path: string, said: SaidOfModel, terminal: Terminal): Promise<Source> {
  const run = runDirectory(path);
  const { config, categories } = runModelAs(path, said);
  const arrays = await readLatestWeights(run.checkpoints, { onNote: (note) => terminal.note(note) });
  const metadata = { format: "mrcnn", config: JSON.stringify(config), categories: toJson(categories) };
  const size = [...arrays.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  return {
    weights: { format: "safetensors", source: "mrcnn", norm: config.backbone.norm, arrays, metadata },
    size,
  };
}

function readBytes(file: string): Uint8Array {
  const noFile = whyNoFile(file);
  if (noFile !== undefined) throw new WeightsError(`${file}: the weights can't be read: ${noFile}`);
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new WeightsError(
      `${file}: the weights can't be read: ${(cause as Error).message}. Check the path.`,
      { cause },
    );
  }
}

function assertFrom({ source, metadata }: SourceWeights, from: Numerics | undefined, file: string): void {
  const maker = source === "mrcnn" ? (metadata["source"] ?? "mrcnn") : source;
  if (maker === (from ?? "mrcnn")) return;
  // What this project has converted says itself whose it was.
  if (from === undefined && source === "mrcnn") return;
  throw new WeightsError(
    maker === "mrcnn" ?
      `${file}: these weights are this project's own, as \`mrcnn train\` writes them, and are not ${from}'s. Leave --from out.`
    : `${file}: these are weights of ${maker}, not of ${from ?? "this project"}. Say --from ${maker}.`,
  );
}

// The index last: where it is, the shards are.
function shardFiles(
  stored: StoredArrays,
  out: string,
  maxBytes: number,
  metadata: Readonly<Record<string, string>>,
): OutputContent[] {
  const { index, shards } = writeShards(stored, maxBytes, { name: basename(out, EXTENSION), metadata });
  return [
    ...shards.map(({ file, bytes }) => ({ path: join(dirname(out), file), data: bytes })),
    {
      path: `${out}.index.json`,
      data: `${JSON.stringify({ ...index, metadata: { ...metadata, ...index.metadata } }, null, 2)}\n`,
    },
  ];
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
  return {
    tensors: errors.length,
    max: errors.reduce((a, b) => (b.max > a.max ? b : a)),
    rms: byRms.at(-1)!,
    medianRms: byRms[byRms.length >> 1]!.rms,
  };
}

interface Converted {
  readonly from: { readonly file: string; readonly bytes: number; readonly tensors: number };
  readonly to: { readonly files: readonly string[]; readonly bytes: number; readonly dtype: WeightsDtype };
  readonly error: ErrorSummary | undefined;
  readonly check?: DetectionDifference & { readonly image: string };
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 1)} MB`;
const percent = (share: number): string =>
  `${share >= 0.1 ? (100 * share).toFixed(1) : (100 * share).toPrecision(2)} %`;

function text({ from, to, error, check }: Converted): string[] {
  const [first, last] = [to.files[0]!, to.files.at(-1)!];
  const where = to.files.length === 1 ? first : `${to.files.length - 1} files and ${last}`;
  return [
    `${from.file}: ${plural(from.tensors, "tensor")}, ${megabytes(from.bytes)}`,
    `${where}: ${to.dtype}, ${megabytes(to.bytes)} (${percent(to.bytes / from.bytes)} of it)`,
    ...(error === undefined ?
      ["Weights are unchanged."]
    : [
        `Error of the ${plural(error.tensors, "tensor")} in ${to.dtype}, the others are unchanged:`,
        `  largest   ${percent(error.max.max)} of the tensor's largest weight (${error.max.name})`,
        `  RMS       ${percent(error.rms.rms)} of the weights' in the worst tensor (${error.rms.name}), ${percent(error.medianRms)} in the median`,
      ]),
    ...(check === undefined ? [] : checkText(check)),
  ];
}

function checkText({
  image,
  before,
  after,
  same,
  boxes,
  scores,
  masks,
  keypoints,
}: NonNullable<Converted["check"]>): string[] {
  const differ = (
    what: string,
    spread: { max: number; median: number } | undefined,
    show: (value: number) => string,
  ): string[] =>
    spread === undefined ?
      []
    : [`  ${what.padEnd(9)} by up to ${show(spread.max)}, ${show(spread.median)} in the median`];
  const ending =
    same === 0 ? "."
    : same === 1 ? ", which differs in"
    : ", which differ in";
  const pixels = (value: number): string => `${value.toPrecision(2)} pixels`;
  return [
    `${image}: ${plural(before, "object")} with the source's weights, ${after} with these; ${same} ${same === 1 ? "is" : "are"} the same (class, and boxes of IoU 0.5 or more)${ending}`,
    ...differ("boxes", boxes, pixels),
    ...differ("scores", scores, (value) => value.toPrecision(2)),
    ...differ("masks", masks, (value) => `${percent(value)} of the union`),
    ...differ("keypoints", keypoints, pixels),
  ];
}
