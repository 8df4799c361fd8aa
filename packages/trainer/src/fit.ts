/** The training loop: steps, reports, evaluations and checkpoints. */
import { ConfigError, createRandom, TrainingError } from "@mrcnn/core";
import type { TrainingBatch } from "@mrcnn/core";
import type { TrainableModel } from "@mrcnn/core/tensors";
import { restoreState, saveState } from "./checkpoint.ts";
import type { CheckpointState } from "./checkpoint.ts";
import type { Schedule } from "./schedule.ts";
import type { Optimizer } from "./sgd.ts";
import { submitStep } from "./step.ts";
import type { StepReport, SubmittedStep } from "./step.ts";

/** Options of `fit`. */
export interface FitOptions {
  /** The model to train, in place. */
  readonly model: TrainableModel;
  /**
   * Returns the batches from micro-batch `start` on. The content of the k-th micro-batch depends on k alone,
   * so that a resumed run sees the same data.
   */
  readonly batches: (start: number) => AsyncIterable<TrainingBatch>;
  /** The optimizer. It stays the caller's: dispose it after the run. */
  readonly optimizer: Optimizer;
  /** The learning rate of each step. */
  readonly schedule: Schedule;
  /** Number of updates in the whole run. */
  readonly steps: number;
  /** Seed of the random sampling in each step. */
  readonly seed: number;
  /** Number of micro-batches per update; their gradients are averaged. Default 1. */
  readonly accumulate?: number;
  /**
   * Maximum global L2 norm of the gradients; larger gradients are scaled down to it. Default: no clipping.
   */
  readonly clipNorm?: number | undefined;
  /** State to continue from, instead of starting at step 0. */
  readonly resume?: CheckpointState | undefined;
  /** Stops the run after the current step; a checkpoint is saved. */
  readonly signal?: AbortSignal | undefined;
  /** Callbacks that run between steps. */
  readonly hooks?: FitHooks;
}

/** Callbacks that run between steps, with no tape open: they may use the device. */
export interface FitHooks {
  /**
   * Called for each step, in order. On a device that computes asynchronously the variables may already be
   * those after the next step, whose forward pass was submitted before the end of this one was known.
   * `waited`: seconds spent waiting for the step's data.
   */
  afterStep?(report: StepReport & { readonly waited: number }): void | Promise<void>;
  /**
   * Runs after every `every` steps except the last one, when all earlier steps are done and reported. A run
   * that resumes at such a step evaluates it again, as it may have been stopped during the evaluation.
   */
  readonly evaluation?: { readonly every: number; run(step: number): Promise<void> };
  /**
   * Saves a checkpoint after every `every` steps, at the end, when stopped, and before an error ends the run.
   * All earlier steps are done, and reported unless the report itself failed.
   */
  readonly checkpoint?: {
    readonly every: number;
    save(state: CheckpointState): Promise<void>;
    /**
     * Called with the reason when an error ends the run and the steps since the last checkpoint can't be
     * saved.
     */
    unsaved?(reason: unknown): void;
  };
}

/**
 * Trains for `steps` updates. A run stopped at any step and resumed from its checkpoint does the same
 * arithmetic as an uninterrupted one. An error of any kind (an unreadable image, a hook that throws) ends the
 * run with a checkpoint of the updates done so far, unless the weights can't be read any more or an update
 * was interrupted halfway.
 *
 * @returns the number of updates done, and whether the signal stopped the run.
 * @throws TrainingError when a loss is not finite (the next step may have begun by then, but has changed
 * nothing) or the batches end early; WeightsError or ConfigError when the state to resume belongs to another
 * model or seed.
 */
export async function fit(
  options: FitOptions,
): Promise<{ readonly step: number; readonly stopped: boolean }> {
  const {
    model,
    optimizer,
    schedule,
    steps,
    seed,
    accumulate = 1,
    clipNorm,
    resume,
    signal,
    hooks = {},
  } = options;
  if (resume !== undefined && resume.seed !== seed) {
    throw new ConfigError(`fit: seed must be ${resume.seed}, that of the run to resume, got ${seed}.`);
  }
  if (resume !== undefined) restoreState(model, optimizer, resume);
  // `step` counts the updates submitted to the device, `done` those known to have finished.
  let step = resume?.step ?? 0;
  let done = step;
  // The last step that was saved, or whose saving failed.
  let saved = step;
  const save = async (): Promise<void> => {
    if (hooks.checkpoint === undefined || saved === done) return;
    saved = done;
    await hooks.checkpoint.save(await saveState(model, optimizer, { step: done, seed }));
  };
  const stopped = (): boolean => signal?.aborted === true;
  let isCut = false;
  const updates: Pick<Optimizer, "apply"> = {
    apply(...args) {
      isCut = true;
      optimizer.apply(...args);
      isCut = false;
    },
  };

  // The submitted step whose report is outstanding: it is awaited only after the next step has been
  // submitted.
  let pending: { readonly submitted: SubmittedStep; readonly waited: number } | undefined;
  const settle = async (): Promise<void> => {
    if (pending === undefined) return;
    const { submitted, waited } = pending;
    pending = undefined;
    const report = await submitted.report();
    done = report.step + 1;
    await hooks.afterStep?.({ ...report, waited });
  };
  // Without an interval, never.
  const isDue = (every = NaN): boolean => step % every === 0;

  const source = options.batches(step * accumulate)[Symbol.asyncIterator]();
  try {
    if (step > 0 && step < steps && isDue(hooks.evaluation?.every) && !stopped())
      await hooks.evaluation!.run(step);
    while (step < steps && !stopped()) {
      const asked = performance.now();
      const batches: TrainingBatch[] = [];
      while (batches.length < accumulate) {
        const next = await source.next();
        if (next.done === true)
          throw new TrainingError(`fit: the batches ended at step ${step} of ${steps}.`);
        batches.push(next.value);
      }
      const waited = (performance.now() - asked) / 1000;
      const random = createRandom(seed).fork(step);
      const submitted = await submitStep(model, batches, updates, {
        step,
        rate: schedule(step),
        random,
        clipNorm,
        after: pending?.submitted,
      });
      await settle().catch(async (error: unknown) => {
        // A step after one that was not finite changes nothing; a step after one whose report a hook rejected
        // does.
        const isDone = done === step;
        await submitted.report().then(
          () => isDone && (done = step + 1),
          () => {},
        );
        throw error;
      });
      pending = { submitted, waited };
      step++;
      // The backend has already waited for the step.
      if (submitted.scale === undefined) await settle();
      // A backend that computes synchronously never yields: signals, timers and workers get their turn here.
      await new Promise((resolve) => setTimeout(resolve));
      const isEvaluated = isDue(hooks.evaluation?.every) && step < steps;
      const isSaved = isDue(hooks.checkpoint?.every);
      if (isEvaluated || isSaved) await settle();
      if (isEvaluated) await hooks.evaluation!.run(step);
      if (isSaved) await save();
    }
    await settle();
    await save();
    return { step, stopped: step < steps };
  } catch (error) {
    // An error of the outstanding step is the earlier one, so it is the one to report.
    const first = await settle().then(
      () => error,
      (earlier: unknown) => earlier,
    );
    await (
      isCut ?
        Promise.reject(
          new TrainingError(
            `fit: the update of step ${done} was cut in the middle, so the weights are those of no step.`,
          ),
        )
      : save()).catch((reason: unknown) => hooks.checkpoint?.unsaved?.(reason));
    throw first;
  } finally {
    await source.return?.();
  }
}
