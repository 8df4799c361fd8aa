/** Kernel of the input's gradient of a convolution. */
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import { convolution } from "../convolution.ts";
import { allocate, builtin, call, floats, kernel, release, reshaped } from "../heap.ts";
import type { Inputs } from "../heap.ts";
import { address, inParts } from "../simd.ts";
import { convInfo } from "./conv2d.ts";
import type { ConvAttrs } from "./conv2d.ts";

const original = builtin("Conv2DBackpropInput");

/**
 * One axis of the gradient, seen from the input: the pixels of phase p (those that filter taps p, p + stride,
 * ... reach) form a convolution of stride 1 over dy.
 */
interface Phase {
  /** The first tap, and the number of taps. */
  readonly tap: number;
  readonly taps: number;
  /** The first input pixel of the phase, and the number of pixels. */
  readonly pixel: number;
  readonly pixels: number;
  readonly before: number;
  readonly after: number;
}

function phases(input: number, output: number, taps: number, stride: number, pad: number): Phase[] {
  return Array.from({ length: Math.min(stride, taps) }, (_, tap) => {
    const first = Math.ceil((pad - tap) / stride);
    const last = Math.floor((input - 1 + pad - tap) / stride);
    const count = Math.ceil((taps - tap) / stride);
    return {
      tap,
      taps: count,
      pixel: first * stride + tap - pad,
      pixels: Math.max(0, last - first + 1),
      before: count - 1 - first,
      after: last - (output - 1),
    };
  });
}

/** Returns the taps of one phase, reversed and with their channels swapped: [taps y, taps x, Co, Ci]. */
function phaseFilter(
  backend: BackendWasm,
  filter: TensorInfo,
  y: Phase,
  x: Phase,
  stride: readonly [number, number],
): TensorInfo {
  const [, kw, ci, co] = filter.shape as [number, number, number, number];
  const out = allocate(backend, [y.taps, x.taps, co, ci]);
  const bytes = ci * co * 4;
  let to = address(backend, out);
  for (let j = y.taps - 1; j >= 0; j--) {
    for (let i = x.taps - 1; i >= 0; i--, to += bytes) {
      const tap = (y.tap + j * stride[0]) * kw + x.tap + i * stride[1];
      const from = address(backend, filter) + tap * bytes;
      const at = to;
      inParts(backend, "transpose", { total: ci, step: 4, least: Math.ceil(100_000 / co) }, (first, last) => [
        from,
        at,
        ci,
        co,
        first,
        last,
      ]);
    }
  }
  return out;
}

/**
 * Computes the input's gradient as forward convolutions of dy: one for stride 1, otherwise one for each of
 * the stride² phases of the input's pixels, so that no multiplication is with an inserted 0.
 */
export const conv2dBackpropInput: KernelConfig = kernel<
  Inputs<"dy" | "filter">,
  ConvAttrs & { readonly inputShape: readonly number[] }
>(
  "Conv2DBackpropInput",
  ({ inputs: { dy, filter }, attrs, backend }) => {
    const [kh, kw, ci] = filter.shape as [number, number, number, number];
    const info = convInfo(attrs.inputShape, filter.shape, attrs);
    const stride = [info.strideHeight, info.strideWidth] as const;
    const rows = phases(info.inHeight, info.outHeight, kh, stride[0], info.padInfo.top);
    const columns = phases(info.inWidth, info.outWidth, kw, stride[1], info.padInfo.left);
    const isDilated = info.dilationHeight * info.dilationWidth > 1;
    // Paddings wider than the filter are rare, and not worth a crop.
    if (isDilated || [...rows, ...columns].some((phase) => phase.before < 0 || phase.after < 0)) {
      return call(original, backend, { dy, filter }, attrs);
    }
    const convolve = (y: Phase, x: Phase): TensorInfo => {
      const turned = phaseFilter(backend, filter, y, x, stride);
      const out = convolution(backend, dy, turned, {
        strides: [1, 1],
        dilations: [1, 1],
        padding: [y.before, y.after, x.before, x.after],
      });
      release(backend, turned);
      return out;
    };
    if (stride[0] * stride[1] === 1) {
      const out = convolve(rows[0]!, columns[0]!);
      const result = reshaped(backend, out, attrs.inputShape);
      release(backend, out);
      return result;
    }
    const result = allocate(backend, attrs.inputShape);
    // Pixels between the taps of a filter smaller than its stride have no gradient.
    if (kh < stride[0] || kw < stride[1]) floats(backend, result).fill(0);
    for (const y of rows) {
      for (const x of columns) {
        if (y.pixels * x.pixels === 0) continue;
        const part = convolve(y, x);
        const from = floats(backend, part);
        const to = floats(backend, result);
        let at = 0;
        for (let b = 0; b < info.batchSize; b++) {
          for (let j = 0; j < y.pixels; j++) {
            let start = ((b * info.inHeight + y.pixel + j * stride[0]) * info.inWidth + x.pixel) * ci;
            for (let i = 0; i < x.pixels; i++, start += stride[1] * ci) {
              for (let c = 0; c < ci; c++) to[start + c] = from[at++]!;
            }
          }
        }
        release(backend, part);
      }
    }
    return result;
  },
  original,
);
