/** Run lengths of masks in COCO's form: construction, decoding, measures and merging, as pycocotools. */
import { DatasetError } from "@mrcnn/core";
import type { Bitmap, ImageSize, Rle } from "@mrcnn/core";
import { createRunWriter } from "./run-writer.ts";

/**
 * Checks a size.
 *
 * @throws DatasetError unless both sides are whole numbers of pixels and their product is below 2^32.
 */
export function checkSize(size: ImageSize, where: string): void {
  const { height, width } = size;
  if (
    !Number.isInteger(height) ||
    !Number.isInteger(width) ||
    height < 0 ||
    width < 0 ||
    height * width > 0xffffffff
  ) {
    throw new DatasetError(`${where}: size must be whole pixels, got height ${height}, width ${width}.`);
  }
}

/**
 * Returns run lengths from plain counts (COCO's uncompressed form): column-major, zeros first. `where` names
 * the file or annotation in errors.
 *
 * @throws DatasetError when a count is not a whole number >= 0, or the counts don't add up to the image.
 */
export function rleFromCounts(counts: ArrayLike<number>, size: ImageSize, where = "rleFromCounts"): Rle {
  checkSize(size, where);
  let sum = 0;
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i]!;
    if (!Number.isInteger(count) || count < 0) {
      throw new DatasetError(`${where}: counts must be whole numbers >= 0, got ${count} at place ${i}.`);
    }
    sum += count;
  }
  const { height, width } = size;
  if (sum !== height * width) {
    throw new DatasetError(
      `${where}: counts must add up to height * width = ${height} * ${width} = ${height * width}, got ${sum}. ` +
        "Check that the mask was made for this image.",
    );
  }
  return { size: { height, width }, counts: Uint32Array.from(counts) };
}

/** Returns the run lengths of a bitmap over its whole image. */
export function encodeRle(bitmap: Bitmap): Rle {
  const { size, left, top, width, height, data } = bitmap;
  const runs = createRunWriter(size);
  for (let x = 0; x < width; x++) {
    const column = (left + x) * size.height + top;
    for (let y = 0; y < height; y++) {
      if (data[y * width + x] === 0) continue;
      const start = y;
      do y++;
      while (y < height && data[y * width + x] !== 0);
      runs.add(column + start, column + y);
    }
  }
  return runs.finish();
}

/** Returns the bitmap of run lengths in its tight window; an empty mask has a window of 0 by 0. */
export function decodeRle(rle: Rle): Bitmap {
  const [left, top, width, height] = rleToBox(rle);
  const data = new Uint8Array(width * height);
  const rows = rle.size.height;
  forEachRun(rle, (start, end) => {
    let x = Math.floor(start / rows);
    let y = start - x * rows;
    for (let n = end - start; n > 0; x++, y = 0) {
      const stop = Math.min(rows, y + n);
      n -= stop - y;
      for (; y < stop; y++) data[(y - top) * width + (x - left)] = 1;
    }
  });
  return { size: rle.size, left, top, width, height, data };
}

/** Calls `visit(start, end)` for each run of ones, in column-major pixels. */
function forEachRun(rle: Rle, visit: (start: number, end: number) => void): void {
  const { counts } = rle;
  let at = 0;
  for (let i = 0; i + 1 < counts.length; i += 2) {
    const start = at + counts[i]!;
    at = start + counts[i + 1]!;
    if (at > start) visit(start, at);
  }
}

/** Returns the number of pixels set. */
export function rleArea(rle: Rle): number {
  let area = 0;
  for (let i = 1; i < rle.counts.length; i += 2) area += rle.counts[i]!;
  return area;
}

/** Returns the tight box of a mask as (x, y, width, height), as COCO's `toBbox`; zeros when it is empty. */
export function rleToBox({ counts, size }: Rle): RleMeasures["box"] {
  return measureCounts(counts, size.height).box;
}

/** Measures of a mask. */
export interface RleMeasures {
  /** The sum of all counts. */
  readonly total: number;
  /** Number of pixels set. */
  readonly pixels: number;
  /** The tight box; zeros when no pixel is set. */
  readonly box: readonly [x: number, y: number, width: number, height: number];
}

/** Measures the mask of these counts on an image of `rows` rows, in one pass. */
export function measureCounts(counts: Uint32Array, rows: number): RleMeasures {
  const { length } = counts;
  let left = -1;
  let right = -1;
  let top = rows;
  let bottom = -1;
  let pixels = 0;
  // Start of the next run. Stepping from run to run saves the divisions.
  let column = 0;
  let row = 0;
  for (let i = 0; i < length; i++) {
    const count = counts[i]!;
    const end = row + count;
    if ((i & 1) === 1 && count > 0) {
      pixels += count;
      if (left < 0) left = column;
      if (end <= rows) {
        right = column;
        if (row < top) top = row;
        if (end > bottom) bottom = end;
      } else {
        // A run over a column's end includes both the last row and the first.
        right = column + Math.floor((end - 1) / rows);
        top = 0;
        bottom = rows;
      }
    }
    if (end < rows) row = end;
    else if (end < 2 * rows) {
      column++;
      row = end - rows;
    } else {
      const columns = rows === 0 ? 0 : Math.floor(end / rows);
      column += columns;
      row = end - columns * rows;
    }
  }
  return {
    total: column * rows + row,
    pixels,
    box: left < 0 ? [0, 0, 0, 0] : [left, top, right - left + 1, bottom - top],
  };
}

/**
 * Returns the union of masks of one image, or with `intersect` their intersection.
 *
 * @throws DatasetError when there are none or their sizes differ.
 */
export function mergeRles(rles: readonly Rle[], options: { readonly intersect?: boolean } = {}): Rle {
  if (rles.length === 0) throw new DatasetError("mergeRles: rles must hold at least one mask, got none.");
  // Merged in pairs, then pairs of pairs: one after the other would read the growing union again for each
  // mask.
  let masks = rles;
  const intersect = options.intersect ?? false;
  while (masks.length > 1) {
    const before = masks;
    masks = Array.from({ length: Math.ceil(before.length / 2) }, (_, i) => {
      const [a, b] = [before[2 * i]!, before[2 * i + 1]];
      return b === undefined ? a : mergePair(a, b, intersect);
    });
  }
  return masks[0]!;
}

function mergePair(a: Rle, b: Rle, intersect: boolean): Rle {
  const { height, width } = a.size;
  if (b.size.height !== height || b.size.width !== width) {
    throw new DatasetError(
      `mergeRles: rles must be of one size, got ${height} x ${width} and ${b.size.height} x ${b.size.width} (height x width).`,
    );
  }
  const runs = createRunWriter(a.size);
  let i = 0;
  let j = 0;
  let endA = a.counts[0] ?? 0;
  let endB = b.counts[0] ?? 0;
  const total = height * width;
  for (let at = 0; at < total;) {
    while (endA <= at) endA += a.counts[++i]!;
    while (endB <= at) endB += b.counts[++j]!;
    const next = Math.min(endA, endB);
    const inA = (i & 1) === 1;
    const inB = (j & 1) === 1;
    if (intersect ? inA && inB : inA || inB) runs.add(at, next);
    at = next;
  }
  return runs.finish();
}
