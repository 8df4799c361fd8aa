/** Convolutions, matrix products and filter gradients on all threads. */
import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import { allocate, floats, release } from "./heap.ts";
import { address, inParts, instanceOf, partsOf } from "./simd.ts";

/** Strides, dilations and padding of a convolution. */
export interface Geometry {
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  /** Zeros added at the top, bottom, left and right. */
  readonly padding: readonly [number, number, number, number];
}

export interface Epilogue {
  readonly bias?: TensorInfo | undefined;
  readonly relu?: boolean;
}

/** Number of multiplications that are worth a part of their own: some twenty microseconds. */
const WORTH = 300_000;

/**
 * Convolves x [batch, H, W, ci] with `filter` [kh, kw, ci, co] by assembly/convolution.ts on all threads.
 * TensorFlow.js's own kernel, XNNPACK, is as fast once it has prepared a filter, but in training each filter
 * is new.
 */
export function convolution(
  backend: BackendWasm,
  x: TensorInfo,
  filter: TensorInfo,
  geometry: Geometry,
  epilogue: Epilogue = {},
): TensorInfo {
  const [batch, height, width, ci] = x.shape as [number, number, number, number];
  const [kh, kw, , co] = filter.shape as [number, number, number, number];
  const { strides, dilations, padding } = geometry;
  const [top, bottom, left, right] = padding;
  const inHeight = height + top + bottom;
  const inWidth = width + left + right;
  const outHeight = Math.floor((inHeight - (kh - 1) * dilations[0] - 1) / strides[0]) + 1;
  const outWidth = Math.floor((inWidth - (kw - 1) * dilations[1] - 1) / strides[1]) + 1;

  const out = allocate(backend, [batch, outHeight, outWidth, co]);
  const isPadded = top + bottom + left + right > 0;
  const seen = isPadded ? allocate(backend, [batch, inHeight, inWidth, ci]) : x;
  if (isPadded) {
    const rows = batch * inHeight;
    inParts(backend, "padRows", { total: rows, least: Math.ceil(WORTH / (inWidth * ci)) }, (first, last) => [
      address(backend, x),
      address(backend, seen),
      height,
      width,
      ci,
      top,
      left,
      inHeight,
      inWidth,
      first,
      last,
    ]);
  }
  multiply(backend, seen, filter, out, epilogue, {
    pixels: batch * outHeight * outWidth,
    depth: kh * kw * ci,
    sizes: [inHeight, inWidth, ci, outHeight, outWidth, co, kh, kw, ...strides, ...dilations],
  });
  if (isPadded) release(backend, seen);
  return out;
}

/**
 * Computes `out` [rows, n] = `a` [rows, k] x `b` [k, n] at the given offsets (in values), as a convolution of
 * 1x1 filters.
 */
export function product(
  backend: BackendWasm,
  [a, offsetA]: readonly [TensorInfo, number],
  [b, offsetB]: readonly [TensorInfo, number],
  [out, offset]: readonly [TensorInfo, number],
  [rows, k, n]: readonly [number, number, number],
  epilogue: Epilogue = {},
): void {
  const sizes = [1, rows, k, 1, rows, n, 1, 1, 1, 1, 1, 1];
  multiply(backend, a, b, out, epilogue, { pixels: rows, depth: k, sizes }, [offsetA, offsetB, offset]);
}

function multiply(
  backend: BackendWasm,
  x: TensorInfo,
  filter: TensorInfo,
  out: TensorInfo,
  { bias, relu = false }: Epilogue,
  { pixels, depth, sizes }: { pixels: number; depth: number; sizes: readonly number[] },
  [offsetX, offsetFilter, offset]: readonly [number, number, number] = [0, 0, 0],
): void {
  const co = sizes[5]!;
  const tiles = Math.ceil(co / 8);
  const packed = allocate(backend, [tiles * depth * 8]);
  const scratch = allocate(backend, [256 * partsOf(backend)]);
  const biases = bias === undefined ? undefined : allocate(backend, [tiles * 8]);
  if (bias !== undefined && biases !== undefined) floats(backend, biases).set(floats(backend, bias));

  const from = address(backend, filter) + offsetFilter * 4;
  inParts(backend, "packWeights", { total: tiles, least: Math.ceil(WORTH / (8 * depth)) }, (first, last) => [
    from,
    address(backend, packed),
    depth,
    co,
    first,
    last,
  ]);
  const biasAt = biases === undefined ? 0 : address(backend, biases);
  inParts(
    backend,
    "convolve",
    { total: pixels, step: 4, least: Math.max(8, Math.ceil(WORTH / (depth * co))) },
    (first, last, part) => [
      address(backend, x) + offsetX * 4,
      address(backend, packed),
      biasAt,
      address(backend, out) + offset * 4,
      address(backend, scratch) + part * 1024,
      ...sizes,
      relu ? 1 : 0,
      first,
      last,
    ],
  );
  release(backend, packed, scratch);
  if (biases !== undefined) release(backend, biases);
}

/** Shapes of x, dy and the filter for `filterGradient`. */
export interface FilterShape {
  readonly batch: number;
  readonly input: readonly [height: number, width: number, channels: number];
  readonly output: readonly [height: number, width: number, channels: number];
  readonly kernel: readonly [height: number, width: number];
  readonly geometry: Geometry;
}

/**
 * Computes the filter's gradient on all threads by assembly/filter-gradient.ts, and writes it to `out` [kh,
 * kw, ci, co] or adds it.
 */
export function filterGradient(
  backend: BackendWasm,
  [x, offsetX]: readonly [TensorInfo, number],
  [dy, offsetDy]: readonly [TensorInfo, number],
  [out, offset]: readonly [TensorInfo, number],
  { batch, input, output, kernel, geometry }: FilterShape,
  add = 0,
): void {
  const [, , ci] = input;
  const [outHeight, outWidth, co] = output;
  const { strides, dilations, padding } = geometry;
  const steps = [...strides, ...dilations];
  const tiles = Math.ceil(co / 8);
  const work = batch * outHeight * outWidth * kernel[0] * kernel[1] * ci * 8;
  // Each part packs x again: few parts, unless each has much to do.
  const parts = Math.max(1, Math.min(tiles, partsOf(backend), Math.floor((tiles * work) / WORTH)));
  const share = Math.ceil(tiles / parts) * 8;
  const bytes = instanceOf(backend).simd.filterGradientScratch(
    batch,
    outHeight,
    outWidth,
    ci,
    share,
    ...kernel,
    ...steps,
  );
  const scratch = allocate(backend, [(parts * bytes) / 4]);
  inParts(backend, "filterGradient", { total: tiles, least: 1, most: parts }, (first, last, part) => [
    address(backend, x) + offsetX * 4,
    address(backend, dy) + offsetDy * 4,
    address(backend, out) + offset * 4,
    address(backend, scratch) + part * bytes,
    batch,
    ...input,
    ...output,
    ...kernel,
    ...steps,
    padding[0],
    padding[2],
    first,
    last,
    add,
  ]);
  release(backend, scratch);
}
