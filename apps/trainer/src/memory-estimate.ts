/** Estimates the memory that a training takes. */
import { noRandom } from "@mrcnn/core";
import type { ImageSize } from "@mrcnn/core";
import { createMaskRcnn, parseMaskRcnnConfig } from "@mrcnn/model";
import { trainingValues } from "@mrcnn/model/training";
import { shortestEdgeSize } from "@mrcnn/transforms";
import type { TrainingConfig } from "./config.ts";

/**
 * Bytes that training holds at its peak, roughly: within a half either way, on the widest batch that the
 * images may come to, with as many objects as are sampled. Of backend "tensorflow"; wasm takes a few hundred
 * megabytes less.
 */
export interface MemoryEstimate {
  readonly parameters: number;
  /** Weights, gradients, momentum. */
  readonly weightBytes: number;
  /** What the forward pass keeps for the backward pass, and that pass's own. */
  readonly activationBytes: number;
  readonly totalBytes: number;
}

// Node, a data thread, TensorFlow's library, and the kernels that it keeps for shapes it has seen.
const PROCESS = 700e6;

// A batch is as high as its highest image and as wide as its widest: portraits and landscapes together make a
// square.
function batchSize(
  { augment: { crop, minSizes, maxSize = Infinity, rotate90 = 0 }, training }: TrainingConfig,
  images: readonly ImageSize[],
): ImageSize {
  if (crop !== undefined) return crop;
  const turned =
    rotate90 > 0 ?
      [...images, ...images.map(({ height, width }) => ({ height: width, width: height }))]
    : images;
  const resized =
    minSizes === undefined ? turned : (
      turned.map((size) => shortestEdgeSize(size, { minSize: Math.max(...minSizes), maxSize }))
    );
  const area = ({ height, width }: ImageSize): number => height * width;
  if (training.batchSize === 1) return resized.reduce((a, b) => (area(b) > area(a) ? b : a));
  return resized.reduce((a, b) => ({
    height: Math.max(a.height, b.height),
    width: Math.max(a.width, b.width),
  }));
}

/**
 * The least that a batch's images come to at the network's input, where the config alone says it: crops and
 * generated shapes. Undefined where it is the data's.
 */
export function leastImageSize({
  augment: { crop, minSizes, maxSize = Infinity },
  data: { train },
}: TrainingConfig): ImageSize | undefined {
  if (crop !== undefined) return crop;
  if (train.format !== "shapes" || train.shapes?.size === undefined) return undefined;
  return minSizes === undefined ?
      train.shapes.size
    : shortestEdgeSize(train.shapes.size, { minSize: Math.min(...minSizes), maxSize });
}

/** Estimates what training with `config` takes, on images of the given sizes (at least one). */
export function estimateMemory(
  config: TrainingConfig,
  classes: readonly string[],
  images: readonly ImageSize[],
): MemoryEstimate {
  const modelConfig = parseMaskRcnnConfig({ ...config.model, classes }, "model");
  const model = createMaskRcnn(modelConfig, noRandom);
  const parameters = [...model.variables.values()].reduce((n, { size }) => n + size, 0);
  model.dispose();
  const up = (length: number): number =>
    Math.ceil(length / modelConfig.image.divisor) * modelConfig.image.divisor;
  const { height, width } = batchSize(config, images);
  const weightBytes = parameters * 4 * 3;
  // The backward pass gives maps back as it goes, but holds gradients of the largest beside them.
  const activationBytes =
    trainingValues(modelConfig, up(height) * up(width)) * config.training.batchSize * 4 * 1.5;
  return { parameters, weightBytes, activationBytes, totalBytes: weightBytes + activationBytes + PROCESS };
}
