/** Cropping of images. */
import { ShapeError, type ImageSize, type Random, type RawImage } from "@mrcnn/core";
import type { PixelWindow } from "@mrcnn/masks";

/**
 * Cuts `window` out of an image.
 *
 * @throws ShapeError when the window doesn't lie within the image.
 */
export function cropImage(image: RawImage, window: PixelWindow): RawImage {
  const { left, top, height, width } = window;
  if (!(left >= 0 && top >= 0 && left + width <= image.width && top + height <= image.height)) {
    throw new ShapeError(
      `cropImage: window must lie within ${image.height}x${image.width} pixels, ` +
        `got ${height}x${width} at row ${top}, column ${left}.`,
    );
  }
  const data = new Uint8Array(height * width * 3);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * image.width + left) * 3;
    data.set(image.data.subarray(start, start + width * 3), y * width * 3);
  }
  return { height, width, data };
}

/**
 * Draws a window of `crop`'s size uniformly within `size`; along an edge shorter than the crop, it spans the
 * edge.
 */
export function randomWindow(size: ImageSize, crop: ImageSize, random: Random): PixelWindow {
  const height = Math.min(size.height, crop.height);
  const width = Math.min(size.width, crop.width);
  const top = random.int(size.height - height + 1);
  const left = random.int(size.width - width + 1);
  return { left, top, height, width };
}
