/** Bilinear resizing of bytes, as scikit-image. */
import type { ImageSize, RawImage } from "@mrcnn/core";

interface Taps {
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly lowWeight: Float64Array;
  readonly highWeight: Float64Array;
}

// Returns for each output position its two source positions and their weights; outside of the image is black.
function taps(from: number, to: number, step: number): Taps {
  const [low, high] = [new Int32Array(to), new Int32Array(to)];
  const [lowWeight, highWeight] = [new Float64Array(to), new Float64Array(to)];
  const scale = from / to;
  for (let i = 0; i < to; i++) {
    const at = (i + 0.5) * scale - 0.5;
    const floor = Math.floor(at);
    const weight = 1 - (at - floor);
    low[i] = Math.max(floor, 0) * step;
    lowWeight[i] = floor < 0 ? 0 : weight;
    high[i] = Math.min(floor + 1, from - 1) * step;
    highWeight[i] = floor + 1 < from ? 1 - weight : 0;
  }
  return { low, high, lowWeight, highWeight };
}

/**
 * Resizes bytes as scikit-image's `transform.resize(image, size, order=1, mode="constant",
 * preserve_range=True, anti_aliasing=False).astype(uint8)`: bilinear in float64 with black around the image,
 * clipped to the image's own range of values and truncated to whole numbers.
 */
export function resizeLikeScikitImage(image: RawImage, { height, width }: ImageSize): RawImage {
  if (height === image.height && width === image.width) return image;
  const source = image.data;
  let [least, most] = [255, 0];
  for (const value of source) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  const x = taps(image.width, width, 3);
  const y = taps(image.height, height, image.width * 3);
  const data = new Uint8Array(height * width * 3);
  for (let i = 0, o = 0; i < height; i++) {
    const [top, bottom, above, below] = [y.low[i]!, y.high[i]!, y.lowWeight[i]!, y.highWeight[i]!];
    for (let j = 0; j < width; j++) {
      const [left, right, before, after] = [x.low[j]!, x.high[j]!, x.lowWeight[j]!, x.highWeight[j]!];
      for (let c = 0; c < 3; c++, o++) {
        // Values are truncated, so the order of operations matters: it is scipy.ndimage.zoom's.
        const value =
          source[top + left + c]! * above * before +
          source[top + right + c]! * above * after +
          source[bottom + left + c]! * below * before +
          source[bottom + right + c]! * below * after;
        data[o] =
          value < least ? least
          : value > most ? most
          : value;
      }
    }
  }
  return { height, width, data };
}
