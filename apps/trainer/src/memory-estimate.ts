import { noRandom } from "@mrcnn/core";
import { createMaskRcnn, parseMaskRcnnConfig } from "@mrcnn/model";
import type { MaskRcnnConfig } from "@mrcnn/model";
import type { TrainingConfig } from "./config.ts";

/** Bytes that a training step holds at its peak, roughly (within a half either way). */
export interface MemoryEstimate {
  readonly parameters: number;
  /** Weights, gradients, momentum. */
  readonly weightBytes: number;
  /** What the forward pass keeps for the backward pass, and that pass's own. */
  readonly activationBytes: number;
  readonly totalBytes: number;
}

const BLOCKS: Readonly<Record<number, readonly number[]>> = { 18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3] };

// Values kept per image of `pixels` pixels. A convolution with its norm and ReLU keeps three maps.
function activations(config: MaskRcnnConfig, pixels: number): number {
  const { backbone, fpn, box, maskHead, mask, anchors } = config;
  const bottleneck = backbone.depth >= 50;
  const stages = BLOCKS[backbone.depth]!.reduce((total, blocks, k) => {
    const channels = backbone.width * 2 ** k;
    return total + (pixels / (4 * 2 ** k) ** 2) * blocks * 3 * channels * (bottleneck ? 6 : 2);
  }, (pixels / 4) * backbone.width * 3);
  const cells = pixels * (1 / 16 + 1 / 64 + 1 / 256 + 1 / 1024);
  const pyramid = cells * (fpn.channels * 5 + anchors.aspectRatios.length * 10);
  const rois = box.targets.batchSize;
  const boxes = rois * (box.poolSize ** 2 * fpn.channels * 3 + box.representation * 4);
  const positives = rois * box.targets.positiveFraction;
  const masks = mask
    ? positives * (maskHead.poolSize ** 2 * (fpn.channels * 3 + 2 * maskHead.layers.reduce((a, b) => a + b, 0)) + 4 * maskHead.poolSize ** 2 * maskHead.channels * 2)
    : 0;
  return stages + pyramid + boxes + masks;
}

/** Estimates what training with `config` takes, on images of at most `largest` pixels. */
export function estimateMemory(config: TrainingConfig, classes: readonly string[], largest: { readonly width: number; readonly height: number }): MemoryEstimate {
  const modelConfig = parseMaskRcnnConfig({ ...config.model, classes }, "model");
  const model = createMaskRcnn(modelConfig, noRandom);
  const parameters = [...model.variables.values()].reduce((n, { size }) => n + size, 0);
  model.dispose();
  const { augment, training } = config;
  const pixels =
    augment.crop !== undefined ? augment.crop.height * augment.crop.width
    : augment.minSizes !== undefined ? Math.max(...augment.minSizes) * Math.min(augment.maxSize ?? Infinity, (Math.max(...augment.minSizes) * Math.max(largest.width, largest.height)) / Math.min(largest.width, largest.height))
    : largest.width * largest.height;
  const weightBytes = parameters * 4 * 3;
  const activationBytes = activations(modelConfig, pixels) * training.batchSize * 4 * 1.5;
  return { parameters, weightBytes, activationBytes, totalBytes: weightBytes + activationBytes + 300e6 };
}
