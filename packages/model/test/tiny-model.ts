// A model small enough for dozens of steps on the plain JavaScript backend, whose filter gradients are
// its slowest part: the stem, the widest of them, is frozen.
import type { GroundTruth, ImageSize, RawImage, TrainingBatch } from "@mrcnn/core";
import { bitmapFromFull } from "@mrcnn/masks";
import { seededUniform } from "@mrcnn/testing";
import { batchImages, normalizeImage } from "@mrcnn/transforms";
import { maskRcnnConfig } from "../src/index.ts";
import type { MaskRcnnConfig, MaskRcnnOptions } from "../src/index.ts";

const few = { preNmsTopK: 30, postNmsTopK: 15 };

export const tinyConfig = (options: Partial<MaskRcnnOptions> = {}): MaskRcnnConfig =>
  maskRcnnConfig({
    classes: ["square", "other"],
    image: { minSize: 64, maxSize: 64 },
    backbone: { depth: 18, width: 4, norm: "group_norm", groups: 2, trainableLayers: 4 },
    fpn: { channels: 8 },
    anchors: { sizes: [[8], [16], [32], [64], [128]] },
    rpn: { training: few, detection: few, targets: { batchSize: 32 } },
    box: { representation: 16, targets: { batchSize: 16 } },
    maskHead: { poolSize: 7, layers: [8], channels: 8 },
    ...options,
  });

/** Bright squares of `side` on noise, at the given corners. */
export function squares(
  size: ImageSize,
  corners: readonly (readonly [left: number, top: number])[],
  side = 20,
): { image: RawImage; groundTruth: GroundTruth } {
  const { height, width } = size;
  const data = Uint8Array.from(seededUniform("noise", height * width * 3), (u) => 60 * u);
  const masks = corners.map(([left, top]) => {
    const full = new Uint8Array(height * width);
    for (let y = top; y < top + side; y++) full.fill(1, y * width + left, y * width + left + side);
    full.forEach((inside, i) => inside === 1 && data.fill(230, i * 3, i * 3 + 3));
    return bitmapFromFull(full, size);
  });
  return {
    image: { ...size, data },
    groundTruth: {
      boxes: Float32Array.from(corners.flatMap(([left, top]) => [left, top, left + side, top + side])),
      labels: new Int32Array(corners.length).fill(1),
      masks,
      isCrowd: new Uint8Array(corners.length),
    },
  };
}

export function batchOf(
  config: MaskRcnnConfig,
  samples: readonly { image: RawImage; groundTruth: GroundTruth }[],
): TrainingBatch {
  return {
    images: batchImages(samples.map(({ image }) => normalizeImage(image, config.image))),
    groundTruth: samples.map(({ groundTruth }) => groundTruth),
    names: samples.map((_, i) => `image ${i}`),
  };
}
