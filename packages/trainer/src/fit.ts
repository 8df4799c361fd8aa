import { ConfigError, createRandom, TrainingError } from "@mrcnn/core";
import type { TrainingBatch } from "@mrcnn/core";
import type { TrainableModel } from "@mrcnn/core/tensors";
import { restoreState, saveState } from "./checkpoint.ts";
import type { CheckpointState } from "./checkpoint.ts";
import type { Schedule } from "./schedule.ts";
import type { Optimizer } from "./sgd.ts";
import { submitStep } from "./step.ts";
import type { StepReport, SubmittedStep } from "./step.ts";

/** A training run. */
export interface FitOptions {
  /** What is trained, in place. */
  readonly model: TrainableModel;
  /** Batches from micro-batch `start` on; what the k-th one holds depends on k alone, so that a resumed run sees the same. */
  readonly batches: (start: number) => AsyncIterable<TrainingBatch>;
  /** Stays the caller's: dispose it after the run. */
  readonly optimizer: Optimizer;
  /** The learning rate of each step. */
  readonly schedule: Schedule;
  /** Updates in the whole run. */
  readonly steps: number;
  /** Decides what is sampled in each step. */
  readonly seed: number;
  /** Micro-batches per update; gradients are averaged. Default 1. */
  readonly accumulate?: number;
  /** Scales gradients whose global L2 norm exceeds this. Default: no clipping. */
  readonly clipNorm?: number | undefined;
  /** Continues this state instead of starting at step 0. */
  readonly resume?: CheckpointState | undefined;
  /** Stops after the current step; a checkpoint is saved. */
  readonly signal?: AbortSignal | undefined;
  /** Called between steps. */
  readonly hooks?: FitHooks;
}

/** Called between steps, with no tape open: they may use the device. */
export interface FitHooks {
  /**
   * In the order of the steps. The variables may be those after the next step already, whose forward pass the device was
   * given before this one was known to have ended. `waited`: seconds spent waiting for the step's data.
   */
  afterStep?(report: StepReport & { readonly waited: number }): void | Promise<void>;
  /**
   * Run every so many steps but after the last one, when all steps before are done and reported; once more when a run goes
   * on at such a step, as it may have been stopped in the midst of it.
   */
  readonly evaluation?: { readonly every: number; run(step: number): Promise<void> };
  /**
   * Saved every so many steps, at the end, when stopped, and before an error ends the run; all steps before are done, and
   * reported unless reporting is what failed.
   */
  readonly checkpoint?: {
    readonly every: number;
    save(state: CheckpointState): Promise<void>;
    /** Told why the steps since the last checkpoint are lost, when an error ends the run and they can't be saved. */
    unsaved?(reason: unknown): void;
  };
}

/**
 * Trains for `steps` updates. A run stopped at any step and resumed from its checkpoint does the same
 * arithmetic as an uninterrupted one. An error of any kind (a picture that can't be read, a hook that throws) ends it
 * with a checkpoint of the updates that are done, unless the weights can't be read any more or an update was cut in the middle.
 *
 * @returns how many updates are done, and whether the signal stopped it.
 * @throws TrainingError when a loss is not finite (the next step may have begun then, but has changed nothing either) or
 *   the batches end early; WeightsError or ConfigError
 *   when the state to resume is of another model or seed.
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
  // Updates whose commands are given, and of those the ones known to have been done.
  let step = resume?.step ?? 0;
  let done = step;
  // The step that was saved last, or that saving failed at.
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

  // The step whose report is still to come: it is waited for only when the next one's commands are given.
  let pending: { readonly submitted: SubmittedStep; readonly waited: number } | undefined;
  const settle = async (): Promise<void> => {
    if (pending === undefined) return;
    const { submitted, waited } = pending;
    pending = undefined;
    const report = await submitted.report();
    done = report.step + 1;
    await hooks.afterStep?.({ ...report, waited });
  };
  // Never without an interval.
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
        // A step after one that was not finite has changed nothing; after one whose report was refused it has.
        const isDone = done === step;
        await submitted.report().then(
          () => isDone && (done = step + 1),
          () => {},
        );
        throw error;
      });
      pending = { submitted, waited };
      step++;
      // Where it was waited for anyway.
      if (submitted.scale === undefined) await settle();
      // A backend that computes synchronously never waits: signals, timers and workers get their turn here.
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
    // What went wrong before comes first.
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
