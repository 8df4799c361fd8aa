/** Preparation of images for inference, as torchvision, detectron2 and matterport. */
import type { FloatImage, ImageSize, RawImage } from "@mrcnn/core";
import type { PixelWindow } from "@mrcnn/masks";
import { normalizeImage, normalizeImageBy, type Normalization } from "./normalize.ts";
import { resizeLikePillow } from "./pillow.ts";
import { resizeImage, roundedShortestEdgeSize, shortestEdgeSize, type ShortestEdge } from "./resize.ts";
import { resizeLikeScikitImage } from "./scikit-image.ts";
import { centreInSquare, squareFit } from "./square.ts";

/** Options of the preparation of an image. */
export interface ImageOptions extends Normalization, Partial<ShortestEdge> {
  /**
   * The library whose resizing and rounding are followed. Default "torchvision".
   * - "torchvision": normalised floats, bilinear without antialiasing; sizes rounded down.
   * - "detectron2": bytes, Pillow's antialiased bilinear; sizes rounded to the nearest.
   * - "matterport": bytes, scikit-image's bilinear; shrunk only as far as needed, then centred in a black
   *   square of `maxSize` pixels; the mean is subtracted in float64, from the black too.
   *
   * Without `minSize` the image keeps its size, except where it must fit into matterport's square.
   */
  readonly resize?: "torchvision" | "detectron2" | "matterport";
}

/** An image in the network's input format, and the position of the photo in it. */
export interface PreparedImage {
  readonly image: FloatImage;
  /** Part of `image` that the photo fills: all of it, except in matterport's square. */
  readonly window: PixelWindow;
  /** Size of the photo. */
  readonly originalSize: ImageSize;
}

/**
 * Returns the size in pixels to which `prepareImage` brings a photo of this size; for matterport it is a
 * square of side `maxSize`.
 *
 * @throws ConfigError when an edge would vanish, or for matterport's square without a `maxSize`.
 */
export function preparedSize(
  photo: ImageSize,
  {
    resize = "torchvision",
    minSize,
    maxSize = Infinity,
  }: Pick<ImageOptions, "resize" | "minSize" | "maxSize">,
): ImageSize {
  if (resize === "matterport") {
    squareFit(photo, { minSize, side: maxSize }); // for its errors
    return { height: maxSize, width: maxSize };
  }
  if (minSize === undefined) return photo;
  return (resize === "torchvision" ? shortestEdgeSize : roundedShortestEdgeSize)(photo, { minSize, maxSize });
}

/**
 * Normalises and resizes an image for inference; the result includes what is needed to map detections back to
 * the photo.
 *
 * @throws ConfigError when an edge would vanish, or for matterport's square without a `maxSize`.
 */
export function prepareImage(photo: RawImage, options: ImageOptions): PreparedImage {
  const { resize = "torchvision", minSize, maxSize = Infinity } = options;
  const originalSize = { height: photo.height, width: photo.width };
  if (resize === "matterport") {
    const square = centreInSquare(
      resizeLikeScikitImage(photo, squareFit(photo, { minSize, side: maxSize })),
      maxSize,
    );
    return {
      image: normalizeImageBy((value) => value, square.image, options),
      window: square.window,
      originalSize,
    };
  }
  const size = preparedSize(photo, options);
  const image =
    resize === "torchvision" ?
      resizeImage(normalizeImage(photo, options), size)
    : normalizeImage(resizeLikePillow(photo, size), options);
  return { image, window: { left: 0, top: 0, height: image.height, width: image.width }, originalSize };
}
