/** Normalisation of images, as torchvision and detectron2. */
import type { FloatImage, RawImage } from "@mrcnn/core";

/** Options of the conversion of bytes to the network's input. */
export interface Normalization {
  /** Mean of each channel, in `channelOrder`, for pixel values from 0 to `range`; `std` likewise. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  /** Order of the result's channels; images are always RGB. Default "rgb". */
  readonly channelOrder?: "rgb" | "bgr";
  /** Value of white before the mean is subtracted. Default 1: bytes are divided by 255. */
  readonly range?: 1 | 255;
}

/** The statistics of ImageNet with which torchvision's weights were trained. */
export const imagenetNormalization: Normalization = {
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
};

/**
 * Converts bytes to floats: `(x * range / 255 - mean) / std` per channel, each operation rounded to float32
 * as in torchvision's ToTensor followed by GeneralizedRCNNTransform.normalize, and with range 255 as in
 * detectron2's preprocess_image.
 */
export function normalizeImage(image: RawImage, normalization: Normalization): FloatImage {
  return normalizeImageBy(Math.fround, image, normalization);
}

/** Computes `normalizeImage` with `round` applied after each operation; the result is float32 in any case. */
export function normalizeImageBy(
  round: (value: number) => number,
  image: RawImage,
  { mean, std, channelOrder = "rgb", range = 1 }: Normalization,
): FloatImage {
  // A byte has 256 values, so three small tables hold all results.
  const [first, second, third] = mean.map((m, c) =>
    Float32Array.from(
      { length: 256 },
      (_, x) => round(round(range === 1 ? x / 255 : x) - round(m)) / round(std[c]!),
    ),
  ) as [Float32Array, Float32Array, Float32Array];
  const [from, to] = channelOrder === "rgb" ? [0, 2] : [2, 0];
  const { data: source, height, width } = image;
  const data = new Float32Array(height * width * 3);
  for (let i = 0; i < data.length; i += 3) {
    data[i] = first[source[i + from]!]!;
    data[i + 1] = second[source[i + 1]!]!;
    data[i + 2] = third[source[i + to]!]!;
  }
  return { height, width, data };
}
