/** Anchors of a feature pyramid, as torchvision's AnchorGenerator, detectron2 and matterport. */
import { ConfigError } from "@mrcnn/core";
import type { ImageSize } from "@mrcnn/core";
import { exactCellAnchors } from "./cell-anchors.ts";

/** The anchors of a feature pyramid; every list has one entry per level, finest first. */
export interface AnchorConfig {
  /** Square roots of the anchors' areas, in pixels of the network input. */
  readonly sizes: readonly (readonly number[])[];
  /** Aspect ratios, height / width. */
  readonly aspectRatios: readonly (readonly number[])[];
  /**
   * Pixels between neighbouring cells. "image-over-grid" is torchvision's floor(image / grid) per axis: 61
   * rather than 64 for a grid of 13 over 800 pixels.
   */
  readonly strides: "image-over-grid" | readonly number[];
  /** Position of an anchor's centre in its cell, in strides: 0 (torchvision, detectron2) or 0.5. */
  readonly centerOffset: number;
  /** Whether anchors are rounded to whole pixels about their centre, as torchvision does. */
  readonly roundCells: boolean;
  /**
   * What changes slowest within a cell: "ratios-first" (torchvision) or "sizes-first" (detectron2).
   * Default "ratios-first".
   */
  readonly order?: "ratios-first" | "sizes-first";
  /**
   * Units of the anchors: "pixels" of the network input, or matterport's "fractions" of it: the corners are
   * those of the box's first and last pixels, divided by side - 1. Default "pixels".
   */
  readonly units?: "pixels" | "fractions";
}

/** Returns the configuration of torchvision's anchors: one size per level, each in every aspect ratio. */
export function torchvisionAnchors(
  sizes: readonly number[] = [32, 64, 128, 256, 512],
  aspectRatios: readonly number[] = [0.5, 1, 2],
): AnchorConfig {
  return {
    sizes: sizes.map((size) => [size]),
    aspectRatios: sizes.map(() => aspectRatios),
    strides: "image-over-grid",
    centerOffset: 0,
    roundCells: true,
  };
}

/** Returns the number of anchors in each cell, per level. */
export function anchorsPerLocation(config: AnchorConfig): number[] {
  return config.sizes.map((sizes, level) => sizes.length * (config.aspectRatios[level]?.length ?? 0));
}

/**
 * Returns the number of anchors per level for feature maps of these sizes; they sum to the length of
 * `gridAnchors` / 4.
 */
export function anchorCounts(config: AnchorConfig, featureSizes: readonly ImageSize[]): number[] {
  return anchorsPerLocation(config).map((count, level) => {
    const { height, width } = featureSizes[level] ?? { height: 0, width: 0 };
    return count * height * width;
  });
}

/**
 * Computes all anchors of an image, xyxy, in the order level, row, column, anchor: [A * 4]. Anchors may reach
 * beyond the image. With `torchvisionAnchors` the values are those of torchvision's `AnchorGenerator`;
 * unrounded, sizes first and with offset 0, those of detectron2; unrounded and in fractions, those of
 * matterport's `get_anchors`.
 *
 * @param featureSizes Sizes of the feature maps, finest first.
 * @param imageSize Size of the padded network input.
 * @throws ConfigError when config and features differ in the number of levels.
 */
export function gridAnchors(
  config: AnchorConfig,
  featureSizes: readonly ImageSize[],
  imageSize: ImageSize,
): Float32Array {
  const {
    sizes,
    aspectRatios,
    strides,
    centerOffset,
    roundCells,
    order = "ratios-first",
    units = "pixels",
  } = config;
  const lengths = [
    sizes.length,
    aspectRatios.length,
    ...(typeof strides === "string" ? [] : [strides.length]),
  ];
  if (lengths.some((length) => length !== featureSizes.length)) {
    throw new ConfigError(
      `gridAnchors: config must list sizes, aspect ratios and strides for ${featureSizes.length} levels, got ${lengths.join(", ")}. ` +
        "Give one entry per feature map.",
    );
  }
  const anchors = new Float32Array(4 * anchorCounts(config, featureSizes).reduce((a, b) => a + b, 0));
  let at = 0;
  for (const [level, { height, width }] of featureSizes.entries()) {
    const exact = exactCellAnchors(sizes[level]!, aspectRatios[level]!, { round: roundCells, order });
    // torchvision and detectron2 place float32 cells; matterport computes in float64 to the end.
    const cell =
      units === "fractions" ?
        exact.map((value, i) => (i % 4 < 2 ? value : value - 1))
      : Float32Array.from(exact);
    const [spanY, spanX] = units === "fractions" ? [imageSize.height - 1, imageSize.width - 1] : [1, 1];
    const strideY = typeof strides === "string" ? Math.floor(imageSize.height / height) : strides[level]!;
    const strideX = typeof strides === "string" ? Math.floor(imageSize.width / width) : strides[level]!;
    for (let row = 0; row < height; row++) {
      const y = (row + centerOffset) * strideY;
      for (let column = 0; column < width; column++) {
        const x = (column + centerOffset) * strideX;
        for (let i = 0; i < cell.length; i += 4) {
          anchors[at++] = (x + cell[i]!) / spanX;
          anchors[at++] = (y + cell[i + 1]!) / spanY;
          anchors[at++] = (x + cell[i + 2]!) / spanX;
          anchors[at++] = (y + cell[i + 3]!) / spanY;
        }
      }
    }
  }
  return anchors;
}
