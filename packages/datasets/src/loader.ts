/** Loading of training batches ahead of the steps, in threads. */
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { DatasetError, MrcnnError, type Dataset, type ErrorCode, type TrainingBatch } from "@mrcnn/core";
import { Piscina } from "piscina";
import { trainingBatch, type BatchPlan } from "./batches.ts";
import type { Failure, WorkerAnswer, WorkerData } from "./loader-worker.ts";
import { openDataset, unread, type DatasetDescription } from "./open.ts";

/** Options of loading batches. */
export interface LoaderOptions extends BatchPlan {
  /** The first step, counted from 0: for a resumed run its next one. Default 0. */
  readonly startStep?: number;
  /** The step before which to stop. Default none. */
  readonly endStep?: number;
  /**
   * Number of threads that decode and augment; 0 does so in the calling thread. Default the number of
   * processors less one, within 1 to 4; always 0 when run from TypeScript source, which threads can't load.
   */
  readonly workers?: number;
  /**
   * Number of batches prepared ahead, including those in progress; no more are in memory. Default twice the
   * workers. Without workers 1: one thread can't prepare the next batch while it computes, and the
   * preparation should count as waiting.
   */
  readonly prefetch?: number;
  /** Signal that ends the iteration with its reason. */
  readonly signal?: AbortSignal;
}

const fromSource = import.meta.url.endsWith(".ts");

/**
 * Yields the batches of training steps `startStep`, `startStep + 1`, ... in order, prepared ahead in threads.
 * Batch k is `trainingBatch(dataset, k, options)` whatever the number of threads. Leaving the loop stops the
 * threads. A `Dataset` instead of a description is read in the calling thread. Pictures are checked only when
 * each is read; use `openDataset` to check them beforehand.
 *
 * @throws DatasetError naming the file or annotation, or a thread that died, when its batch is due; the
 * signal's reason when aborted.
 */
export async function* loadBatches(
  source: DatasetDescription | Dataset,
  options: LoaderOptions,
): AsyncGenerator<TrainingBatch, void, undefined> {
  const { batchSize, seed, prepare, shuffle = true, divisor = 32, size, signal } = options;
  const { startStep = 0, endStep = Infinity } = options;
  const plan: BatchPlan = {
    batchSize,
    seed,
    prepare,
    shuffle,
    divisor,
    ...(size === undefined ? {} : { size }),
  };
  const wanted = options.workers ?? Math.min(4, Math.max(1, availableParallelism() - 1));
  const workers = fromSource || !("kind" in source) ? 0 : wanted;
  const prefetch = options.prefetch ?? Math.max(1, 2 * workers);
  signal?.throwIfAborted();

  const producer =
    workers > 0 ? threads(source as DatasetDescription, plan, workers) : await here(source, plan);
  const ahead: Promise<TrainingBatch>[] = [];
  try {
    for (let step = startStep, next = startStep; step < endStep; step++) {
      for (; next < endStep && next < step + prefetch; next++) {
        const batch = producer.prepare(next);
        batch.catch(() => {}); // thrown when its turn comes
        ahead.push(batch);
      }
      yield await unlessAborted(ahead.shift()!, signal);
      signal?.throwIfAborted();
    }
  } finally {
    await producer.stop();
  }
}

// Not Promise.race: racing every batch against one long-lived promise would keep them all in memory.
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  let abort = (): void => {};
  try {
    return await new Promise<T>((resolve, reject) => {
      abort = () => reject(signal.reason);
      signal.addEventListener("abort", abort);
      promise.then(resolve, reject);
    });
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

interface Producer {
  prepare(step: number): Promise<TrainingBatch>;
  stop(): Promise<void>;
}

async function here(source: DatasetDescription | Dataset, plan: BatchPlan): Promise<Producer> {
  const dataset = "kind" in source ? await openDataset(unread(source)) : source;
  // One after the other, since there is one thread.
  let last: Promise<unknown> = Promise.resolve();
  let stopped = false;
  return {
    prepare(step) {
      const batch = last.then(() =>
        stopped ? Promise.reject(new Error("stopped")) : trainingBatch(dataset, step, plan),
      );
      last = batch.catch(() => {});
      return batch;
    },
    async stop() {
      stopped = true;
    },
  };
}

function threads(description: DatasetDescription, plan: BatchPlan, workers: number): Producer {
  const workerData: WorkerData = { description: unread(description), plan };
  const pool = new Piscina<number, WorkerAnswer>({
    filename: fileURLToPath(new URL("./loader-worker.js", import.meta.url)),
    name: "prepareStep",
    minThreads: workers,
    maxThreads: workers,
    execArgv: [], // threads run built code, whatever conditions this process resolves imports with
    workerData,
  });
  // Set when a thread dies between tasks, so that waiting tasks don't wait forever.
  let broken: Error | undefined;
  pool.on("error", (error: Error) => {
    broken ??= error;
    void pool.destroy();
  });
  const run = async (step: number): Promise<WorkerAnswer> => {
    try {
      if (broken !== undefined) throw broken;
      return await pool.run(step);
    } catch (error) {
      const reason = broken ?? (error as Error);
      throw new DatasetError(
        `loadBatches: a thread died preparing the batch of step ${step} (${reason.message}). ` +
          "Its images may take more memory than there is: use fewer workers, or 0 to prepare them in the calling thread.",
        { cause: reason },
      );
    }
  };
  return {
    async prepare(step) {
      const answer = await run(step);
      if ("failure" in answer) throw revive(answer.failure);
      return answer.batch;
    },
    stop: () => pool.destroy(),
  };
}

function revive({ code, message, stack }: Failure): Error {
  const error =
    code === undefined ? new Error(message)
    : code === "dataset" ? new DatasetError(message)
    : new MrcnnError(code as ErrorCode, message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
