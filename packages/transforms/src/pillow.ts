/** Bilinear resizing of bytes, as Pillow. */
import type { ImageSize, RawImage } from "@mrcnn/core";

// Fractional bits of a weight: 32, less 8 for the pixel and 2 into which sums of rounded weights may
// overflow.
const PRECISION = 32 - 8 - 2;
const HALF = 1 << (PRECISION - 1);

interface Filter {
  /**
   * First source position of each output position; `count` is the number of source positions that it reads.
   */
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** Fixed-point weights, `taps` entries per output position. */
  readonly weights: Int32Array;
  readonly taps: number;
}

// Returns a triangle filter as wide as two source pixels, or as two output pixels where those are larger.
function triangleFilter(from: number, to: number): Filter {
  const scale = from / to;
  const support = Math.max(scale, 1);
  const narrow = 1 / support;
  const taps = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const weights = new Int32Array(to * taps);
  const own = new Float64Array(taps);
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale;
    const low = Math.max(0, Math.trunc(center - support + 0.5));
    const length = Math.min(from, Math.trunc(center + support + 0.5)) - low;
    let sum = 0;
    for (let k = 0; k < length; k++) {
      const distance = Math.abs((k + low - center + 0.5) * narrow);
      own[k] = distance < 1 ? 1 - distance : 0;
      sum += own[k]!;
    }
    for (let k = 0; k < length; k++)
      weights[i * taps + k] = Math.trunc(0.5 + (own[k]! / sum) * (1 << PRECISION));
    first[i] = low;
    count[i] = length;
  }
  return { first, count, weights, taps };
}

type Bytes = RawImage["data"];

function resizeRows(source: Bytes, { height, width }: ImageSize, to: number): Bytes {
  const { first, count, weights, taps } = triangleFilter(width, to);
  const data = new Uint8ClampedArray(height * to * 3);
  for (let y = 0, o = 0; y < height; y++) {
    const row = y * width;
    for (let x = 0; x < to; x++, o += 3) {
      const w = x * taps;
      const end = w + count[x]!;
      let [r, g, b] = [HALF, HALF, HALF];
      for (let k = w, i = (row + first[x]!) * 3; k < end; k++, i += 3) {
        const weight = weights[k]!;
        r += weight * source[i]!;
        g += weight * source[i + 1]!;
        b += weight * source[i + 2]!;
      }
      data[o] = r >> PRECISION;
      data[o + 1] = g >> PRECISION;
      data[o + 2] = b >> PRECISION;
    }
  }
  return data;
}

function resizeColumns(source: Bytes, { height, width }: ImageSize, to: number): Bytes {
  const { first, count, weights, taps } = triangleFilter(height, to);
  const row = width * 3;
  const data = new Uint8ClampedArray(to * row);
  const sums = new Int32Array(row);
  for (let y = 0; y < to; y++) {
    sums.fill(HALF);
    for (let k = 0; k < count[y]!; k++) {
      const weight = weights[y * taps + k]!;
      const start = (first[y]! + k) * row;
      for (let i = 0; i < row; i++) sums[i]! += weight * source[start + i]!;
    }
    for (let i = 0, o = y * row; i < row; i++, o++) data[o] = sums[i]! >> PRECISION;
  }
  return data;
}

/**
 * Resizes bytes as Pillow's `Image.resize` with BILINEAR, bit for bit: with a triangle filter that widens
 * when shrinking (antialiasing), rows before columns, each rounded to a byte; an edge whose length doesn't
 * change is not filtered.
 */
export function resizeLikePillow(image: RawImage, { height, width }: ImageSize): RawImage {
  const rows = width === image.width ? image.data : resizeRows(image.data, image, width);
  const data = height === image.height ? rows : resizeColumns(rows, { height: image.height, width }, height);
  return { height, width, data };
}
