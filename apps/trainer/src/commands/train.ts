import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { ConfigError, createRandom } from "@mrcnn/core";
import { loadBatches } from "@mrcnn/datasets/node";
import { createMaskRcnn, parseMaskRcnnConfig } from "@mrcnn/model";
import type { MaskRcnn, MaskRcnnConfig } from "@mrcnn/model";
import { trainingModel } from "@mrcnn/model/training";
import { fit, sgd, warmupMultiStep } from "@mrcnn/trainer";
import type { CheckpointState, StepReport } from "@mrcnn/trainer";
import { readLatestCheckpoint, writeCheckpoint } from "@mrcnn/trainer/node";
import { backend, memory } from "@tensorflow/tfjs";
import { chooseBackend } from "../backend.ts";
import type { BackendOptions } from "../backend.ts";
import { readTrainingConfig } from "../config.ts";
import type { TrainingConfig } from "../config.ts";
import { openSource, resolveSource } from "../data-source.ts";
import type { OpenSource } from "../data-source.ts";
import { CommandError, UsageError } from "../errors.ts";
import { evaluateModel, headline } from "../evaluation.ts";
import { assertWritable, readJsonLines } from "../files.ts";
import { loadInitialWeights } from "../initial-weights.ts";
import { INTERRUPTED, onInterrupt } from "../interrupt.ts";
import { createMemoryMeter, gigabytes } from "../memory-meter.ts";
import type { MemoryReading } from "../memory-meter.ts";
import { createProgress, duration } from "../progress.ts";
import type { Progress } from "../progress.ts";
import { writeRunReport } from "../report.ts";
import { appendLine, assertClassesKnown, assertResumable, isRun, readRunConfig, runDirectory, truncateLog, writeRunConfig } from "../run-directory.ts";
import type { EvaluationLine, MetricsLine, RunDirectory } from "../run-directory.ts";
import type { Terminal } from "../terminal.ts";
import { createEventWriter } from "../tensorboard.ts";

export interface TrainOptions extends BackendOptions {
  readonly out: string;
  readonly set: readonly string[];
  readonly resume: boolean;
  readonly seed?: number | undefined;
}

interface Data {
  readonly train: OpenSource;
  readonly validation: OpenSource | undefined;
}

// The config as the run uses it: absolute paths, the model's defaults, and its classes from the data.
async function resolveConfig(config: TrainingConfig, file: string, seed: number | undefined): Promise<{ config: TrainingConfig; model: MaskRcnnConfig; data: Data }> {
  const sources = {
    train: resolveSource(config.data.train),
    ...(config.data.validation === undefined ? {} : { validation: resolveSource(config.data.validation) }),
  };
  const train = await openSource(sources.train, "data.train");
  const validation = sources.validation === undefined ? undefined : await openSource(sources.validation, "data.validation");
  const classes = train.categories.map(({ name }) => name);
  if (config.model.classes !== undefined && config.model.classes.join("\n") !== classes.join("\n")) {
    throw new ConfigError(`${file}: model.classes are ${config.model.classes.join(", ")}, the data has ${classes.join(", ")}. Leave model.classes out: they come from the data.`);
  }
  if (validation !== undefined) assertClassesKnown(validation.categories.map(({ name }) => name), classes, "data.validation");
  const model = parseMaskRcnnConfig({ ...config.model, classes }, `${file}: model`);
  for (const [name, source] of [["data.train", train], ["data.validation", validation]] as const) {
    if (model.mask && source !== undefined && "hasMasks" in source.dataset && source.dataset.hasMasks === false) {
      throw new ConfigError(`${file}: ${name} has boxes without masks, and model.mask is true. Set model.mask=false to train on boxes alone.`);
    }
  }
  const { initialWeights } = config.training;
  return {
    model,
    data: { train, validation },
    config: {
      ...config,
      model,
      data: { ...sources, categories: [...train.categories] },
      training: {
        ...config.training,
        ...(seed === undefined ? {} : { seed }),
        ...(initialWeights === undefined ? {} : { initialWeights: resolve(initialWeights) }),
      },
    },
  };
}

// The checkpoint to go on from, or undefined for a fresh start. Nothing is written yet.
async function findStart(run: RunDirectory, config: TrainingConfig, resume: boolean, terminal: Terminal): Promise<CheckpointState | undefined> {
  if (!resume) {
    if (isRun(run.path)) throw new CommandError(`${run.path} holds a run already. Continue it with --resume, or give another --out.`);
    return undefined;
  }
  if (!isRun(run.path)) throw new CommandError(`--resume: ${run.path} holds no run. Start it without --resume.`);
  assertResumable(readRunConfig(run.path), config, run.path);
  if (!existsSync(join(run.checkpoints, "latest"))) {
    terminal.note("No checkpoint yet: starting from the first step.");
    return undefined;
  }
  return readLatestCheckpoint(run.checkpoints);
}

type Step = StepReport & { readonly waited: number };

function metricsOf(report: Step, reading: MemoryReading): MetricsLine {
  const seconds = report.seconds + report.waited;
  return {
    step: report.step + 1,
    lr: report.rate,
    loss: report.loss,
    ...report.losses,
    ...(report.gradientNorm === undefined ? {} : { gradientNorm: report.gradientNorm }),
    secondsPerStep: seconds,
    secondsWaiting: report.waited,
    waitingShare: report.waited / seconds,
    imagesPerSecond: report.images / seconds,
    ...reading,
    tensors: memory().numTensors,
  };
}

// The news of a step for the progress line; the share of waiting only where it is worth a thought.
function createNews(): (step: Step, reading: MemoryReading | undefined) => string {
  let [seconds, waited] = [0, 0];
  return (step, reading) => {
    // Over the last ten steps or so.
    seconds = 0.9 * seconds + step.seconds + step.waited;
    waited = 0.9 * waited + step.waited;
    const share = Math.round((100 * waited) / seconds);
    return [
      `loss ${step.loss.toFixed(3)}`,
      ...(reading === undefined ? [] : [gigabytes(reading.gpuMemoryMb ?? reading.peakMemoryMb)]),
      ...(share < 5 ? [] : [`${share} % waiting for data`]),
    ].join(", ");
  };
}

/** `mrcnn train`. @returns the exit code. */
export async function train(file: string, options: TrainOptions, terminal: Terminal): Promise<number> {
  if (options.precision === "float16") throw new UsageError("--precision float16: detection alone can do that; small gradients would vanish. Leave it out.");
  const { config, model: modelConfig, data } = await resolveConfig(readTrainingConfig(file, options.set), file, options.seed);
  const { training, optimizer: sgdConfig } = config;
  const run = runDirectory(options.out);
  const resume = await findStart(run, config, options.resume, terminal);
  assertWritable(run.path);
  await chooseBackend(options, terminal);
  const usesGpu = (backend() as { isUsingGpuDevice?: boolean }).isUsingGpuDevice === true;

  const { channelOrder, range, mean, std, divisor } = modelConfig.image;
  const model = createMaskRcnn(modelConfig, createRandom(training.seed));
  const optimizer = sgd({ momentum: sgdConfig.momentum, weightDecay: sgdConfig.weightDecay, decay: sgdConfig.decayNorms ? "all" : "weights" });
  const interrupt = onInterrupt(terminal, "Stopping after this step, with a checkpoint.");
  let progress: Progress | undefined;
  try {
    if (resume === undefined && training.initialWeights !== undefined) {
      const { found, of } = await loadInitialWeights(model, training.initialWeights);
      terminal.note(`Initial weights: ${found} of ${of} tensors from ${training.initialWeights}.`);
    }
    const start = resume?.step ?? 0;
    writeRunConfig(run, config);
    for (const log of [run.metrics, run.evaluations]) truncateLog(log, start);
    const events = createEventWriter(run.path, { step: start });
    terminal.note(describe(model, data, config, start));

    const meter = createMemoryMeter({ usesGpu });
    const news = createNews();
    let reading: MemoryReading | undefined;
    const began = performance.now();
    // A finished run that is resumed has its last line already.
    let evaluated = readJsonLines<EvaluationLine>(run.evaluations).at(-1);
    const evaluate = async (step: number): Promise<void> => {
      if (data.validation === undefined) return;
      const { limit, ...settings } = config.evaluation;
      const line = await evaluateModel(model, data.validation, data.train.categories, { settings, limit, interrupt, step });
      if (line === undefined) return; // stopped
      evaluated = line;
      appendLine(run.evaluations, line);
      events.scalars(step, flatScores(line));
      const text = `step ${step}: ${headline(line)} on ${line.images} validation images (${duration(line.seconds)})`;
      if (progress === undefined) terminal.note(text);
      else progress.note(text);
    };

    progress = createProgress(terminal, { label: "train", unit: "steps", total: training.steps, start });
    const done = await fit({
      model: trainingModel(model),
      batches: (startStep) =>
        loadBatches(data.train.description, {
          batchSize: training.batchSize,
          seed: training.seed,
          prepare: { channelOrder, range, mean, std, ...defined(config.augment) },
          divisor,
          ...(training.workers === undefined ? {} : { workers: training.workers }),
          startStep,
        }),
      optimizer,
      schedule: warmupMultiStep({ ...sgdConfig, baseRate: sgdConfig.rate }),
      steps: training.steps,
      seed: training.seed,
      accumulate: training.accumulate,
      clipNorm: sgdConfig.clipNorm,
      resume,
      signal: interrupt.signal,
      hooks: {
        async afterStep(report) {
          const step = report.step + 1;
          if (step % training.logEvery === 0 || step === training.steps) {
            reading = meter.read();
            const line = metricsOf(report, reading);
            appendLine(run.metrics, line);
            events.scalars(step, tagged(line));
          }
          progress!.update(step, news(report, reading));
        },
        ...(training.evaluateEvery > 0 && { evaluation: { every: training.evaluateEvery, run: evaluate } }),
        checkpoint: {
          every: training.checkpointEvery,
          async save(state) {
            await writeCheckpoint(run.checkpoints, state);
          },
        },
      },
    });
    progress.stop();
    progress = undefined;
    const time = duration((performance.now() - began) / 1000);
    if (done.stopped) {
      terminal.note(`Stopped at step ${done.step} of ${training.steps}; continue with --resume.`);
      return INTERRUPTED;
    }
    if (done.step > start) terminal.note(`Trained ${done.step - start} steps in ${time}.`);
    if (evaluated?.step !== done.step) await evaluate(done.step);
    if (interrupt.signal.aborted) return INTERRUPTED;
    await writeRunReport(run, { model, config, source: data.validation ?? data.train, isValidation: data.validation !== undefined, categories: data.train.categories });
    terminal.out(`${run.report}`);
    return 0;
  } finally {
    progress?.stop();
    interrupt.release();
    optimizer.dispose();
    model.dispose();
  }
}

function describe(model: MaskRcnn, { train, validation }: Data, { training }: TrainingConfig, start: number): string {
  const parameters = model.trainable.reduce((n, name) => n + (model.variables.get(name)?.size ?? 0), 0);
  const images = `${train.dataset.length} images${validation === undefined ? "" : ` (and ${validation.dataset.length} for validation)`}`;
  if (start >= training.steps) return `All ${training.steps} steps are done.`;
  const steps = start === 0 ? `${training.steps} steps` : `steps ${start + 1} to ${training.steps}`;
  return `Training ${(parameters / 1e6).toFixed(1)} M parameters, ${model.config.classes.length} classes, on ${images}: ${steps} of ${training.batchSize * training.accumulate} images.`;
}

const defined = <T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as never;

// TensorBoard groups by what stands before the slash.
const tagged = ({ lr, loss, ...rest }: MetricsLine): Record<string, number> => ({
  loss,
  lr,
  ...Object.fromEntries(
    Object.entries(rest).flatMap(([name, value]) => (name === "step" ? [] : [[name.startsWith("loss_") ? `losses/${name}` : `run/${name}`, value]])),
  ),
});

const flatScores = ({ bbox, segm }: EvaluationLine): Record<string, number> =>
  Object.fromEntries(
    Object.entries({ bbox, segm }).flatMap(([type, scores]) => Object.entries(scores?.stats ?? {}).map(([name, value]) => [`validation/${type}_${name}`, value])),
  );
