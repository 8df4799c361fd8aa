/**
 * Colour changes of images, as torchvision's `adjust_brightness`, `adjust_contrast`, `adjust_saturation` and
 * `adjust_hue`.
 */
import type { RawImage } from "@mrcnn/core";

/** Amounts of the changes of an image's colours. */
export interface ColorChange {
  /** Factor of the brightness. Default 1. */
  readonly brightness?: number;
  /** Factor of the contrast about the image's mean grey. Default 1. */
  readonly contrast?: number;
  /** Factor of the distance of every pixel from its own grey: 0 gives a grey image. Default 1. */
  readonly saturation?: number;
  /** Rotation of the hue in turns, -0.5 to 0.5: 1/3 turns red into green. Default 0. */
  readonly hue?: number;
}

/**
 * Changes an image's colours: brightness, contrast, saturation, then hue, as torchvision's functions of these
 * names (grey is ITU-R 601's), without rounding in between. Values are clipped to 0..255.
 */
export function adjustColor(
  image: RawImage,
  { brightness = 1, contrast = 1, saturation = 1, hue = 0 }: ColorChange,
): RawImage {
  const source = image.data;
  const bright = Float32Array.from({ length: 256 }, (_, x) => within(brightness * x));
  let sum = 0;
  for (let i = 0; i < source.length; i += 3)
    sum += greyOf(bright[source[i]!]!, bright[source[i + 1]!]!, bright[source[i + 2]!]!);
  const mean = (sum * 3) / Math.max(source.length, 1);
  const table = bright.map((x) => within(mean + contrast * (x - mean)));
  const data = new Uint8ClampedArray(source.length);
  for (let i = 0; i < source.length; i += 3) {
    let [r, g, b] = [table[source[i]!]!, table[source[i + 1]!]!, table[source[i + 2]!]!];
    if (saturation !== 1) {
      const grey = greyOf(r, g, b);
      [r, g, b] = [
        within(grey + saturation * (r - grey)),
        within(grey + saturation * (g - grey)),
        within(grey + saturation * (b - grey)),
      ];
    }
    if (hue !== 0) [r, g, b] = turnHue(r, g, b, hue);
    data[i] = r;
    data[i + 1] = g;
    data[i + 2] = b;
  }
  return { ...image, data: new Uint8Array(data.buffer) };
}

const within = (x: number): number => Math.min(Math.max(x, 0), 255);
const greyOf = (r: number, g: number, b: number): number => 0.299 * r + 0.587 * g + 0.114 * b;

// Rotates the hue about HSV's hexagon; the largest and smallest channel (HSV's value and saturation) stay the
// same.
function turnHue(r: number, g: number, b: number, turns: number): [number, number, number] {
  const high = Math.max(r, g, b);
  const span = high - Math.min(r, g, b);
  if (span === 0) return [r, g, b];
  const sixth =
    high === r ? (g - b) / span
    : high === g ? 2 + (b - r) / span
    : 4 + (r - g) / span;
  const channel = (shift: number): number => {
    const at = (((sixth + 6 * turns + shift) % 6) + 6) % 6;
    return high - span * Math.min(Math.max(Math.min(at, 4 - at), 0), 1);
  };
  return [channel(5), channel(3), channel(1)];
}
