/** Drawing of pixels, rectangles, strokes and text into an RGB image. */
import type { ImageSize, RawImage } from "@mrcnn/core";
import type { Color } from "./color.ts";
import { GLYPH_ROWS, textColumns } from "./font.ts";

/** An image to draw on; drawing outside it is clipped. */
export interface Canvas extends ImageSize {
  readonly data: Uint8ClampedArray;
}

/** Copies an image, enlarging each pixel to `scale` by `scale`. */
export function canvasOf(image: RawImage, scale: number): Canvas {
  const width = image.width * scale;
  const height = image.height * scale;
  const data = new Uint8ClampedArray(width * height * 3);
  if (scale === 1) data.set(image.data.subarray(0, data.length));
  else {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const from = (Math.floor(y / scale) * image.width + Math.floor(x / scale)) * 3;
        const to = (y * width + x) * 3;
        for (let c = 0; c < 3; c++) data[to + c] = image.data[from + c]!;
      }
    }
  }
  return { width, height, data };
}

/** Blends `color` over one pixel. */
export function blend(canvas: Canvas, x: number, y: number, color: Color, opacity: number): void {
  const at = (y * canvas.width + x) * 3;
  for (let c = 0; c < 3; c++)
    canvas.data[at + c] = canvas.data[at + c]! * (1 - opacity) + color[c]! * opacity;
}

/** Fills whole pixels from (x1, y1) up to, but not including, (x2, y2). */
export function fillRect(canvas: Canvas, x1: number, y1: number, x2: number, y2: number, color: Color): void {
  for (let y = Math.max(0, y1); y < Math.min(canvas.height, y2); y++) {
    for (let x = Math.max(0, x1); x < Math.min(canvas.width, x2); x++) blend(canvas, x, y, color, 1);
  }
}

/** Draws the outline of a box, with the line inside it. */
export function strokeRect(
  canvas: Canvas,
  x1: number,
  y1: number,
  x2: number,
  y2: number,
  line: number,
  color: Color,
): void {
  fillRect(canvas, x1, y1, x2, Math.min(y2, y1 + line), color);
  fillRect(canvas, x1, Math.max(y1, y2 - line), x2, y2, color);
  fillRect(canvas, x1, y1, Math.min(x2, x1 + line), y2, color);
  fillRect(canvas, Math.max(x1, x2 - line), y1, x2, y2, color);
}

/**
 * A line between two points with round ends and smooth edges, `radius` to each side of its middle. Pixel (0,
 * 0) covers 0 to 1.
 */
export interface Stroke {
  readonly from: readonly [x: number, y: number];
  readonly to: readonly [x: number, y: number];
  readonly radius: number;
}

/** Draws a stroke; a disc when its ends are the same. */
export function drawStroke(canvas: Canvas, { from, to, radius }: Stroke, color: Color): void {
  const [x1, y1] = from;
  const [dx, dy] = [to[0] - x1, to[1] - y1];
  const length2 = dx * dx + dy * dy;
  const reach = radius + 0.5;
  const [left, right] = [Math.floor(Math.min(x1, to[0]) - reach), Math.ceil(Math.max(x1, to[0]) + reach)];
  const [top, bottom] = [Math.floor(Math.min(y1, to[1]) - reach), Math.ceil(Math.max(y1, to[1]) + reach)];
  for (let y = Math.max(0, top); y < Math.min(canvas.height, bottom); y++) {
    for (let x = Math.max(0, left); x < Math.min(canvas.width, right); x++) {
      const [u, v] = [x + 0.5 - x1, y + 0.5 - y1];
      const along = length2 === 0 ? 0 : Math.min(1, Math.max(0, (u * dx + v * dy) / length2));
      const opacity = Math.min(1, reach - Math.hypot(u - along * dx, v - along * dy));
      if (opacity > 0) blend(canvas, x, y, color, opacity);
    }
  }
}

/** Returns width and height in pixels of a line of text whose dots are `dot` pixels wide. */
export function textSize(text: string, dot: number): ImageSize {
  return { width: Math.ceil(textColumns(text).length * dot), height: Math.ceil(GLYPH_ROWS * dot) };
}

/**
 * Draws a line of text with its top left at (x, y). Above one pixel per dot, corners are rounded and edges
 * smooth.
 */
export function drawText(
  canvas: Canvas,
  text: string,
  x: number,
  y: number,
  dot: number,
  color: Color,
): void {
  const columns = textColumns(text);
  const bit = (column: number, row: number): number =>
    ((columns[column] ?? 0) >> row) & 1 && row >= 0 ? 1 : 0;
  const { width, height } = textSize(text, dot);
  for (let v = 0; v < height && y + v < canvas.height; v++) {
    const row = (v + 0.5) / dot - 0.5;
    const r = Math.floor(row);
    for (let u = 0; u < width && x + u < canvas.width; u++) {
      if (x + u < 0 || y + v < 0) continue;
      const column = (u + 0.5) / dot - 0.5;
      const c = Math.floor(column);
      // Blurring the dots by one dot and thresholding at one half keeps their width and joins them at
      // corners.
      const above = bit(c, r) * (1 - column + c) + bit(c + 1, r) * (column - c);
      const below = bit(c, r + 1) * (1 - column + c) + bit(c + 1, r + 1) * (column - c);
      const inked = above * (1 - row + r) + below * (row - r);
      const opacity = Math.min(1, Math.max(0, (inked - 0.5) * dot + 0.5));
      if (opacity > 0) blend(canvas, x + u, y + v, color, opacity);
    }
  }
}
