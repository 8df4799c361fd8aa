/** Arranges images in a grid. */
import { ConfigError } from "@mrcnn/core";
import type { RawImage } from "@mrcnn/core";
import type { Color } from "./color.ts";

/** Options of `tileImages`. */
export interface TileOptions {
  readonly columns: number;
  /** Pixels between images. Default 8. */
  readonly gap?: number;
  /** Colour around the images. Default white. */
  readonly background?: Color;
}

/** Arranges images in rows of `columns`, each centred in a cell as large as the largest image. */
export function tileImages(
  images: readonly RawImage[],
  { columns, gap = 8, background = [255, 255, 255] }: TileOptions,
): RawImage {
  if (images.length === 0) throw new ConfigError("tileImages: images must hold at least one, got none.");
  if (!Number.isInteger(columns) || columns < 1)
    throw new ConfigError(`tileImages: columns must be a whole number from 1, got ${columns}.`);
  const across = Math.min(columns, images.length);
  const down = Math.ceil(images.length / across);
  const cellWidth = Math.max(...images.map((image) => image.width));
  const cellHeight = Math.max(...images.map((image) => image.height));
  const width = across * cellWidth + (across - 1) * gap;
  const height = down * cellHeight + (down - 1) * gap;
  const data = new Uint8ClampedArray(width * height * 3);
  for (let i = 0; i < data.length; i++) data[i] = background[i % 3]!;
  images.forEach((image, i) => {
    const left = (i % across) * (cellWidth + gap) + Math.floor((cellWidth - image.width) / 2);
    const top = Math.floor(i / across) * (cellHeight + gap) + Math.floor((cellHeight - image.height) / 2);
    for (let y = 0; y < image.height; y++) {
      data.set(
        image.data.subarray(y * image.width * 3, (y + 1) * image.width * 3),
        ((top + y) * width + left) * 3,
      );
    }
  });
  return { width, height, data };
}
