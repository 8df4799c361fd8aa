/** Kernels of the input's gradient of a convolution. */
import { Conv2DBackpropInput } from "@tensorflow/tfjs-core";
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import { CONV2D_BACKPROP_INPUT } from "@mrcnn/nn/kernel";
import type { Conv2dBackpropInputAttrs, Conv2dBackpropInputInputs, Conv2dGradAttrs } from "@mrcnn/nn/kernel";
import type { MrcnnWebgpuBackend } from "../backend.ts";
import { multiply, rowsAt } from "../gemm/gemm.ts";
import { matrix } from "../gemm/operand.ts";
import { geometryOf, gradientWindows, isPointwise, phasesOf } from "../gemm/window.ts";
import type { ConvAttrs, Geometry } from "../gemm/window.ts";
import type { Given } from "../given.ts";
import { kernel } from "../kernel.ts";

/**
 * Computes the gradient of a convolution for its input, and so the transposed convolution: a matrix product
 * of implicit windows over dy by the transposed filter, one for each phase of the stride. As many operations
 * as the convolution.
 */
export function inputGradient(
  backend: MrcnnWebgpuBackend,
  dy: TensorInfo,
  filter: TensorInfo,
  geometry: Geometry,
  phases: readonly [number, number],
): TensorInfo {
  const { batch, input, kernel, inChannels, outChannels, groups } = geometry;
  const out = backend.makeTensorInfo([batch, ...input, inChannels], "float32");
  const columns = inChannels / groups;
  const outGroup = outChannels / groups;
  if (isPointwise(geometry)) {
    const rows = batch * input[0] * input[1];
    multiply(backend, {
      extent: { rows, columns, depth: outGroup, batch: groups },
      a: matrix("a", dy, { outer: outChannels, depth: 1, batch: outGroup }, { outer: rows, depth: outGroup }),
      b: matrix(
        "b",
        filter,
        { outer: outChannels, depth: 1, batch: outGroup },
        { outer: columns, depth: outGroup },
      ),
      out,
      target: rowsAt({ step: inChannels, batch: columns }),
    });
    return out;
  }
  const along = (axis: 0 | 1, all: readonly [number, number]): number => Math.ceil(all[axis] / phases[axis]);
  const { a, b, key, source, params } = gradientWindows(dy, filter, geometry, phases);
  multiply(backend, {
    extent: {
      rows: batch * along(0, input) * along(1, input),
      columns,
      depth: along(0, kernel) * along(1, kernel) * outGroup,
      batch: groups * phases[0] * phases[1],
    },
    a,
    b,
    out,
    target: { key, source: "", params, isAligned: columns % 4 === 0 && inChannels % 4 === 0 },
    uneven: { key, source },
  });
  return out;
}

/** Tells whether both gradients are supported: any padding and groups; dilations with stride 1. */
export const supports = ({ strides, dilations }: Conv2dGradAttrs): boolean =>
  dilations[0] * dilations[1] === 1 || strides[0] * strides[1] === 1;

export const mrcnnConv2dBackpropInput: KernelConfig = kernel<
  Given<Conv2dBackpropInputInputs>,
  Conv2dBackpropInputAttrs
>(
  CONV2D_BACKPROP_INPUT,
  ({ inputs: { dy, filter }, attrs, backend }) => {
    const geometry = geometryOf(attrs.inputShape, filter.shape, attrs);
    return inputGradient(backend, dy, filter, geometry, phasesOf(geometry)!);
  },
  supports,
);

/** Replaces TensorFlow.js's kernel, which is kept for NCHW. It has no dilations. */
export const conv2dBackpropInput = ({ kernelFunc: original }: KernelConfig): KernelConfig => ({
  kernelName: Conv2DBackpropInput,
  backendName: "webgpu",
  kernelFunc(params) {
    const { dy, filter } = params.inputs as unknown as { dy: TensorInfo; filter: TensorInfo };
    const attrs = params.attrs as unknown as ConvAttrs & { readonly inputShape: readonly number[] };
    if (attrs.dataFormat === "NCHW") return original(params);
    const geometry = geometryOf(attrs.inputShape, filter.shape, { ...attrs, dilations: 1 });
    return inputGradient(params.backend as MrcnnWebgpuBackend, dy, filter, geometry, geometry.strides);
  },
});
