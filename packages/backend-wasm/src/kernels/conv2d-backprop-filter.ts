/** Kernel of the filter's gradient of a convolution. */
import type { KernelConfig } from "@tensorflow/tfjs-core";
import { filterGradient } from "../convolution.ts";
import { allocate, kernel } from "../heap.ts";
import type { Inputs } from "../heap.ts";
import { convInfo, geometryOf } from "./conv2d.ts";
import type { ConvAttrs } from "./conv2d.ts";

/** Computes the filter's gradient, for any stride, padding and dilation. */
export const conv2dBackpropFilter: KernelConfig = kernel<
  Inputs<"x" | "dy">,
  ConvAttrs & { readonly filterShape: readonly number[] }
>("Conv2DBackpropFilter", ({ inputs: { x, dy }, attrs, backend }) => {
  const info = convInfo(x.shape, attrs.filterShape, attrs);
  const out = allocate(backend, attrs.filterShape);
  filterGradient(backend, [x, 0], [dy, 0], [out, 0], {
    batch: info.batchSize,
    input: [info.inHeight, info.inWidth, info.inChannels],
    output: [info.outHeight, info.outWidth, info.outChannels],
    kernel: [info.filterHeight, info.filterWidth],
    geometry: geometryOf(info),
  });
  return out;
});
