/** Batching of images, as torchvision's `batch_images`. */
import { ShapeError, type FloatImage, type ImageBatch, type ImageSize } from "@mrcnn/core";

/** Options of the batch's size. */
export interface BatchOptions {
  /**
   * Number of which both edges of the batch are multiples. Default 32, the stride of the coarsest backbone
   * level.
   */
  readonly divisor?: number;
  /**
   * Fixed size of the batch, rounded up to multiples of `divisor`. Default the smallest that holds every
   * image.
   */
  readonly size?: ImageSize | undefined;
}

/**
 * Copies images into one array, with zeros to the right and below (padding follows normalisation, as in
 * torchvision).
 *
 * @throws ShapeError without images, or for an image larger than `size`.
 */
export function batchImages(
  images: readonly FloatImage[],
  { divisor = 32, size }: BatchOptions = {},
): ImageBatch {
  if (images.length === 0)
    throw new ShapeError("batchImages: images must hold at least one image, got none.");
  const up = (length: number): number => Math.ceil(length / divisor) * divisor;
  const height = Math.max(...images.map((image) => image.height));
  const width = Math.max(...images.map((image) => image.width));
  if (size !== undefined && (height > size.height || width > size.width)) {
    throw new ShapeError(
      `batchImages: images must fit into ${size.height}x${size.width} pixels, got up to ${height}x${width}. ` +
        "Lower maxSize, crop, or raise the batch's size.",
    );
  }
  const padded = { height: up(size?.height ?? height), width: up(size?.width ?? width) };
  const row = padded.width * 3;
  const data = new Float32Array(images.length * padded.height * row);
  for (const [b, image] of images.entries()) {
    const length = image.width * 3;
    for (let y = 0; y < image.height; y++) {
      data.set(image.data.subarray(y * length, (y + 1) * length), (b * padded.height + y) * row);
    }
  }
  return { data, size: padded, imageSizes: images.map(({ height, width }) => ({ height, width })) };
}
