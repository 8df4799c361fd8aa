import { noRandom } from "@mrcnn/core";
import type { ImageSize } from "@mrcnn/core";
import { createMaskRcnn, parseMaskRcnnConfig } from "@mrcnn/model";
import type { MaskRcnnConfig } from "@mrcnn/model";
import { shortestEdgeSize } from "@mrcnn/transforms";
import type { TrainingConfig } from "./config.ts";

/**
 * Bytes that training holds at its peak, roughly: within a half either way, on the widest batch that the images may come
 * to, with as many objects as are sampled. Of backend "tensorflow"; wasm takes a few hundred megabytes less.
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

const BLOCKS: Readonly<Record<number, readonly number[]>> = { 18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3] };

// Values kept per image of `pixels` pixels. A convolution keeps its output, norms of the batch or of groups theirs as well;
// frozen layers keep nothing.
function activations(config: MaskRcnnConfig, pixels: number): number {
  const { backbone, fpn, box, maskHead, mask, anchors } = config;
  const maps = backbone.norm === "frozen_batch_norm" ? 1 : 2;
  const perBlock = backbone.depth >= 50 ? 6 : 2;
  const stem = backbone.trainableLayers >= 5 ? (pixels / 4) * backbone.width * maps : 0;
  const stages = BLOCKS[backbone.depth]!.reduce((total, blocks, k) => {
    if (backbone.trainableLayers < 4 - k) return total;
    const channels = backbone.width * 2 ** k;
    return total + (pixels / (4 * 2 ** k) ** 2) * blocks * channels * perBlock * maps;
  }, stem);
  const cells = pixels * (1 / 16 + 1 / 64 + 1 / 256 + 1 / 1024);
  const pyramid = cells * (fpn.channels * 5 + anchors.aspectRatios.length * 10);
  const rois = box.targets.batchSize;
  const boxes = rois * (box.poolSize ** 2 * fpn.channels * 2 + box.representation * 3);
  const positives = rois * box.targets.positiveFraction;
  const masks = mask
    ? positives * maskHead.poolSize ** 2 * (fpn.channels * 2 + maskHead.layers.reduce((a, b) => a + b, 0) + 4 * maskHead.channels)
    : 0;
  return stages + pyramid + boxes + masks;
}

// A batch is as high as its highest image and as wide as its widest: portraits and landscapes together make a square.
function batchSize({ augment: { crop, minSizes, maxSize = Infinity, rotate90 = 0 }, training }: TrainingConfig, images: readonly ImageSize[]): ImageSize {
  if (crop !== undefined) return crop;
  const turned = rotate90 > 0 ? [...images, ...images.map(({ height, width }) => ({ height: width, width: height }))] : images;
  const resized = minSizes === undefined ? turned : turned.map((size) => shortestEdgeSize(size, { minSize: Math.max(...minSizes), maxSize }));
  const area = ({ height, width }: ImageSize): number => height * width;
  if (training.batchSize === 1) return resized.reduce((a, b) => (area(b) > area(a) ? b : a));
  return resized.reduce((a, b) => ({ height: Math.max(a.height, b.height), width: Math.max(a.width, b.width) }));
}

/** Estimates what training with `config` takes, on images of the given sizes (at least one). */
export function estimateMemory(config: TrainingConfig, classes: readonly string[], images: readonly ImageSize[]): MemoryEstimate {
  const modelConfig = parseMaskRcnnConfig({ ...config.model, classes }, "model");
  const model = createMaskRcnn(modelConfig, noRandom);
  const parameters = [...model.variables.values()].reduce((n, { size }) => n + size, 0);
  model.dispose();
  const up = (length: number): number => Math.ceil(length / modelConfig.image.divisor) * modelConfig.image.divisor;
  const { height, width } = batchSize(config, images);
  const weightBytes = parameters * 4 * 3;
  // The backward pass gives maps back as it goes, but holds gradients of the largest beside them.
  const activationBytes = activations(modelConfig, up(height) * up(width)) * config.training.batchSize * 4 * 1.5;
  return { parameters, weightBytes, activationBytes, totalBytes: weightBytes + activationBytes + PROCESS };
}
