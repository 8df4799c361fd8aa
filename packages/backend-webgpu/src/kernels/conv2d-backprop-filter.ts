/** Kernels of the filter's gradient of a convolution. */
import { Conv2DBackpropFilter } from "@tensorflow/tfjs-core";
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import { CONV2D_BACKPROP_FILTER } from "@mrcnn/nn/kernel";
import type { Conv2dBackpropFilterAttrs, Conv2dBackpropFilterInputs } from "@mrcnn/nn/kernel";
import type { MrcnnWebgpuBackend } from "../backend.ts";
import { multiply, rowsAt } from "../gemm/gemm.ts";
import { matrix } from "../gemm/operand.ts";
import type { Plan } from "../gemm/tile.ts";
import { geometryOf, isPointwise, turnedWindows } from "../gemm/window.ts";
import type { ConvAttrs, Geometry } from "../gemm/window.ts";
import type { Given } from "../given.ts";
import { kernel } from "../kernel.ts";
import { supports } from "./conv2d-backprop-input.ts";

/**
 * Computes the gradient of a convolution for its filter: a matrix product, [h w in, B H' W'] by dy [B H' W',
 * out], whose depth, all pixels, is split into parts that are added in order. As many operations as the
 * convolution.
 */
export function filterGradient(
  backend: MrcnnWebgpuBackend,
  x: TensorInfo,
  dy: TensorInfo,
  geometry: Geometry,
  plan?: Plan,
): TensorInfo {
  const { batch, output, kernel, inChannels, outChannels, groups } = geometry;
  const inGroup = inChannels / groups;
  const out = backend.makeTensorInfo([...kernel, inGroup, outChannels], "float32");
  const rows = kernel[0] * kernel[1] * inGroup;
  const columns = outChannels / groups;
  const depth = batch * output[0] * output[1];
  multiply(backend, {
    extent: { rows, columns, depth, batch: groups },
    a:
      isPointwise(geometry) ?
        matrix("a", x, { outer: 1, depth: inChannels, batch: inGroup }, { outer: rows, depth })
      : turnedWindows(x, geometry),
    b: matrix("b", dy, { outer: 1, depth: outChannels, batch: columns }, { outer: columns, depth }),
    out,
    target: rowsAt({ step: outChannels, batch: columns }),
    ...(plan && { plan }),
  });
  return out;
}

export const mrcnnConv2dBackpropFilter: KernelConfig = kernel<
  Given<Conv2dBackpropFilterInputs>,
  Conv2dBackpropFilterAttrs
>(
  CONV2D_BACKPROP_FILTER,
  ({ inputs: { x, dy }, attrs, backend }) =>
    filterGradient(backend, x, dy, geometryOf(x.shape, attrs.filterShape, attrs)),
  supports,
);

/** Replaces TensorFlow.js's kernel, which is kept for NCHW. It has no dilations. */
export const conv2dBackpropFilter = ({ kernelFunc: original }: KernelConfig): KernelConfig => ({
  kernelName: Conv2DBackpropFilter,
  backendName: "webgpu",
  kernelFunc(params) {
    const { x, dy } = params.inputs as unknown as { x: TensorInfo; dy: TensorInfo };
    const attrs = params.attrs as unknown as ConvAttrs & { readonly filterShape: readonly number[] };
    if (attrs.dataFormat === "NCHW") return original(params);
    return filterGradient(
      params.backend as MrcnnWebgpuBackend,
      x,
      dy,
      geometryOf(x.shape, attrs.filterShape, { ...attrs, dilations: 1 }),
    );
  },
});
