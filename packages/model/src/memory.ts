/**
 * What detection and training take of a device's memory at the least, so that what can't fit is refused
 * before it begins.
 */
import { engine } from "@tensorflow/tfjs-core";
import { resnetBlocks } from "@mrcnn/backbones";
import { MemoryError } from "@mrcnn/core";
import type { ImageSize } from "@mrcnn/core";
import type { MaskRcnnConfig } from "./config.ts";

/**
 * float32 values that detection holds at once for each pixel of the network's input, at the least: the
 * largest of the stem, the first stage and the pyramid, each with what it reads, its padded copies and its
 * result. Peaks measured on backend wasm are up to a tenth higher, and the memory that they are spread over
 * up to a half.
 */
export function detectionValues({ architecture, backbone, fpn, numerics }: MaskRcnnConfig): number {
  const { depth, width, norm } = backbone;
  const isNormed = norm === "group_norm";
  // Convolution, norm and relu are one where the norm is folded. The input's padded copy leaves a gap that
  // nothing later fits into.
  const stem =
    2 * 3 +
    (width / 4) *
      (isNormed ? 3
      : numerics === "matterport" ? 1
      : 2);
  const expansion = depth >= 50 ? 4 : 1;
  const first = (width / 16) * (expansion === 4 ? 19 : 6);
  const maps = width * expansion * (1 / 16 + 1 / 32 + 1 / 64 + 1 / 128);
  const levels = fpn.channels * (1 / 16 + 1 / 64 + 1 / 256 + 1 / 1024);
  return Math.max(stem, first, architecture === "fpn" ? maps + 2 * levels + fpn.channels / 16 : 0);
}

/**
 * float32 values that a training step keeps for the backward pass, for each image of `pixels` pixels, within
 * a half either way. A convolution keeps its output, norms of the batch or of groups theirs as well; frozen
 * layers keep nothing.
 */
export function trainingValues(
  { architecture, backbone, fpn, rpn, box, maskHead, mask, anchors }: MaskRcnnConfig,
  pixels: number,
): number {
  const maps = backbone.norm === "frozen_batch_norm" ? 1 : 2;
  const perBlock = backbone.depth >= 50 ? 6 : 2;
  const stem = backbone.trainableLayers >= 5 ? (pixels / 4) * backbone.width * maps : 0;
  const stages = resnetBlocks[backbone.depth].reduce<number>((total, blocks, k) => {
    if (backbone.trainableLayers < 4 - k) return total;
    const channels = backbone.width * 2 ** k;
    return total + (pixels / (4 * 2 ** k) ** 2) * blocks * channels * perBlock * maps;
  }, stem);
  const cells = architecture === "fpn" ? pixels * (1 / 16 + 1 / 64 + 1 / 256 + 1 / 1024) : 0;
  const pyramid = cells * (fpn.channels * 5 + anchors.aspectRatios.length * 10);
  // No more than there are to sample from, but for the objects themselves.
  const rois = Math.min(box.targets.batchSize, rpn.training.postNmsTopK);
  const boxes = rois * (box.poolSize ** 2 * fpn.channels * 2 + box.representation * 3);
  const positives = rois * box.targets.positiveFraction;
  const masks =
    mask ?
      positives *
      maskHead.poolSize ** 2 *
      (fpn.channels * 2 + maskHead.layers.reduce((a, b) => a + b, 0) + 4 * maskHead.channels)
    : 0;
  return stages + pyramid + boxes + masks;
}

/** What is to be computed. */
export interface Work {
  readonly config: MaskRcnnConfig;
  /** Images at a time, and their size, which is padded to the config's divisor. */
  readonly count: number;
  readonly size: ImageSize;
}

const padded = ({ config: { image }, size: { height, width } }: Work): ImageSize => {
  const up = (length: number): number => Math.ceil(length / image.divisor) * image.divisor;
  return { height: up(height), width: up(width) };
};

// A backend whose memory has an end that nothing can move says where (backend-wasm's does).
const limitOf = (): number => (engine().backend as { readonly memoryLimit?: number }).memoryLimit ?? Infinity;

const gigabytes = (bytes: number): string =>
  (bytes / 1e9).toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

function assertFits(where: string, work: Work, bytes: number): void {
  const limit = limitOf();
  if (bytes <= limit) return;
  const { height, width } = padded(work);
  const [what, need] = work.count === 1 ? ["an image", "needs"] : [`${work.count} images`, "need"];
  throw new MemoryError(
    `${where}: ${what} of ${width} x ${height} pixels at the network's input ${need} at least ${gigabytes(bytes)} GB of memory with this model, and the backend's ends at ${gigabytes(limit)} GB.`,
    "Use smaller images (minSize, maxSize), fewer at a time, or a backend without that limit.",
  );
}

/**
 * Refuses a detection that can't fit into the current backend's memory, before anything is allocated. What
 * nearly fits is left to try.
 *
 * @throws MemoryError with what is needed and what there is.
 */
export function assertDetectionFits(work: Work): void {
  const { height, width } = padded(work);
  assertFits("detect", work, 4 * work.count * height * width * detectionValues(work.config));
}

/**
 * Refuses a training step that is far from fitting into the current backend's memory: that would need twice
 * as much by the estimate.
 *
 * @throws MemoryError with what is needed and what there is.
 */
export function assertStepFits(work: Work): void {
  const { height, width } = padded(work);
  // The backward pass takes half as much again, and the estimate may be a half too high.
  assertFits("training", work, 4 * work.count * trainingValues(work.config, height * width) * 1.5 * 0.5);
}
