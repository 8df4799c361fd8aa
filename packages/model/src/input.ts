/** From photos to the network's input, and the options that decide its size. */
import { ConfigError, numberFrom } from "@mrcnn/core";
import type { ImageBatch, ImageSize, OptionRules, RawImage } from "@mrcnn/core";
import type { PixelWindow } from "@mrcnn/masks";
import { batchImages, preparedSize, prepareImage } from "@mrcnn/transforms";
import type { MaskRcnnConfig } from "./config.ts";
import { assertDetectionFits } from "./memory.ts";
import { numericsProfiles } from "./numerics.ts";

/** Options of one call, which override the config. */
export interface DetectOptions {
  /** Only scores above this count. */
  readonly scoreThreshold?: number | undefined;
  /** Number of highest-scoring detections that are kept of each image. */
  readonly maxDetections?: number | undefined;
  /**
   * Length of the image's shorter edge at the network's input, pixels; equal to the image's own it is not
   * resized.
   */
  readonly minSize?: number | undefined;
  /** Limit of the longer edge, pixels. Default the config's, or `minSize` where that is more. */
  readonly maxSize?: number | undefined;
}

/** What the values of `DetectOptions` must be. */
export const detectRules: OptionRules = {
  scoreThreshold: numberFrom(0, 1),
  maxDetections: numberFrom(1, 10_000, { whole: true }),
  minSize: numberFrom(1, 1_000_000, { whole: true }),
  maxSize: numberFrom(1, 1_000_000, { whole: true }),
};

/** Throws for a limit of the longer edge that the shorter could never reach. @throws ConfigError */
export function assertSizesAgree({ minSize, maxSize }: DetectOptions, where: string): void {
  if (minSize !== undefined && maxSize !== undefined && minSize > maxSize)
    throw new ConfigError(`${where}: minSize must be at most maxSize, got ${minSize} and ${maxSize}.`);
}

/** What the network is given, and where the photos lie in it. */
export interface NetworkInput {
  readonly batch: ImageBatch;
  /** Where each photo lies in its image of the batch. */
  readonly windows: readonly PixelWindow[];
  /** Where boxes are clipped: each image's size; 1 x 1 in fractions. */
  readonly limits: readonly ImageSize[];
}

/** Resizes, normalises and batches photos as the numerics want them. */
export function prepareInput(
  config: MaskRcnnConfig,
  images: readonly RawImage[],
  options: DetectOptions = {},
): NetworkInput {
  const { image, numerics } = config;
  const { resize, anchors } = numericsProfiles[numerics];
  const minSize = options.minSize ?? image.minSize;
  const maxSize = options.maxSize ?? Math.max(image.maxSize, minSize);
  const sizes = images.map((photo) => preparedSize(photo, { minSize, maxSize, resize }));
  const size = {
    height: Math.max(...sizes.map(({ height }) => height)),
    width: Math.max(...sizes.map(({ width }) => width)),
  };
  assertDetectionFits({ config, count: images.length, size });
  const prepared = images.map((raw) => prepareImage(raw, { ...image, minSize, maxSize, resize }));
  const batch = batchImages(
    prepared.map((one) => one.image),
    { divisor: image.divisor },
  );
  const { imageSizes } = batch;
  return {
    batch,
    windows: prepared.map(({ window }) => window),
    limits: anchors.units === "fractions" ? imageSizes.map(() => ({ height: 1, width: 1 })) : imageSizes,
  };
}
