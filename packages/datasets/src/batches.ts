import { createRandom, DatasetError, type Dataset, type ImageSize, type TrainingBatch } from "@mrcnn/core";
import { batchImages, prepareTrainingSample, type TrainingOptions } from "@mrcnn/transforms";

/** What a batch is made of; plain data. */
export interface BatchPlan {
  /** Images per batch. */
  readonly batchSize: number;
  /** Decides the order and every augmentation. */
  readonly seed: number;
  /** How each sample is prepared. */
  readonly prepare: TrainingOptions;
  /** Whether each epoch has an order of its own. Default true. */
  readonly shuffle?: boolean;
  /** Both edges of a batch are multiples of this. Default 32. */
  readonly divisor?: number;
  /** A fixed size of the batches. Default: what their images need. */
  readonly size?: ImageSize;
}

/**
 * The batch of training step `step`, counted from 0. It depends on the data, the plan and `step` only, so
 * that a resumed run sees what an uninterrupted one sees, whoever prepares the batches. Epochs follow each
 * other without a gap: a batch may hold the last images of one and the first of the next.
 *
 * @throws DatasetError for an empty data set, and what the data set throws.
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

/** The order in which epoch `epoch` visits the images of a data set. */
export function epochOrder(length: number, seed: number, epoch: number): Int32Array {
  return createRandom(seed)
    .fork(2)
    .fork(epoch)
    .shuffle(Int32Array.from({ length }, (_, i) => i));
}
