/** Augmentation and preparation of training samples. */
import type { FloatImage, GroundTruth, ImageSize, Random, Sample } from "@mrcnn/core";
import { cropImage, randomWindow } from "./crop.ts";
import { cropGroundTruth, orientGroundTruth, resizeGroundTruth } from "./ground-truth.ts";
import { adjustColor } from "./jitter.ts";
import { normalizeImage, type Normalization } from "./normalize.ts";
import { orientImage } from "./orient.ts";
import { resizeImage, shortestEdgeSize } from "./resize.ts";

/** Options of the augmentation, as plain data that can come from a file. Options left out are not applied. */
export interface Augmentation {
  /** Probability of mirroring left and right. */
  readonly flip?: number;
  /** Probability of mirroring top and bottom. */
  readonly verticalFlip?: number;
  /**
   * Probability of a quarter turn; 0.5 together with both flips at 0.5 makes all eight orientations equally
   * likely.
   */
  readonly rotate90?: number;
  /**
   * Lengths of the shorter edge, of which one is drawn per sample. Default none: the image keeps its size.
   */
  readonly minSizes?: readonly number[];
  /** Largest length of the longer edge when resizing. Default unlimited. */
  readonly maxSize?: number;
  /**
   * Size of a random window that is cut out after resizing; an image shorter than it along an edge is kept
   * whole along that edge.
   */
  readonly crop?: ImageSize;
  /** Fewest visible pixels of an object that is kept. Default 1. */
  readonly minArea?: number;
  /** Range of the brightness factor, drawn within 1 ± this. */
  readonly brightness?: number;
  /** Range of the contrast factor, drawn within 1 ± this. */
  readonly contrast?: number;
  /** Range of the saturation factor, drawn within 1 ± this. */
  readonly saturation?: number;
  /** Largest rotation of the hue in either direction, in turns; at most 0.5. */
  readonly hue?: number;
}

/** Options of the preparation of a training sample. */
export interface TrainingOptions extends Normalization, Augmentation {}

/** A sample in the pixels of the network's input. */
export interface PreparedSample {
  readonly image: FloatImage;
  readonly groundTruth: GroundTruth;
  readonly name: string;
}

/**
 * Augments one sample: orients, resizes, crops, recolours and normalises the image, and transforms the
 * objects alike. All random choices come from `random`. Objects of which nothing is left are dropped; a
 * sample without objects is a valid negative.
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
  const flipHorizontal = random.uniform() < flip !== turn; // a quarter turn is a transposition and a flip
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
