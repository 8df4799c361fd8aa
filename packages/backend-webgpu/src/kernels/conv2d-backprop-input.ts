import { Conv2DBackpropInput } from "@tensorflow/tfjs-core";
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import type { PartialKernelFunc } from "@mrcnn/core";
import { CONV2D_BACKPROP_INPUT } from "@mrcnn/nn/kernel";
import type { Conv2dBackpropInputAttrs, Conv2dGradAttrs } from "@mrcnn/nn/kernel";
import type { MrcnnWebgpuBackend } from "../backend.ts";
import { multiply } from "../gemm/gemm.ts";
import { matrix } from "../gemm/operand.ts";
import { rowsAt } from "../gemm/gemm.ts";
import { geometryOf, gradientWindows, isPointwise, phasesOf } from "../gemm/window.ts";
import type { ConvAttrs, Geometry } from "../gemm/window.ts";

/**
 * The gradient of a convolution for its input, and so the transposed convolution: a matrix product of implicit windows
 * over dy by the filter turned, one for each phase of the stride. As many operations as the convolution.
 */
export function inputGradient(backend: MrcnnWebgpuBackend, dy: TensorInfo, filter: TensorInfo, geometry: Geometry, phases: readonly [number, number]): TensorInfo {
  const { batch, input, kernel, inChannels, outChannels, groups } = geometry;
  const out = backend.makeTensorInfo([batch, ...input, inChannels], "float32");
  const columns = inChannels / groups;
  const outGroup = outChannels / groups;
  if (isPointwise(geometry)) {
    const rows = batch * input[0] * input[1];
    multiply(backend, {
      extent: { rows, columns, depth: outGroup, batch: groups },
      a: matrix("a", dy, { outer: outChannels, depth: 1, batch: outGroup }, { outer: rows, depth: outGroup }),
      b: matrix("b", filter, { outer: outChannels, depth: 1, batch: outGroup }, { outer: columns, depth: outGroup }),
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

const kernelFunc: PartialKernelFunc = ({ inputs, attrs, backend }) => {
  const { dy, filter } = inputs as { dy: TensorInfo; filter: TensorInfo };
  const all = attrs as unknown as Conv2dBackpropInputAttrs;
  const geometry = geometryOf(all.inputShape, filter.shape, all);
  return inputGradient(backend as MrcnnWebgpuBackend, dy, filter, geometry, phasesOf(geometry)!);
};

/** Of both gradients: any padding and groups; dilations of stride 1. */
export const supports = (attrs: object): boolean => {
  const { strides, dilations } = attrs as Conv2dGradAttrs;
  return dilations[0] * dilations[1] === 1 || strides[0] * strides[1] === 1;
};
kernelFunc.supports = supports;

export const mrcnnConv2dBackpropInput: KernelConfig = { kernelName: CONV2D_BACKPROP_INPUT, backendName: "webgpu", kernelFunc };

/** Takes the place of TensorFlow.js's, which keeps NCHW. It knows no dilations. */
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
