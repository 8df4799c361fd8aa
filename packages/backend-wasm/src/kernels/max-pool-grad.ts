import { backend_util } from "@tensorflow/tfjs-core";
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import { allocate, builtin, floats, kernel } from "../heap.ts";

interface Attrs {
  readonly filterSize: [number, number] | number;
  readonly strides: [number, number] | number;
  readonly pad: Parameters<typeof backend_util.computePool2DInfo>[4];
  readonly dimRoundingMode?: "floor" | "round" | "ceil";
}

/** Each output's gradient goes to the first largest value of its window, as in PyTorch. */
export const maxPoolGrad: KernelConfig = kernel<{ dy: TensorInfo; input: TensorInfo }, Attrs>(
  "MaxPoolGrad",
  ({ inputs: { dy, input }, attrs, backend }) => {
    const { batchSize, inChannels, inHeight, inWidth, outHeight, outWidth, filterHeight, filterWidth, strideHeight, strideWidth, padInfo } =
      backend_util.computePool2DInfo(
        input.shape as [number, number, number, number],
        attrs.filterSize,
        attrs.strides,
        1,
        attrs.pad,
        attrs.dimRoundingMode,
      );
    const out = allocate(backend, input.shape);
    const x = floats(backend, input);
    const from = floats(backend, dy);
    const to = floats(backend, out);
    to.fill(0);
    const best = new Float32Array(inChannels);
    const where = new Int32Array(inChannels);
    let at = 0;
    for (let b = 0; b < batchSize; b++) {
      for (let row = 0; row < outHeight; row++) {
        const top = row * strideHeight - padInfo.top;
        const y0 = Math.max(0, top);
        const y1 = Math.min(inHeight, top + filterHeight);
        for (let column = 0; column < outWidth; column++) {
          const left = column * strideWidth - padInfo.left;
          const x0 = Math.max(0, left);
          const x1 = Math.min(inWidth, left + filterWidth);
          best.fill(-Infinity);
          // Where all is NaN, or the window lies outside, nothing is larger: -1 takes no gradient.
          where.fill(-1);
          for (let yy = y0; yy < y1; yy++) {
            for (let xx = x0; xx < x1; xx++) {
              const base = ((b * inHeight + yy) * inWidth + xx) * inChannels;
              for (let c = 0; c < inChannels; c++) {
                const value = x[base + c]!;
                if (value > best[c]!) {
                  best[c] = value;
                  where[c] = base + c;
                }
              }
            }
          }
          for (let c = 0; c < inChannels; c++, at++) {
            const i = where[c]!;
            if (i >= 0) to[i] = to[i]! + from[at]!;
          }
        }
      }
    }
    return out;
  },
  builtin("MaxPoolGrad"),
);
