/** The worker thread of the loader, which prepares batches. */
import { workerData } from "node:worker_threads";
import { isMrcnnError, type TrainingBatch } from "@mrcnn/core";
import { move, transferableSymbol, valueSymbol } from "piscina";
import sharp from "sharp";
import { trainingBatch, type BatchPlan } from "./batches.ts";
import { openDataset, type DatasetDescription } from "./open.ts";

/** Data that every worker of a pool receives once. */
export interface WorkerData {
  readonly description: DatasetDescription;
  readonly plan: BatchPlan;
}

/** An error as plain data, since the class and the code of an Error are lost between threads. */
export interface Failure {
  readonly code: string | undefined;
  readonly message: string;
  readonly stack: string | undefined;
}

export type WorkerAnswer = { readonly batch: TrainingBatch } | { readonly failure: Failure };

const { description, plan } = workerData as WorkerData;
// The workers use all processors already, so libvips gets one thread each; and no cache, since pictures don't
// recur within an epoch.
sharp.concurrency(1);
sharp.cache(false);
const opening = openDataset(description);
opening.catch(() => {}); // reported by the first task

/** Prepares the batch of one step; its memory is transferred, not copied. */
export async function prepareStep(step: number): Promise<WorkerAnswer> {
  try {
    const batch = await trainingBatch(await opening, step, plan);
    const wrapped = { [transferableSymbol]: [...buffers(batch)], [valueSymbol]: { batch } };
    return move(wrapped as never) as never;
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    return { failure: { code: isMrcnnError(error) ? error.code : undefined, message, stack } };
  }
}

// Returns the buffers as a set, since a buffer with two views must not be transferred twice.
function buffers({ images, groundTruth }: TrainingBatch): Set<ArrayBufferLike> {
  const arrays = groundTruth.flatMap(({ boxes, labels, isCrowd, masks }) => [
    boxes,
    labels,
    isCrowd,
    ...masks.map(({ data }) => data),
  ]);
  return new Set([images.data, ...arrays].map(({ buffer }) => buffer));
}
