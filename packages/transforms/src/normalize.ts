import type { FloatImage, RawImage } from "@mrcnn/core";

/** Mean and standard deviation of each channel (R, G, B), of pixels scaled to 0..1. */
export interface Normalization {
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** The statistics of ImageNet that torchvision's weights were trained with. */
export const imagenetNormalization: Normalization = {
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
};

/**
 * Bytes to floats: `(x / 255 - mean) / std` per channel, each operation rounded to float32 as in
 * torchvision's ToTensor followed by GeneralizedRCNNTransform.normalize.
 */
export function normalizeImage(image: RawImage, { mean, std }: Normalization): FloatImage {
  const f = Math.fround;
  // A byte has 256 values, so three small tables hold every answer.
  const tables = mean.map((m, c) =>
    Float32Array.from({ length: 256 }, (_, x) => f(f(x / 255) - f(m)) / f(std[c]!)),
  );
  const [red, green, blue] = tables as [Float32Array, Float32Array, Float32Array];
  const { data: source, height, width } = image;
  const data = new Float32Array(height * width * 3);
  for (let i = 0; i < data.length; i += 3) {
    data[i] = red[source[i]!]!;
    data[i + 1] = green[source[i + 1]!]!;
    data[i + 2] = blue[source[i + 2]!]!;
  }
  return { height, width, data };
}
