/** Training batches that depend only on the data, a plan and the step. */
import { createRandom, DatasetError, type Dataset, type ImageSize, type TrainingBatch } from "@mrcnn/core";
import { batchImages, prepareTrainingSample, type TrainingOptions } from "@mrcnn/transforms";

/** Options of training batches, as plain data. */
export interface BatchPlan {
  /** Number of images per batch. */
  readonly batchSize: number;
  /** Seed of the order and of every augmentation. */
  readonly seed: number;
  /** Options of the preparation of each sample. */
  readonly prepare: TrainingOptions;
  /** Whether each epoch is shuffled anew. Default true. */
  readonly shuffle?: boolean;
  /** Number of which both edges of a batch are multiples. Default 32. */
  readonly divisor?: number;
  /** Fixed size of the batches. Default the size that their images need. */
  readonly size?: ImageSize;
}

/**
 * Returns the batch of training step `step`, counted from 0. It depends on the data, the plan and `step`
 * only, so a resumed run gets the same batches as an uninterrupted one, whichever thread prepares them.
 * Epochs follow each other without a gap: a batch may hold the last images of one and the first of the next.
 *
 * @throws DatasetError for an empty data set, and whatever the data set throws.
 */
export async function trainingBatch(dataset: Dataset, step: number, plan: BatchPlan): Promise<TrainingBatch> {
  const { batchSize, seed, prepare, shuffle = true, divisor = 32, size } = plan;
  const { length } = dataset;
  if (length === 0) throw new DatasetError("trainingBatch: dataset must hold at least one image, got none.");
  const samples = [];
  for (let i = 0; i < batchSize; i++) {
    const position = step * batchSize + i;
    const epoch = Math.floor(position / length);
    const index = shuffle ? epochOrder(length, seed, epoch)[position % length]! : position % length;
    const sample = await dataset.get(index);
    samples.push(prepareTrainingSample(sample, prepare, createRandom(seed).fork(1).fork(position)));
  }
  return {
    images: batchImages(
      samples.map(({ image }) => image),
      { divisor, size },
    ),
    groundTruth: samples.map(({ groundTruth }) => groundTruth),
    names: samples.map(({ name }) => name),
  };
}

/** Returns the order in which epoch `epoch` visits the images of a data set. */
export function epochOrder(length: number, seed: number, epoch: number): Int32Array {
  return createRandom(seed)
    .fork(2)
    .fork(epoch)
    .shuffle(Int32Array.from({ length }, (_, i) => i));
}
