/** Sizes by the shorter edge and bilinear resizing, as torchvision and detectron2. */
import { ConfigError, type FloatImage, type ImageSize } from "@mrcnn/core";
import type { PixelWindow } from "@mrcnn/masks";

/** Size limits of an image for the network. */
export interface ShortestEdge {
  /** Length of the shorter edge in pixels. */
  readonly minSize: number;
  /** Largest length of the longer edge in pixels; it takes precedence over `minSize`. */
  readonly maxSize: number;
}

/**
 * Returns the size at which the shorter edge is `minSize`, unless the longer edge would exceed `maxSize`.
 *
 * As torchvision 0.14 to the pixel: the scale is a float32 reciprocal times the wanted edge, and the result
 * is floored, so that an edge may be one pixel short (799 for a height of 103). Later versions compute the
 * scale in float64, where that is rarer.
 *
 * @throws ConfigError when an edge would be smaller than one pixel.
 */
export function shortestEdgeSize(size: ImageSize, { minSize, maxSize }: ShortestEdge): ImageSize {
  const edge = (length: number, wanted: number): number => Math.fround(Math.fround(1 / length) * wanted);
  const { height, width } = size;
  const scale = Math.min(edge(Math.min(height, width), minSize), edge(Math.max(height, width), maxSize));
  const result = { height: Math.floor(height * scale), width: Math.floor(width * scale) };
  assertNotEmpty("shortestEdgeSize", result, { height, width, minSize, maxSize });
  return result;
}

/**
 * Returns the size for the shorter edge as detectron2's `ResizeShortestEdge.get_output_shape`: in float64,
 * each edge rounded to the nearest whole pixel, halves up.
 *
 * @throws ConfigError when an edge would be smaller than one pixel.
 */
export function roundedShortestEdgeSize(
  { height, width }: ImageSize,
  { minSize, maxSize }: ShortestEdge,
): ImageSize {
  const scale = minSize / Math.min(height, width);
  const wanted =
    height < width ? { height: minSize, width: scale * width } : { height: scale * height, width: minSize };
  const longer = Math.max(wanted.height, wanted.width);
  const shrink = longer > maxSize ? maxSize / longer : 1;
  const result = {
    height: Math.floor(wanted.height * shrink + 0.5),
    width: Math.floor(wanted.width * shrink + 0.5),
  };
  assertNotEmpty("roundedShortestEdgeSize", result, { height, width, minSize, maxSize });
  return result;
}

function assertNotEmpty(
  where: string,
  result: ImageSize,
  { height, width, minSize, maxSize }: ImageSize & ShortestEdge,
): void {
  if (result.height >= 1 && result.width >= 1) return;
  throw new ConfigError(
    `${where}: an image of ${height}x${width} pixels with minSize ${minSize} and maxSize ${maxSize} ` +
      `would become ${result.height}x${result.width}. Choose a larger maxSize.`,
  );
}

interface Taps {
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly weight: Float32Array;
}

// Returns for each output position of [start, start + count) its two source positions and the second's
// weight.
function taps(from: number, to: number, start: number, count: number, step: number): Taps {
  const low = new Int32Array(count);
  const high = new Int32Array(count);
  const weight = new Float32Array(count);
  const scale = Math.fround(from / to);
  for (let i = 0; i < count; i++) {
    const at = Math.max(0, Math.fround(scale * (start + i + 0.5) - 0.5));
    const floor = Math.min(Math.floor(at), from - 1);
    low[i] = floor * step;
    high[i] = Math.min(floor + 1, from - 1) * step;
    weight[i] = Math.min(Math.fround(at - floor), 1);
  }
  return { low, high, weight };
}

/**
 * Resizes bilinearly: half-pixel centres (align_corners false), no antialiasing, as
 * torch.nn.functional.interpolate. With `window`, computes only that part of the result.
 */
export function resizeImage(
  image: FloatImage,
  size: ImageSize,
  { window = { left: 0, top: 0, ...size } }: { window?: PixelWindow } = {},
): FloatImage {
  const { height, width, left, top } = window;
  if (
    image.height === size.height &&
    image.width === size.width &&
    height === size.height &&
    width === size.width
  ) {
    return image;
  }
  const source = image.data;
  const x = taps(image.width, size.width, left, width, 3);
  const y = taps(image.height, size.height, top, height, 1);
  const row = width * 3;
  const data = new Float32Array(height * row);

  // The filter is separable: a source row is stretched once, and kept while output rows still need it.
  const stretch = (sourceRow: number, out: Float32Array): void => {
    const base = sourceRow * image.width * 3;
    for (let i = 0, o = 0; i < width; i++, o += 3) {
      const a = base + x.low[i]!;
      const b = base + x.high[i]!;
      const w = x.weight[i]!;
      const v = 1 - w;
      out[o] = v * source[a]! + w * source[b]!;
      out[o + 1] = v * source[a + 1]! + w * source[b + 1]!;
      out[o + 2] = v * source[a + 2]! + w * source[b + 2]!;
    }
  };
  let upper = { row: -1, values: new Float32Array(row) };
  let lower = { row: -1, values: new Float32Array(row) };
  for (let i = 0; i < height; i++) {
    const first = y.low[i]!;
    const second = y.high[i]!;
    if (lower.row === first) [upper, lower] = [lower, upper];
    for (const [line, wanted] of [
      [upper, first],
      [lower, second],
    ] as const) {
      if (line.row !== wanted) stretch(wanted, line.values);
      line.row = wanted;
    }
    const a = upper.values;
    const b = lower.values;
    const w = y.weight[i]!;
    const v = 1 - w;
    const out = i * row;
    for (let j = 0; j < row; j++) data[out + j] = v * a[j]! + w * b[j]!;
  }
  return { height, width, data };
}
