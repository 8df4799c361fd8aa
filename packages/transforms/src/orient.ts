/** Orientation of images, masks and boxes by flips and transposition. */
import type { Bitmap, ImageSize, RawImage } from "@mrcnn/core";

/** One of the eight orientations of a picture: transposed first, then mirrored. */
export interface Orientation {
  /** Whether rows and columns are swapped. Default false. */
  readonly transpose?: boolean;
  /** Whether left and right are mirrored. Default false. */
  readonly flipHorizontal?: boolean;
  /** Whether top and bottom are mirrored. Default false. */
  readonly flipVertical?: boolean;
}

/** Returns the size of a picture of `size` after `orientation`. */
export function orientSize({ height, width }: ImageSize, { transpose = false }: Orientation): ImageSize {
  return transpose ? { height: width, width: height } : { height, width };
}

function orientPixels(
  source: Uint8Array | Uint8ClampedArray,
  size: ImageSize,
  channels: number,
  orientation: Orientation,
): Uint8Array {
  const { transpose = false, flipHorizontal = false, flipVertical = false } = orientation;
  const out = orientSize(size, orientation);
  let right = (transpose ? size.width : 1) * channels;
  let down = (transpose ? 1 : size.width) * channels;
  let start = 0;
  if (flipHorizontal) {
    start += right * (out.width - 1);
    right = -right;
  }
  if (flipVertical) {
    start += down * (out.height - 1);
    down = -down;
  }
  const data = new Uint8Array(out.height * out.width * channels);
  let to = 0;
  for (let y = 0; y < out.height; y++) {
    let from = start + y * down;
    for (let x = 0; x < out.width; x++, from += right) {
      for (let c = 0; c < channels; c++) data[to++] = source[from + c]!;
    }
  }
  return data;
}

/** Orients an image. */
export function orientImage(image: RawImage, orientation: Orientation): RawImage {
  return { ...orientSize(image, orientation), data: orientPixels(image.data, image, 3, orientation) };
}

/** Orients a mask with its image. */
export function orientBitmap(bitmap: Bitmap, orientation: Orientation): Bitmap {
  const { transpose = false, flipHorizontal = false, flipVertical = false } = orientation;
  const size = orientSize(bitmap.size, orientation);
  const { height, width } = orientSize(bitmap, orientation);
  const [left, top] = transpose ? [bitmap.top, bitmap.left] : [bitmap.left, bitmap.top];
  return {
    size,
    height,
    width,
    left: flipHorizontal ? size.width - left - width : left,
    top: flipVertical ? size.height - top - height : top,
    data: orientPixels(bitmap.data, bitmap, 1, orientation),
  };
}

/** Orients boxes [N * 4] with their image; `size` is the image's size before. */
export function orientBoxes(boxes: Float32Array, size: ImageSize, orientation: Orientation): Float32Array {
  const { transpose = false, flipHorizontal = false, flipVertical = false } = orientation;
  const { height, width } = orientSize(size, orientation);
  const result = new Float32Array(boxes.length);
  for (let i = 0; i < boxes.length; i += 4) {
    let [x1, y1, x2, y2] = boxes.subarray(i, i + 4) as unknown as [number, number, number, number];
    if (transpose) [x1, y1, x2, y2] = [y1, x1, y2, x2];
    if (flipHorizontal) [x1, x2] = [width - x2, width - x1];
    if (flipVertical) [y1, y2] = [height - y2, height - y1];
    result.set([x1, y1, x2, y2], i);
  }
  return result;
}
