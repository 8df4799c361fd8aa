/** Kernels of a convolution, with bias and relu. */
import { backend_util } from "@tensorflow/tfjs-core";
import type { KernelConfig, NamedTensorInfoMap, TensorInfo } from "@tensorflow/tfjs-core";
import { convolution } from "../convolution.ts";
import type { Geometry } from "../convolution.ts";
import { builtin, call, kernel } from "../heap.ts";
import type { Inputs } from "../heap.ts";

const originalConv2d = builtin("Conv2D");
const originalFused = builtin("FusedConv2D");

export interface ConvAttrs {
  readonly strides: [number, number] | number;
  readonly pad: Parameters<typeof backend_util.computeConv2DInfo>[4];
  readonly dilations?: [number, number] | number;
  readonly dimRoundingMode?: "floor" | "round" | "ceil";
  readonly dataFormat?: "NHWC" | "NCHW";
}

/** Derives the sizes of a convolution from its shapes and attributes. */
export function convInfo(
  input: readonly number[],
  filter: readonly number[],
  attrs: ConvAttrs,
): backend_util.Conv2DInfo {
  const { strides, dilations = 1, pad, dimRoundingMode } = attrs;
  return backend_util.computeConv2DInfo(
    input as [number, number, number, number],
    filter as [number, number, number, number],
    strides,
    dilations,
    pad,
    dimRoundingMode,
  );
}

export function geometryOf({
  strideHeight,
  strideWidth,
  dilationHeight,
  dilationWidth,
  padInfo,
}: backend_util.Conv2DInfo): Geometry {
  const { top, bottom, left, right } = padInfo;
  return {
    strides: [strideHeight, strideWidth],
    dilations: [dilationHeight, dilationWidth],
    padding: [top, bottom, left, right],
  };
}

// Any rounding other than down could let the last window exceed the edge, which is not supported here.
const isPlain = ({ dataFormat, dimRoundingMode }: ConvAttrs): boolean =>
  (dataFormat === undefined || dataFormat === "NHWC") && (dimRoundingMode ?? "floor") === "floor";

export const conv2d: KernelConfig = kernel<Inputs<"x" | "filter">, ConvAttrs>(
  "Conv2D",
  ({ inputs: { x, filter }, attrs, backend }) =>
    isPlain(attrs) ?
      convolution(backend, x, filter, geometryOf(convInfo(x.shape, filter.shape, attrs)))
    : call(originalConv2d, backend, { x, filter }, attrs),
  originalConv2d,
);

/**
 * Convolves with a bias per channel, and without activation or with relu; other activations are left to
 * TensorFlow.js.
 */
export const fusedConv2d: KernelConfig = kernel<
  Inputs<"x" | "filter"> & NamedTensorInfoMap,
  ConvAttrs & { readonly activation: string }
>(
  "FusedConv2D",
  ({ inputs, attrs, backend }) => {
    const { x, filter, bias } = inputs as { x: TensorInfo; filter: TensorInfo; bias?: TensorInfo };
    const { activation } = attrs;
    const fits = bias === undefined || (bias.shape.length === 1 && bias.shape[0] === filter.shape[3]);
    if (!isPlain(attrs) || !fits || (activation !== "linear" && activation !== "relu"))
      return call(originalFused, backend, inputs, attrs);
    return convolution(backend, x, filter, geometryOf(convInfo(x.shape, filter.shape, attrs)), {
      bias,
      relu: activation === "relu",
    });
  },
  originalFused,
);
