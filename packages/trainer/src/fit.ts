import { ConfigError, createRandom, TrainingError } from "@mrcnn/core";
import type { TrainableModel, TrainingBatch } from "@mrcnn/core";
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
  /** Run every so many steps but after the last one, when all steps before are done and reported. */
  readonly evaluation?: { readonly every: number; run(step: number): Promise<void> };
  /** Saved every so many steps, at the end and when stopped; all steps before are done and reported. */
  readonly checkpoint?: { readonly every: number; save(state: CheckpointState): Promise<void> };
}

/**
 * Trains for `steps` updates. A run stopped at any step and resumed from its checkpoint does the same
 * arithmetic as an uninterrupted one.
 *
 * @returns how many updates are done, and whether the signal stopped it.
 * @throws TrainingError when a loss is not finite (the next step may have begun then, but has changed nothing either) or
 *   the batches end early; WeightsError or ConfigError
 *   when the state to resume is of another model or seed.
 */
export async function fit(options: FitOptions): Promise<{ readonly step: number; readonly stopped: boolean }> {
  const { model, optimizer, schedule, steps, seed, accumulate = 1, clipNorm, resume, signal, hooks = {} } = options;
  if (resume !== undefined && resume.seed !== seed) {
    throw new ConfigError(`fit: seed must be ${resume.seed}, that of the run to resume, got ${seed}.`);
  }
  if (resume !== undefined) restoreState(model, optimizer, resume);
  let step = resume?.step ?? 0;
  const save = async (): Promise<void> => hooks.checkpoint?.save(await saveState(model, optimizer, { step, seed }));
  const stopped = (): boolean => signal?.aborted === true;

  // The step whose report is still to come: it is waited for only when the next one's commands are given.
  let pending: { readonly submitted: SubmittedStep; readonly waited: number } | undefined;
  const settle = async (): Promise<void> => {
    if (pending === undefined) return;
    const { submitted, waited } = pending;
    pending = undefined;
    await hooks.afterStep?.({ ...(await submitted.report()), waited });
  };
  const isDue = (every: number | undefined): boolean => every !== undefined && step % every === 0;

  const source = options.batches(step * accumulate)[Symbol.asyncIterator]();
  try {
    let saved = step;
    while (step < steps && !stopped()) {
      const asked = performance.now();
      const batches: TrainingBatch[] = [];
      while (batches.length < accumulate) {
        const next = await source.next();
        if (next.done === true) throw new TrainingError(`fit: the batches ended at step ${step} of ${steps}.`);
        batches.push(next.value);
      }
      const waited = (performance.now() - asked) / 1000;
      const random = createRandom(seed).fork(step);
      const submitted = await submitStep(model, batches, optimizer, { step, rate: schedule(step), random, clipNorm, after: pending?.submitted });
      await settle().catch(async (error: unknown) => {
        await submitted.report().catch(() => {});
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
      if (isSaved) {
        await save();
        saved = step;
      }
    }
    await settle();
    if (saved !== step) await save();
    return { step, stopped: step < steps };
  } catch (error) {
    // What went wrong before comes first.
    await settle();
    throw error;
  } finally {
    await source.return?.();
  }
}
