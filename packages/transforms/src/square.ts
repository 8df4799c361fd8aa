/** Fitting of images into a black square, as matterport's resize_image in mode "square". */
import { ConfigError, roundHalfToEven, type ImageSize, type RawImage } from "@mrcnn/core";
import type { PixelWindow } from "@mrcnn/masks";

/**
 * Returns the size at which an image fits into a square of `side`: enlarged until its shorter edge is
 * `minSize`, and shrunk only as far as the square requires.
 *
 * @throws ConfigError when `side` is no whole number of pixels, or an edge would be smaller than one.
 */
export function squareFit(
  { height, width }: ImageSize,
  { minSize = 0, side }: { minSize?: number | undefined; side: number },
): ImageSize {
  if (!(Number.isInteger(side) && side >= 1)) {
    throw new ConfigError(
      `prepareImage: maxSize must be the side of matterport's square, a whole number of pixels, got ${side}.`,
    );
  }
  const longer = Math.max(height, width);
  const wanted = Math.max(1, minSize / Math.min(height, width));
  const scale = roundHalfToEven(longer * wanted) > side ? side / longer : wanted;
  const size = { height: roundHalfToEven(height * scale), width: roundHalfToEven(width * scale) };
  if (size.height < 1 || size.width < 1) {
    throw new ConfigError(
      `prepareImage: an image of ${height}x${width} pixels in a square of ${side} would become ${size.height}x${size.width}. Choose a larger maxSize.`,
    );
  }
  return size;
}

/**
 * Centres an image in a black square of `side`, half a pixel to the top left where the margin is odd; returns
 * the square and the image's window in it.
 */
export function centreInSquare(image: RawImage, side: number): { image: RawImage; window: PixelWindow } {
  const { height, width } = image;
  const left = Math.floor((side - width) / 2);
  const top = Math.floor((side - height) / 2);
  const data = new Uint8Array(side * side * 3);
  for (let y = 0; y < height; y++)
    data.set(image.data.subarray(y * width * 3, (y + 1) * width * 3), ((top + y) * side + left) * 3);
  return { image: { height: side, width: side, data }, window: { left, top, height, width } };
}
