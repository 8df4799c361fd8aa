import { backend_util } from "@tensorflow/tfjs-core";
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import { allocate, floats, kernel, release, withView } from "../heap.ts";
import { matMul, transposeInto } from "./mat-mul.ts";

interface Attrs {
  readonly strides: [number, number] | number;
  readonly pad: Parameters<typeof backend_util.computeConv2DInfo>[4];
  readonly dimRoundingMode?: "floor" | "round" | "ceil";
  readonly filterShape: [number, number, number, number];
  readonly dilations?: [number, number] | number;
}

// Values of the unrolled input at a time: 2 MB, so that the product reads it from the cache.
const CHUNK = 1 << 19;

/** The patch of `x` under each output pixel from `first` on, one row [kh * kw * C] per pixel. */
function unroll(to: Float32Array, x: Float32Array, info: backend_util.Conv2DInfo, first: number, count: number): void {
  const { inHeight, inWidth, inChannels, outHeight, outWidth, filterHeight, filterWidth, strideHeight, strideWidth } = info;
  const { dilationHeight, dilationWidth, padInfo } = info;
  const segment = filterWidth * inChannels;
  let at = 0;
  for (let pixel = first; pixel < first + count; pixel++) {
    const column = pixel % outWidth;
    const row = Math.floor(pixel / outWidth) % outHeight;
    const image = Math.floor(pixel / (outWidth * outHeight));
    const left = column * strideWidth - padInfo.left;
    for (let ky = 0; ky < filterHeight; ky++, at += segment) {
      const y = row * strideHeight - padInfo.top + ky * dilationHeight;
      if (y < 0 || y >= inHeight) {
        to.fill(0, at, at + segment);
        continue;
      }
      const line = (image * inHeight + y) * inWidth;
      if (dilationWidth === 1 && left >= 0 && left + filterWidth <= inWidth) {
        const from = (line + left) * inChannels;
        for (let i = 0; i < segment; i++) to[at + i] = x[from + i]!;
        continue;
      }
      for (let kx = 0; kx < filterWidth; kx++) {
        const column = left + kx * dilationWidth;
        const start = at + kx * inChannels;
        if (column < 0 || column >= inWidth) {
          to.fill(0, start, start + inChannels);
          continue;
        }
        const from = (line + column) * inChannels;
        for (let c = 0; c < inChannels; c++) to[start + c] = x[from + c]!;
      }
    }
  }
}

/**
 * The filter's gradient: dWᵀ [Co, kh kw Ci] = dyᵀ [Co, pixels] x patches [pixels, kh kw Ci], summed
 * over chunks of pixels. A 1x1 convolution of stride 1 is its own patches.
 */
export const conv2dBackpropFilter: KernelConfig = kernel<{ x: TensorInfo; dy: TensorInfo }, Attrs>(
  "Conv2DBackpropFilter",
  ({ inputs: { x, dy }, attrs, backend }) => {
    const info = backend_util.computeConv2DInfo(
      x.shape as [number, number, number, number],
      attrs.filterShape,
      attrs.strides,
      attrs.dilations ?? 1,
      attrs.pad,
      attrs.dimRoundingMode,
    );
    const [kh, kw, ci, co] = attrs.filterShape;
    const depth = kh * kw * ci;
    const pixels = info.batchSize * info.outHeight * info.outWidth;
    const direct =
      kh * kw === 1 && info.strideHeight * info.strideWidth === 1 && pixels === info.batchSize * info.inHeight * info.inWidth;
    const step = Math.min(pixels, Math.max(64, Math.ceil(CHUNK / depth)));

    const total = new Float32Array(co * depth);
    const result = allocate(backend, attrs.filterShape);
    const turned = allocate(backend, [co, step]);
    const patches = direct ? undefined : allocate(backend, [step, depth]);
    for (let first = 0; first < pixels; first += step) {
      const count = Math.min(step, pixels - first);
      transposeInto(floats(backend, turned), floats(backend, dy).subarray(first * co), 1, count, co);
      if (patches !== undefined) unroll(floats(backend, patches), floats(backend, x), info, first, count);
      const product = withView(backend, turned, 0, [co, count], (a) =>
        withView(backend, patches ?? x, patches === undefined ? first * ci : 0, [count, depth], (b) => matMul(backend, a, b)),
      );
      const values = floats(backend, product);
      for (let i = 0; i < total.length; i++) total[i] = total[i]! + values[i]!;
      release(backend, product);
    }
    release(backend, turned);
    if (patches !== undefined) release(backend, patches);
    transposeInto(floats(backend, result), total, 1, co, depth);
    return result;
  },
);
