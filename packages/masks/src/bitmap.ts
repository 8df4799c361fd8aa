/** Binary masks stored as bitmaps of a window. */
import { assertLength } from "@mrcnn/core";
import type { Bitmap, ImageSize, Rle } from "@mrcnn/core";
import { decodeRle } from "./rle.ts";

/** A window of an image, in whole pixels. */
export interface PixelWindow extends ImageSize {
  readonly left: number;
  readonly top: number;
}

/** Tells whether a mask is a bitmap; otherwise it is run lengths. */
const isBitmap = (mask: Bitmap | Rle): mask is Bitmap => "data" in mask;

/** Returns a mask as one byte (0 or 1) per pixel of its whole image, row-major, [height * width]. */
export function toFullBitmap(mask: Bitmap | Rle): Uint8Array {
  const { size, left, top, width, height, data } = isBitmap(mask) ? mask : decodeRle(mask);
  const full = new Uint8Array(size.height * size.width);
  for (let y = 0; y < height; y++)
    full.set(data.subarray(y * width, (y + 1) * width), (top + y) * size.width + left);
  return full;
}

/**
 * Returns the bitmap of a whole row-major image, where non-zero pixels are set, stored within its tight
 * window only.
 */
export function bitmapFromFull(data: ArrayLike<number>, size: ImageSize): Bitmap {
  assertLength(data, size.height * size.width, "bitmapFromFull", "data");
  return cut(size, 0, 0, size, (x, y) => data[y * size.width + x]!);
}

/**
 * Returns the tight box (x1, y1, x2, y2) of the pixels set, right and bottom exclusive; zeros when none is
 * set.
 */
export function bitmapBox(bitmap: Bitmap): readonly [x1: number, y1: number, x2: number, y2: number] {
  const { left, top, width, height, data } = bitmap;
  const box = tightWindow({ width, height }, (x, y) => data[y * width + x]!);
  if (box.width === 0) return [0, 0, 0, 0];
  return [left + box.left, top + box.top, left + box.left + box.width, top + box.top + box.height];
}

/** Returns the part of a mask within `window`, as a mask of an image of the window's size. */
export function cropBitmap(bitmap: Bitmap, window: PixelWindow): Bitmap {
  const left = Math.max(bitmap.left, window.left);
  const top = Math.max(bitmap.top, window.top);
  const width = Math.max(0, Math.min(bitmap.left + bitmap.width, window.left + window.width) - left);
  const height = Math.max(0, Math.min(bitmap.top + bitmap.height, window.top + window.height) - top);
  const at = (top - bitmap.top) * bitmap.width + left - bitmap.left;
  return cut(
    { height: window.height, width: window.width },
    left - window.left,
    top - window.top,
    { width, height },
    (x, y) => bitmap.data[at + y * bitmap.width + x]!,
  );
}

/** Returns the mask of the image mirrored left to right. */
export function flipBitmap(bitmap: Bitmap): Bitmap {
  const { size, left, top, width, height, data } = bitmap;
  const flipped = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) flipped[y * width + x] = data[y * width + (width - 1 - x)]!;
  }
  return { size, left: size.width - left - width, top, width, height, data: flipped };
}

/**
 * Returns the mask of the image resized to `size` by nearest neighbours as in
 * `torch.nn.functional.interpolate`: the source pixel is floor(i * in / out) in float32.
 */
export function resizeBitmap(bitmap: Bitmap, size: ImageSize): Bitmap {
  const columns = sources(bitmap.size.width, size.width, bitmap.left, bitmap.width);
  const rows = sources(bitmap.size.height, size.height, bitmap.top, bitmap.height);
  const window = { width: columns.index.length, height: rows.index.length };
  return cut(
    size,
    columns.first,
    rows.first,
    window,
    (x, y) => bitmap.data[rows.index[y]! * bitmap.width + columns.index[x]!]!,
  );
}

// Returns, for each output position whose source lies in the window [start, start + length), that source
// relative to the window's start.
function sources(
  from: number,
  to: number,
  start: number,
  length: number,
): { first: number; index: number[] } {
  const scale = Math.fround(from / to);
  const index: number[] = [];
  let first = 0;
  for (let i = 0; i < to; i++) {
    const source = Math.min(Math.floor(Math.fround(i * scale)), from - 1) - start;
    if (source < 0 || source >= length) continue;
    if (index.length === 0) first = i;
    index.push(source);
  }
  return { first, index };
}

// Returns the bitmap of the values `at` of a window at (left, top), cropped to the pixels set.
function cut(
  size: ImageSize,
  left: number,
  top: number,
  window: ImageSize,
  at: (x: number, y: number) => number,
): Bitmap {
  const box = tightWindow(window, at);
  const data = new Uint8Array(box.width * box.height);
  for (let y = 0; y < box.height; y++) {
    for (let x = 0; x < box.width; x++) data[y * box.width + x] = at(box.left + x, box.top + y) === 0 ? 0 : 1;
  }
  const empty = data.length === 0;
  return {
    size: { height: size.height, width: size.width },
    left: empty ? 0 : left + box.left,
    top: empty ? 0 : top + box.top,
    width: box.width,
    height: box.height,
    data,
  };
}

function tightWindow({ width, height }: ImageSize, at: (x: number, y: number) => number): PixelWindow {
  let left = width;
  let right = -1;
  let top = height;
  let bottom = -1;
  for (let y = 0; y < height; y++) {
    let first = 0;
    while (first < width && at(first, y) === 0) first++;
    if (first === width) continue;
    let last = width - 1;
    while (at(last, y) === 0) last--;
    if (first < left) left = first;
    if (last > right) right = last;
    if (top === height) top = y;
    bottom = y;
  }
  return right < 0 ?
      { left: 0, top: 0, width: 0, height: 0 }
    : { left, top, width: right - left + 1, height: bottom - top + 1 };
}
