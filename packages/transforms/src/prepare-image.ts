import type { FloatImage, ImageSize, RawImage } from "@mrcnn/core";
import type { PixelWindow } from "@mrcnn/masks";
import { normalizeImage, normalizeImageBy, type Normalization } from "./normalize.ts";
import { resizeLikePillow } from "./pillow.ts";
import { resizeImage, roundedShortestEdgeSize, shortestEdgeSize, type ShortestEdge } from "./resize.ts";
import { resizeLikeScikitImage } from "./scikit-image.ts";
import { centreInSquare, squareFit } from "./square.ts";

/** What the network expects of an image. */
export interface ImageOptions extends Normalization, Partial<ShortestEdge> {
  /**
   * Whose way of resizing, and of rounding, to follow. Default "torchvision".
   * - "torchvision": normalised floats, bilinear without antialiasing; sizes rounded down.
   * - "detectron2": bytes, Pillow's antialiased bilinear; sizes rounded to the nearest.
   * - "matterport": bytes, scikit-image's bilinear; never made smaller than need be, then centred in a
   *   black square of `maxSize` pixels; the mean is taken off in float64, of the black too.
   *
   * Without `minSize` the image keeps its size, but for what `maxSize` demands of matterport's square.
   */
  readonly resize?: "torchvision" | "detectron2" | "matterport";
}

/** An image as the network sees it, and where in it the photo is. */
export interface PreparedImage {
  readonly image: FloatImage;
  /** The part of `image` that the photo fills: all of it, except in matterport's square. */
  readonly window: PixelWindow;
  /** Of the photo. */
  readonly originalSize: ImageSize;
}

/**
 * The size in pixels that `prepareImage` gives a photo of this size: matterport's is a square, whose sides are `maxSize`.
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
    squareFit(photo, { minSize, side: maxSize }); // throws where nothing fits
    return { height: maxSize, width: maxSize };
  }
  if (minSize === undefined) return photo;
  return (resize === "torchvision" ? shortestEdgeSize : roundedShortestEdgeSize)(photo, { minSize, maxSize });
}

/**
 * An image normalised and resized for inference, with what maps results back.
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
