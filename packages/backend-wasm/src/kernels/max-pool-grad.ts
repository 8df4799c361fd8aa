import { backend_util } from "@tensorflow/tfjs-core";
import type { KernelConfig } from "@tensorflow/tfjs-core";
import { allocate, builtin, floats, kernel } from "../heap.ts";
import type { Inputs } from "../heap.ts";
import { address, simd } from "../simd.ts";

interface Attrs {
  readonly filterSize: [number, number] | number;
  readonly strides: [number, number] | number;
  readonly pad: Parameters<typeof backend_util.computePool2DInfo>[4];
  readonly dimRoundingMode?: "floor" | "round" | "ceil";
}

/** Each output's gradient goes to the first largest value of its window, as in PyTorch. */
export const maxPoolGrad: KernelConfig = kernel<Inputs<"dy" | "input">, Attrs>(
  "MaxPoolGrad",
  ({ inputs: { dy, input }, attrs: { filterSize, strides, pad, dimRoundingMode }, backend }) => {
    const shape = input.shape as [number, number, number, number];
    const info = backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
    const { batchSize, inChannels, inHeight, inWidth, outHeight, outWidth, filterHeight, filterWidth, strideHeight, strideWidth, padInfo } = info;
    const dx = allocate(backend, input.shape);
    floats(backend, dx).fill(0);
    const sizes = [inHeight, inWidth, outHeight, outWidth, inChannels, filterHeight, filterWidth, strideHeight, strideWidth];
    const at = (info: typeof dx): number => address(backend, info);
    simd(backend).maxPoolGradient(at(input), at(dy), at(dx), ...sizes, padInfo.top, padInfo.left, 0, batchSize);
    return dx;
  },
  builtin("MaxPoolGrad"),
);
