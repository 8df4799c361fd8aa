import type { RawImage } from "@mrcnn/core";

/**
 * Multiplies an image's brightness, then its contrast about its mean grey (ITU-R 601), by the given
 * factors; 1 leaves it as it is. Values stay within 0..255.
 */
export function adjustColor(image: RawImage, { brightness, contrast }: { brightness: number; contrast: number }): RawImage {
  const source = image.data;
  let sum = 0;
  for (let i = 0; i < source.length; i += 3) sum += 0.299 * source[i]! + 0.587 * source[i + 1]! + 0.114 * source[i + 2]!;
  const grey = (brightness * sum * 3) / Math.max(source.length, 1);
  const table = Uint8ClampedArray.from({ length: 256 }, (_, x) => grey + contrast * (brightness * x - grey));
  return { ...image, data: Uint8Array.from(source, (x) => table[x]!) };
}
