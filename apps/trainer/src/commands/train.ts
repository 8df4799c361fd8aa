/** `mrcnn train`: trains a model from a config, or resumes a run. */
import { existsSync, lstatSync } from "node:fs";
import { basename, resolve } from "node:path";
import { ConfigError, createRandom } from "@mrcnn/core";
import { loadBatches } from "@mrcnn/datasets/node";
import { createMaskRcnn, parseMaskRcnnConfig } from "@mrcnn/model";
import type { MaskRcnn, MaskRcnnConfig } from "@mrcnn/model";
import { assertStepFits, trainingModel } from "@mrcnn/model/training";
import { fit, sgd, warmupMultiStep } from "@mrcnn/trainer";
import type { CheckpointState, StepReport } from "@mrcnn/trainer";
import { hasCheckpoints, readLatestCheckpoint, writeCheckpoint } from "@mrcnn/trainer/node";
import { backend, memory } from "@tensorflow/tfjs";
import { chooseBackend } from "../backend.ts";
import type { BackendOptions } from "../backend.ts";
import { changedConfig, readTrainingConfig } from "../read-config.ts";
import type { TrainingConfig } from "../config.ts";
import { effectNotes } from "../config-effects.ts";
import { dataFingerprint } from "../data-fingerprint.ts";
import { openSource, resolveSource } from "../data-source.ts";
import type { OpenSource } from "../data-source.ts";
import { CommandError, messageOf, UsageError } from "../errors.ts";
import { evaluateModel, headline } from "../evaluation.ts";
import { loadInitialWeights } from "../initial-weights.ts";
import { plural } from "../plural.ts";
import { INTERRUPTED, onInterrupt } from "../interrupt.ts";
import { leastImageSize } from "../memory-estimate.ts";
import { createMemoryMeter, gigabytes } from "../memory-meter.ts";
import type { MemoryReading } from "../memory-meter.ts";
import { createProgress, duration } from "../progress.ts";
import type { Progress } from "../progress.ts";
import { writeRunReport } from "../report.ts";
import { assertResumable, assertSameClasses } from "../resume.ts";
import {
  assertClassesKnown,
  configMadeWith,
  isRun,
  readRunConfig,
  runDirectory,
  writeRunConfig,
} from "../run-directory.ts";
import type { RunDirectory } from "../run-directory.ts";
import { lockRun } from "../run-lock.ts";
import { appendLine, readEvaluations, readMetrics, truncateLogs } from "../run-log.ts";
import type { EvaluationLine, MetricsLine } from "../run-log.ts";
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

interface Resolved {
  /** Absolute paths, the model's defaults, and its classes from the data. */
  readonly config: TrainingConfig;
  readonly model: MaskRcnnConfig;
  readonly data: Data;
}

// The config as the run uses it; `before` is that of the run to go on with.
async function resolveConfig(
  config: TrainingConfig,
  file: string,
  { seed, out }: TrainOptions,
  before: TrainingConfig | undefined,
  terminal: Terminal,
): Promise<Resolved> {
  const sources = {
    train: resolveSource(config.data.train),
    ...(config.data.validation === undefined ? {} : { validation: resolveSource(config.data.validation) }),
  };
  const onNote = (note: string): void => terminal.note(note);
  const { mask } = parseMaskRcnnConfig({ ...config.model, classes: ["any"] }, `${file}: model`);
  const train = await openSource(
    sources.train,
    "data.train",
    { purpose: "training", masks: mask },
    { onNote },
  );
  const validation =
    sources.validation === undefined ?
      undefined
    : await openSource(
        sources.validation,
        "data.validation",
        { purpose: "evaluation", masks: mask },
        { onNote },
      );
  const classes = train.categories.map(({ name }) => name);
  assertSameClasses(before?.model.classes, classes, out);
  if (config.model.classes !== undefined && config.model.classes.join("\n") !== classes.join("\n")) {
    throw new ConfigError(
      `${file}: model.classes are ${config.model.classes.join(", ")}, the data has ${classes.join(", ")}. Leave model.classes out: they come from the data.`,
    );
  }
  if (validation !== undefined)
    assertClassesKnown(
      validation.usedClasses,
      classes,
      `data.validation${sources.validation?.annotations === undefined ? "" : ` (${sources.validation.annotations})`}`,
    );
  const model = parseMaskRcnnConfig({ ...config.model, classes }, `${file}: model`);
  const fingerprint = {
    train: await dataFingerprint(sources.train, train.dataset.length),
    ...(sources.validation !== undefined && {
      validation: await dataFingerprint(sources.validation, validation!.dataset.length),
    }),
  };
  const { initialWeights } = config.training;
  return {
    model,
    data: { train, validation },
    config: {
      ...config,
      model,
      data: { ...sources, fingerprint, categories: [...train.categories] },
      training: {
        ...config.training,
        ...(seed === undefined ? {} : { seed }),
        ...(initialWeights === undefined ? {} : { initialWeights: resolve(initialWeights) }),
      },
    },
  };
}

function assertStartable(run: RunDirectory, resume: boolean): void {
  const left =
    isRun(run.path) ? [] : [run.checkpoints, run.metrics, run.evaluations].filter((path) => existsSync(path));
  if (left.length > 0) {
    throw new CommandError(
      `${run.path} holds what a run has left (${left.map((path) => basename(path)).join(", ")}), but not its config.json. Put that back and continue with --resume, or give another --out.`,
    );
  }
  if (resume && !isRun(run.path))
    throw new CommandError(`--resume: ${run.path} holds no run. Start it without --resume.`);
  // A run folder may be anyone's: what is written stays in it.
  const link = [run.config, run.madeWith, run.metrics, run.evaluations, run.report].find(
    (file) => lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() === true,
  );
  if (resume && link !== undefined)
    throw new CommandError(
      `--resume: ${link} is a link, and would be written to where it leads. Put the file itself there.`,
    );
  if (!resume && isRun(run.path))
    throw new CommandError(
      `${run.path} holds a run already. Continue it with --resume, or give another --out.`,
    );
}

// The checkpoint to go on from, or undefined where none was reached. Nothing is written yet.
async function findStart(
  run: RunDirectory,
  before: TrainingConfig,
  terminal: Terminal,
): Promise<CheckpointState | undefined> {
  const onNote = (note: string): void => terminal.note(note);
  if (await hasCheckpoints(run.checkpoints)) return readLatestCheckpoint(run.checkpoints, { onNote });
  const { checkpointEvery } = before.training;
  const last = readMetrics(run.metrics, { onNote }).at(-1)?.step ?? 0;
  if (last > checkpointEvery) {
    throw new CommandError(
      `--resume: ${run.checkpoints} has no checkpoint, but ${run.metrics} tells of ${last} steps, and one was saved every ${checkpointEvery}. Put the checkpoints back, or train into another --out.`,
    );
  }
  terminal.note("No checkpoint yet: starting from the first step.");
  return undefined;
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

/**
 * `mrcnn train`. Without a config file a run goes on with its own.
 *
 * @returns the exit code.
 */
export async function train(
  file: string | undefined,
  options: TrainOptions,
  terminal: Terminal,
): Promise<number> {
  if (options.precision === "float16")
    throw new UsageError(
      "--precision float16: detection alone can do that; small gradients would vanish. Leave it out.",
    );
  if (file === undefined && !options.resume)
    throw new UsageError(
      "train: a config file must be named, as in `mrcnn train configs/start.json --out runs/first`; only --resume goes without.",
    );
  const run = runDirectory(options.out);
  assertStartable(run, options.resume);
  const lock = lockRun(run.path);
  try {
    assertStartable(run, options.resume);
    return await trainLocked(run, file, options, terminal);
  } finally {
    lock.release();
  }
}

async function trainLocked(
  run: RunDirectory,
  file: string | undefined,
  options: TrainOptions,
  terminal: Terminal,
): Promise<number> {
  const before = options.resume ? configMadeWith(run) : undefined;
  const written =
    file === undefined ?
      changedConfig(readRunConfig(run.path), options.set, run.config)
    : readTrainingConfig(file, options.set);
  const {
    config,
    model: modelConfig,
    data,
  } = await resolveConfig(written, file ?? run.config, options, before, terminal);
  const { training, optimizer: sgdConfig } = config;
  const notes =
    before === undefined ?
      []
    : assertResumable(before, config, {
        run: options.out,
        file,
        assignments: options.set,
        stated: written.data.fingerprint?.train,
      });
  const resume = before === undefined ? undefined : await findStart(run, before, terminal);
  for (const note of [
    ...notes,
    ...effectNotes(config),
    ...data.train.notes,
    ...(data.validation?.notes ?? []),
  ])
    terminal.note(note);
  await chooseBackend(options, terminal);
  const usesGpu = (backend() as { isUsingGpuDevice?: boolean }).isUsingGpuDevice === true;

  const size = leastImageSize(config);
  // Before the first batch is made, where that can be told.
  if (size !== undefined) assertStepFits({ config: modelConfig, count: training.batchSize, size });

  const { channelOrder, range, mean, std, divisor } = modelConfig.image;
  const model = createMaskRcnn(modelConfig, createRandom(training.seed));
  const optimizer = sgd({
    momentum: sgdConfig.momentum,
    weightDecay: sgdConfig.weightDecay,
    decay: sgdConfig.decayNorms ? "all" : "weights",
  });
  const interrupt = onInterrupt(terminal, "Stopping after this step, with a checkpoint.", { faults: true });
  let progress: Progress | undefined;
  try {
    if (resume === undefined && training.initialWeights !== undefined) {
      const { notes: taken } = await loadInitialWeights(model, training.initialWeights);
      for (const note of taken) terminal.note(note);
    }
    const start = resume?.step ?? 0;
    truncateLogs(run, start, { onNote: (note) => terminal.note(note) });
    writeRunConfig(run, config);
    const events = createEventWriter(run.path, { step: start });
    terminal.note(describe(model, data, config, start));

    const meter = createMemoryMeter({ usesGpu });
    const news = createNews();
    let reading: MemoryReading | undefined;
    const began = performance.now();
    // A finished run that is resumed has its last line already.
    let evaluated = readEvaluations(run.evaluations).at(-1);
    const evaluate = async (step: number): Promise<void> => {
      if (data.validation === undefined || evaluated?.step === step) return;
      const { limit, ...settings } = config.evaluation;
      const { validation } = data;
      const work = (): ReturnType<typeof evaluateModel> =>
        evaluateModel(model, validation, data.train.categories, { settings, limit, interrupt, step });
      const line = await (progress === undefined ? work() : progress.aside(work));
      if (line === undefined) return; // stopped
      evaluated = line;
      appendLine(run.evaluations, line);
      events.scalars(step, flatScores(line));
      const text = `step ${step}: ${headline(line)} on ${plural(line.images, "validation image")} (${duration(line.seconds)})`;
      if (progress === undefined) terminal.note(text);
      else progress.note(text);
    };

    progress = createProgress(terminal, { label: "train", unit: "steps", total: training.steps, start });
    let saved = start;
    let unsaved: string | undefined;
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
            saved = state.step;
          },
          unsaved: (reason) => void (unsaved = messageOf(reason)),
        },
      },
    }).catch((error: unknown) => {
      progress?.stop();
      progress = undefined;
      if (unsaved !== undefined) terminal.note(`The steps since ${saved} could not be saved: ${unsaved}`);
      terminal.note(
        saved === 0 ? "No step was saved." : (
          `Saved at step ${saved} of ${training.steps}; continue with --resume.`
        ),
      );
      throw error;
    });
    progress.stop();
    progress = undefined;
    const time = duration((performance.now() - began) / 1000);
    if (done.stopped) {
      terminal.note(`Stopped at step ${done.step} of ${training.steps}; continue with --resume.`);
      if (interrupt.fault !== undefined) throw interrupt.fault;
      return INTERRUPTED;
    }
    if (done.step > start) terminal.note(`Trained ${plural(done.step - start, "step")} in ${time}.`);
    await evaluate(done.step);
    if (interrupt.signal.aborted) return INTERRUPTED;
    await writeRunReport(run, {
      model,
      config,
      source: data.validation ?? data.train,
      isValidation: data.validation !== undefined,
      categories: data.train.categories,
    });
    terminal.out(`${run.report}`);
    return 0;
  } finally {
    progress?.stop();
    interrupt.release();
    optimizer.dispose();
    model.dispose();
  }
}

function describe(
  model: MaskRcnn,
  { train, validation }: Data,
  { training }: TrainingConfig,
  start: number,
): string {
  const parameters = model.trainable.reduce((n, name) => n + (model.variables.get(name)?.size ?? 0), 0);
  const images = `${plural(train.dataset.length, "image")}${validation === undefined ? "" : ` (and ${validation.dataset.length} for validation)`}`;
  if (start >= training.steps) return `All ${training.steps} steps are done.`;
  const steps = start === 0 ? plural(training.steps, "step") : `steps ${start + 1} to ${training.steps}`;
  return `Training ${(parameters / 1e6).toFixed(1)} M parameters, ${plural(model.config.classes.length, "class")}, on ${images}: ${steps} of ${plural(training.batchSize * training.accumulate, "image")}.`;
}

const defined = <T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as never;

// TensorBoard groups by what stands before the slash.
const tagged = ({ lr, loss, ...rest }: MetricsLine): Record<string, number> => ({
  loss,
  lr,
  ...Object.fromEntries(
    Object.entries(rest).flatMap(([name, value]) =>
      name === "step" ? [] : [[name.startsWith("loss_") ? `losses/${name}` : `run/${name}`, value]],
    ),
  ),
});

const flatScores = ({ bbox, segm }: EvaluationLine): Record<string, number> =>
  Object.fromEntries(
    Object.entries({ bbox, segm }).flatMap(([type, scores]) =>
      Object.entries(scores?.stats ?? {}).map(([name, value]) => [`validation/${type}_${name}`, value]),
    ),
  );
