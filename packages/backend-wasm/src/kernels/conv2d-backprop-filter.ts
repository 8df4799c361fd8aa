import { backend_util } from "@tensorflow/tfjs-core";
import type { KernelConfig } from "@tensorflow/tfjs-core";
import { allocate, kernel, release } from "../heap.ts";
import type { Inputs } from "../heap.ts";
import { address, simd } from "../simd.ts";

interface Attrs {
  readonly strides: [number, number] | number;
  readonly pad: Parameters<typeof backend_util.computeConv2DInfo>[4];
  readonly dimRoundingMode?: "floor" | "round" | "ceil";
  readonly filterShape: [number, number, number, number];
  readonly dilations?: [number, number] | number;
}

/** The filter's gradient, of any stride, padding and dilation: assembly/filter-gradient.ts. */
export const conv2dBackpropFilter: KernelConfig = kernel<Inputs<"x" | "dy">, Attrs>(
  "Conv2DBackpropFilter",
  ({ inputs: { x, dy }, attrs, backend }) => {
    const { filterShape, strides, dilations = 1, pad, dimRoundingMode } = attrs;
    const shape = x.shape as [number, number, number, number];
    const info = backend_util.computeConv2DInfo(shape, filterShape, strides, dilations, pad, dimRoundingMode);
    const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels, filterHeight, filterWidth } = info;
    const { strideHeight, strideWidth, dilationHeight, dilationWidth, padInfo } = info;
    const steps = [strideHeight, strideWidth, dilationHeight, dilationWidth];
    const { filterGradient, filterGradientScratch } = simd(backend);

    const out = allocate(backend, filterShape);
    const bytes = filterGradientScratch(batchSize, outHeight, outWidth, inChannels, outChannels, filterHeight, filterWidth, ...steps);
    const scratch = allocate(backend, [bytes / 4]);
    const sizes = [batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels, filterHeight, filterWidth, ...steps];
    filterGradient(
      ...([x, dy, out, scratch].map((info) => address(backend, info)) as [number, number, number, number]),
      ...sizes,
      padInfo.top,
      padInfo.left,
      0,
      Math.ceil(outChannels / 8),
      0,
    );
    release(backend, scratch);
    return out;
  },
);
