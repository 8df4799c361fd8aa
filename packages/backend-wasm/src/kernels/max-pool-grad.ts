/** Kernel of max pooling's gradient. */
import { backend_util } from "@tensorflow/tfjs-core";
import type { KernelConfig } from "@tensorflow/tfjs-core";
import { allocate, builtin, floats, kernel } from "../heap.ts";
import type { Inputs } from "../heap.ts";
import { address, inParts } from "../simd.ts";

interface Attrs {
  readonly filterSize: [number, number] | number;
  readonly strides: [number, number] | number;
  readonly pad: Parameters<typeof backend_util.computePool2DInfo>[4];
  readonly dimRoundingMode?: "floor" | "round" | "ceil";
}

/** Adds each output's gradient to the first largest value of its window, as in PyTorch. */
export const maxPoolGrad: KernelConfig = kernel<Inputs<"dy" | "input">, Attrs>(
  "MaxPoolGrad",
  ({ inputs: { dy, input }, attrs: { filterSize, strides, pad, dimRoundingMode }, backend }) => {
    const shape = input.shape as [number, number, number, number];
    const info = backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
    const {
      batchSize,
      inChannels,
      inHeight,
      inWidth,
      outHeight,
      outWidth,
      filterHeight,
      filterWidth,
      strideHeight,
      strideWidth,
      padInfo,
    } = info;
    const dx = allocate(backend, input.shape);
    floats(backend, dx).fill(0);
    const sizes = [
      inHeight,
      inWidth,
      outHeight,
      outWidth,
      inChannels,
      filterHeight,
      filterWidth,
      strideHeight,
      strideWidth,
    ];
    const pointers = [input, dy, dx].map((info) => address(backend, info));
    inParts(backend, "maxPoolGradient", { total: batchSize, least: 1 }, (first, last) => [
      ...pointers,
      ...sizes,
      padInfo.top,
      padInfo.left,
      first,
      last,
    ]);
    return dx;
  },
  builtin("MaxPoolGrad"),
);
