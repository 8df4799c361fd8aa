import type { FloatImage, GroundTruth, ImageSize, Random, Sample } from "@mrcnn/core";
import { cropImage, randomWindow } from "./crop.ts";
import { cropGroundTruth, orientGroundTruth, resizeGroundTruth } from "./ground-truth.ts";
import { adjustColor } from "./jitter.ts";
import { normalizeImage, type Normalization } from "./normalize.ts";
import { orientImage } from "./orient.ts";
import { resizeImage, shortestEdgeSize } from "./resize.ts";

/** How training images vary; plain data, so that it can come from a file. What is absent is not done. */
export interface Augmentation {
  /** Probability of mirroring left and right. */
  readonly flip?: number;
  /** Probability of mirroring top and bottom. */
  readonly verticalFlip?: number;
  /** Probability of a quarter turn; 0.5 together with both flips at 0.5 makes all eight orientations alike. */
  readonly rotate90?: number;
  /** Lengths of the shorter edge; one is drawn per sample. Without it the image keeps its size. */
  readonly minSizes?: readonly number[];
  /** Limit of the longer edge when resizing. */
  readonly maxSize?: number;
  /** A random window of this size is cut out after resizing; an image smaller than it stays whole along that edge. */
  readonly crop?: ImageSize;
  /** Objects with fewer visible pixels are dropped. Default 1. */
  readonly minArea?: number;
  /** Brightness is multiplied by a factor within 1 ± this. */
  readonly brightness?: number;
  /** Contrast is multiplied by a factor within 1 ± this. */
  readonly contrast?: number;
  /** Saturation is multiplied by a factor within 1 ± this. */
  readonly saturation?: number;
  /** The hue is turned by at most this share of the circle, either way; at most 0.5. */
  readonly hue?: number;
}

/** How a sample becomes what the network is trained on. */
export interface TrainingOptions extends Normalization, Augmentation {}

/** A sample in the pixels of the network's input. */
export interface PreparedSample {
  readonly image: FloatImage;
  readonly groundTruth: GroundTruth;
  readonly name: string;
}

/**
 * Augments one sample: turned, resized, cropped, recoloured, normalised, image and objects alike. All
 * chance comes from `random`. Objects of which nothing is left are dropped; none left is a valid negative.
 */
export function prepareTrainingSample(
  sample: Sample,
  options: TrainingOptions,
  random: Random,
): PreparedSample {
  const { flip = 0, verticalFlip = 0, rotate90 = 0, minSizes = [], maxSize = Infinity } = options;
  const { crop, minArea = 1, brightness = 0, contrast = 0, saturation = 0, hue = 0 } = options;
  let { image, groundTruth } = sample;

  const turn = random.uniform() < rotate90;
  const flipHorizontal = random.uniform() < flip !== turn; // a quarter turn is a transposition mirrored
  const flipVertical = random.uniform() < verticalFlip;
  if (turn || flipHorizontal || flipVertical) {
    const orientation = { transpose: turn, flipHorizontal, flipVertical };
    groundTruth = orientGroundTruth(groundTruth, image, orientation);
    image = orientImage(image, orientation);
  }

  const minSize = minSizes[random.int(minSizes.length)];
  const size = minSize === undefined ? image : shortestEdgeSize(image, { minSize, maxSize });
  const window =
    crop === undefined ?
      { left: 0, top: 0, height: size.height, width: size.width }
    : randomWindow(size, crop, random);
  groundTruth = cropGroundTruth(resizeGroundTruth(groundTruth, image, size), window, { minArea });

  const sameSize = size.height === image.height && size.width === image.width;
  const smaller = window.height < image.height || window.width < image.width;
  if (sameSize && smaller) image = cropImage(image, window);
  if (brightness > 0 || contrast > 0 || saturation > 0 || hue > 0) {
    const within = (range: number): number => (range > 0 ? range * (2 * random.uniform() - 1) : 0);
    const [b, c, s, h] = [brightness, contrast, saturation, hue].map(within) as [
      number,
      number,
      number,
      number,
    ];
    image = adjustColor(image, { brightness: 1 + b, contrast: 1 + c, saturation: 1 + s, hue: h });
  }
  const normal = normalizeImage(image, options);
  return { image: sameSize ? normal : resizeImage(normal, size, { window }), groundTruth, name: sample.name };
}
