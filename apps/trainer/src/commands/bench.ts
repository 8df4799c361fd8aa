/** `mrcnn bench`: times detection, its stages and training steps. */
import { availableParallelism, cpus } from "node:os";
import { createRandom } from "@mrcnn/core";
import type { ImageSize, RawImage } from "@mrcnn/core";
import { shapesDataset, trainingBatch } from "@mrcnn/datasets";
import { findInCatalog } from "@mrcnn/mask-rcnn";
import type { CatalogEntry } from "@mrcnn/mask-rcnn";
import type { DetectOptions, MaskRcnn } from "@mrcnn/model";
import { profileDetect } from "@mrcnn/model/profile";
import { trainingModel } from "@mrcnn/model/training";
import { sgd, trainStep } from "@mrcnn/trainer";
import { assertBackendCan, chooseBackend } from "../backend.ts";
import type { BackendName, BackendOptions } from "../backend.ts";
import { catalogConfig, randomModel } from "../bench-model.ts";
import { messageOf, UsageError } from "../errors.ts";
import { INTERRUPTED, onInterrupt } from "../interrupt.ts";
import type { Interrupt } from "../interrupt.ts";
import { createMemoryMeter } from "../memory-meter.ts";
import { loadModel } from "../model-source.ts";
import { openOutputs } from "../outputs.ts";
import { plural } from "../plural.ts";
import type { Terminal } from "../terminal.ts";

export interface BenchOptions extends BackendOptions {
  readonly model: string;
  readonly weights?: string;
  readonly size: ImageSize;
  readonly batch: number;
  readonly train: boolean;
  readonly rounds: number;
  readonly allBackends: boolean;
  readonly json?: string;
  readonly seed?: number;
}

/** Measurements of one backend; times in seconds. */
interface Measured {
  readonly backend: string;
  /** Time of each detection of the batch. */
  readonly detect: readonly number[];
  /** Number of objects found on all images. */
  readonly objects: number;
  /** Times of each stage, one for each round. */
  readonly stages: Readonly<Record<string, readonly number[]>>;
  /** Time of each training step. */
  readonly train?: readonly number[];
  /** The most memory that the process had resident meanwhile, what an earlier backend left included. */
  readonly peakMemoryMb: number;
}
interface Failed {
  readonly backend: string;
  readonly problem: string;
}

// The first runs allocate.
const WARM_UP = 2;
// Backends that compute R50 in bearable time.
const ALL: readonly BackendName[] = ["tensorflow", "wasm"];

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const short = (value: number): string => value.toPrecision(3);

// Networks of other libraries, whose weights would have to be downloaded. This project's own come along.
function randomEntry({ model, weights }: BenchOptions): CatalogEntry | undefined {
  const entry = weights === undefined ? findInCatalog(model) : undefined;
  return entry?.source === "mrcnn" ? undefined : entry;
}

async function openModel(
  options: BenchOptions,
  terminal: Terminal,
): Promise<{ model: MaskRcnn; isRandom: boolean }> {
  const { model: name, weights, seed } = options;
  const entry = randomEntry(options);
  if (entry !== undefined)
    return { model: randomModel(catalogConfig(entry), createRandom(seed ?? 0)), isRandom: true };
  return { model: (await loadModel(name, { weights, quiet: true }, terminal)).model, isRandom: false };
}

// Random weights give thousands of nearly equal scores: only those of the best are to count.
async function detectOptions(
  model: MaskRcnn,
  images: readonly RawImage[],
  { size, isRandom }: { size: ImageSize; isRandom: boolean },
): Promise<DetectOptions> {
  const own = { minSize: Math.min(size.height, size.width), maxSize: Math.max(size.height, size.width) };
  if (!isRandom) return own;
  const found = await model.detect(images, { ...own, scoreThreshold: 0 });
  return {
    ...own,
    scoreThreshold: Math.min(0.5, ...found.flatMap(({ scores }) => [...scores.subarray(-1)])) * 0.999,
  };
}

async function measure(
  options: BenchOptions,
  { terminal, interrupt }: { terminal: Terminal; interrupt: Interrupt },
): Promise<Measured | undefined> {
  const { size, batch, rounds, seed = 0 } = options;
  assertBackendCan(options);
  const name = await chooseBackend(options, terminal);
  const meter = createMemoryMeter({ usesGpu: false });
  const { model, isRandom } = await openModel(options, terminal);
  try {
    const extent = Math.min(size.height, size.width);
    const dataset = shapesDataset({
      count: batch,
      size,
      seed,
      objects: [8, 8],
      objectSize: [Math.ceil(extent / 16), Math.ceil(extent / 3)],
      minVisible: 0,
    });
    const images = await Promise.all(
      Array.from({ length: batch }, async (_, i) => (await dataset.get(i)).image),
    );
    const settings = await detectOptions(model, images, { size, isRandom });
    const stages: Record<string, number[]> = {};
    const detect: number[] = [];
    let objects = 0;
    const train: number[] = [];
    const step = options.train ? await trainer(model, dataset, options) : undefined;
    // Whole detections, stages and training steps take turns, so that what disturbs one disturbs all.
    for (let round = -WARM_UP; round < rounds; round++) {
      const start = performance.now();
      const found = await model.detect(images, settings);
      const seconds = (performance.now() - start) / 1000;
      const profile = await profileDetect(model, images, settings);
      const trained = await step?.();
      if (round >= 0) {
        detect.push(seconds);
        objects = found.reduce((n, { labels }) => n + labels.length, 0);
        for (const [stage, time] of profile.seconds) (stages[stage] ??= []).push(time);
        if (trained !== undefined) train.push(trained);
        terminal.note(
          `${name}: round ${round + 1} of ${rounds}, detection ${short(seconds)} s${trained === undefined ? "" : `, training step ${short(trained)} s`}`,
        );
      }
      await interrupt.listen();
      if (interrupt.signal.aborted) break;
    }
    if (detect.length === 0) return undefined;
    const { peakMemoryMb } = meter.read();
    return { backend: name, detect, objects, stages, ...(step !== undefined && { train }), peakMemoryMb };
  } finally {
    model.dispose();
  }
}

// Gives the seconds of a step; every step is of the same batch and so small that the weights stay what they
// are.
async function trainer(
  model: MaskRcnn,
  dataset: ReturnType<typeof shapesDataset>,
  { batch, seed = 0 }: BenchOptions,
): Promise<() => Promise<number>> {
  const { channelOrder, range, mean, std, divisor } = model.config.image;
  const drawn = await trainingBatch(dataset, 0, {
    batchSize: batch,
    seed,
    prepare: { channelOrder, range, mean, std },
    divisor,
  });
  const classes = model.config.classes.length;
  const groundTruth = drawn.groundTruth.map((own) => ({
    ...own,
    labels: own.labels.map((label) => Math.min(label, classes)),
  }));
  const learner = trainingModel(model);
  const optimizer = sgd();
  return async () =>
    (
      await trainStep(learner, [{ ...drawn, groundTruth }], optimizer, {
        step: 0,
        rate: 1e-9,
        random: createRandom(seed),
      })
    ).seconds;
}

function table(measured: readonly Measured[], batch: number): string[] {
  const stages = [...new Set(measured.flatMap((one) => Object.keys(one.stages)))];
  const rows: [string, (one: Measured) => string][] = [
    ["detection, s", ({ detect }) => short(median(detect))],
    ["fastest, s", ({ detect }) => short(Math.min(...detect))],
    ["images per second", ({ detect }) => short(batch / median(detect))],
    ["objects found", ({ objects }) => String(objects)],
    ...stages.map((stage): [string, (one: Measured) => string] => [
      `  ${stage}, s`,
      (one) => (one.stages[stage] === undefined ? "" : median(one.stages[stage]).toFixed(4)),
    ]),
    ["training step, s", ({ train }) => (train === undefined ? "" : short(median(train)))],
    ["images per second", ({ train }) => (train === undefined ? "" : short(batch / median(train)))],
    ["peak memory, MB", ({ peakMemoryMb }) => String(peakMemoryMb)],
  ];
  const shown = rows.filter(([, of]) => measured.some((one) => of(one) !== ""));
  return [
    ["", ...measured.map(({ backend }) => backend)],
    ...shown.map(([title, of]) => [title, ...measured.map(of)]),
  ].map(([title = "", ...cells]) => [title.padEnd(20), ...cells.map((cell) => cell.padStart(12))].join(""));
}

/** `mrcnn bench`. @returns the exit code. */
export async function bench(options: BenchOptions, given: Terminal): Promise<number> {
  const { model, weights, size, batch, rounds, allBackends, backend, json } = options;
  if (allBackends && backend !== "auto")
    throw new UsageError(`--all-backends: leave --backend ${backend} out.`);
  const outputs = openOutputs({ "--json": json }, { terminal: given, inputs: [weights] });
  const { terminal } = outputs;
  const interrupt = onInterrupt(terminal, "Stopping after this round.");
  const results: (Measured | Failed)[] = [];
  try {
    for (const name of allBackends ? ALL : [backend]) {
      if (interrupt.signal.aborted) break;
      try {
        const measured = await measure({ ...options, backend: name }, { terminal, interrupt });
        if (measured !== undefined) results.push(measured);
      } catch (error) {
        if (!allBackends) throw error;
        results.push({ backend: name, problem: messageOf(error) });
      }
    }
  } finally {
    interrupt.release();
  }
  const measured = results.filter((one): one is Measured => "detect" in one);
  const processor = `${cpus()[0]?.model.trim() ?? "unknown"}, ${availableParallelism()} processors`;
  if (measured.length > 0) {
    terminal.out(
      `${model}, ${weights ?? (randomEntry(options) === undefined ? "its weights" : "random weights")}, ${plural(batch, "image")} of ${size.height}x${size.width}, medians of ${rounds}; ${processor}`,
    );
    for (const line of table(measured, batch)) terminal.out(line);
  }
  for (const one of results) if ("problem" in one) terminal.out(`${one.backend} is left out: ${one.problem}`);
  await outputs.write({
    "--json": () =>
      `${JSON.stringify({ model, weights, size, batch, rounds, processor, results }, null, 2)}\n`,
  });
  if (interrupt.signal.aborted) return INTERRUPTED;
  return measured.length > 0 ? 0 : 1;
}
