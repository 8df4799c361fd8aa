/**
 * What group normalization, a norm that is folded away, the gradients of relu and of a bias, a convolution that adds, a pyramid's levels joined, convolutions' gradients, and the backends that accelerate them agree on.
 * Kernels may call the loops over typed arrays exported here.
 */
import { add, engine, mul, neg, reshape, rsqrt, sum } from "@tensorflow/tfjs-core";
import type {
  GradConfig,
  NamedAttrMap,
  NamedTensorInfoMap,
  NamedTensorMap,
  Tensor,
} from "@tensorflow/tfjs-core";
import type { KernelContract } from "@mrcnn/core/tensors";

import type { GroupNormAttrs } from "./group-norm-on-host.ts";

export { groupNormBackward, groupNormForward } from "./group-norm-on-host.ts";
export type { GroupNormAttrs } from "./group-norm-on-host.ts";

/**
 * The gradient of a convolution for its input: `Conv2dBackpropInputInputs` and `Conv2dBackpropInputAttrs` to
 * dx of `inputShape`. A kernel that supports some groups or dilations says that the backend's
 * `CONV2D_BACKPROP_FILTER` and FusedConv2D take them as well.
 */
export const CONV2D_BACKPROP_INPUT = "MrcnnConv2DBackpropInput";

/** The gradient for its filter: `Conv2dBackpropFilterInputs` and `Conv2dBackpropFilterAttrs` to dw of `filterShape`. */
export const CONV2D_BACKPROP_FILTER = "MrcnnConv2DBackpropFilter";

/** `dy` float32 [B, H', W', out]; `filter` [h, w, in / groups, out]. */
export type Conv2dBackpropInputInputs = Pick<NamedTensorInfoMap, "dy" | "filter">;

/** `x` float32 [B, H, W, in]; `dy` [B, H', W', out]. */
export type Conv2dBackpropFilterInputs = Pick<NamedTensorInfoMap, "x" | "dy">;

/** TensorFlow.js's attributes of a convolution, with explicit padding and dilations that its own gradients lack, and groups. */
export interface Conv2dGradAttrs {
  readonly strides: readonly [number, number];
  readonly pad: "same" | "valid" | readonly (readonly [number, number])[];
  readonly dilations: readonly [number, number];
  readonly groups: number;
  readonly dataFormat: "NHWC";
}

/** Of `MrcnnConv2DBackpropInput`. */
export interface Conv2dBackpropInputAttrs extends Conv2dGradAttrs {
  readonly inputShape: readonly [number, number, number, number];
}

/** Of `MrcnnConv2DBackpropFilter`. */
export interface Conv2dBackpropFilterAttrs extends Conv2dGradAttrs {
  readonly filterShape: readonly [number, number, number, number];
}

const ofConvolution = ["strides", "pad", "dilations", "groups", "dataFormat"] as const;

/** The contract of `MrcnnConv2DBackpropInput`. */
export const conv2dBackpropInputContract: KernelContract<Conv2dBackpropInputAttrs> = {
  name: CONV2D_BACKPROP_INPUT,
  attributes: [...ofConvolution, "inputShape"],
};

/** The contract of `MrcnnConv2DBackpropFilter`. */
export const conv2dBackpropFilterContract: KernelContract<Conv2dBackpropFilterAttrs> = {
  name: CONV2D_BACKPROP_FILTER,
  attributes: [...ofConvolution, "filterShape"],
};

/** The forward kernel: `GroupNormInputs` and `GroupNormAttrs` to [y [B, H, W, C], mean [B, groups], rstd [B, groups]]. */
export const GROUP_NORM = "MrcnnGroupNorm";

/** The backward kernel: `GroupNormGradInputs` and `GroupNormGradAttrs` to [dx, dweight, dbias]. */
export const GROUP_NORM_GRAD = "MrcnnGroupNormGrad";

/** `x` float32 [B, H, W, C]; `weight` and `bias` float32 [C]. */
export type GroupNormInputs = Pick<NamedTensorInfoMap, "x" | "weight" | "bias">;

/** `dy` and `x` float32 [B, H, W, C]; `weight` [C]; `mean` and `rstd` [B, groups]. */
export type GroupNormGradInputs = Pick<NamedTensorInfoMap, "dy" | "x" | "weight" | "mean" | "rstd">;

/** Of `MrcnnGroupNormGrad`. */
export interface GroupNormGradAttrs {
  readonly groups: number;
}

/** The gradient of `GROUP_NORM`, through one run of `GROUP_NORM_GRAD`. */
export const groupNormGradConfig: GradConfig = {
  kernelName: GROUP_NORM,
  inputsToSave: ["x", "weight"],
  outputsToSave: [false, true, true],
  gradFunc: (dy, saved, attrs) => {
    const [x, weight, mean, rstd] = saved as [Tensor, Tensor, Tensor, Tensor];
    const inputs = { dy: (dy as Tensor[])[0]!, x, weight, mean, rstd } satisfies NamedTensorMap;
    const { groups } = attrs as unknown as GroupNormGradAttrs;
    const [dx, dweight, dbias] = engine().runKernel(GROUP_NORM_GRAD, inputs, { groups } as NamedAttrMap) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    return { x: () => dx, weight: () => dweight, bias: () => dbias };
  },
};

/** What `groupNorm` asks of `runKernelOr`. */
export const groupNormContract: KernelContract<GroupNormAttrs> = {
  name: GROUP_NORM,
  attributes: ["groups", "eps"],
  gradient: groupNormGradConfig,
};

/**
 * The filter of a convolution and of the norm of fixed statistics behind it: `FoldFilterInputs` and `FoldNormAttrs` to
 * [`filter` times scale, scale], where scale [out] is weight / sqrt(variance + eps).
 */
export const FOLD_FILTER = "MrcnnFoldFilter";

/** Their bias: `FoldBiasInputs` and `FoldNormAttrs` to bias - mean * scale, [out]. */
export const FOLD_BIAS = "MrcnnFoldBias";

/** `filter` float32 [h, w, in, out]; the norm's `weight` and `variance` [out]. */
export type FoldFilterInputs = Pick<NamedTensorInfoMap, "filter" | "weight" | "variance">;

/** The norm's, float32 [out]; `mean` less the convolution's own bias. */
export type FoldBiasInputs = Pick<NamedTensorInfoMap, "weight" | "bias" | "mean" | "variance">;

/** Of `MrcnnFoldFilter` and `MrcnnFoldBias`. */
export interface FoldNormAttrs {
  readonly eps: number;
}

const deviation = (variance: Tensor, attrs: NamedAttrMap): Tensor =>
  rsqrt(add(variance, (attrs as unknown as FoldNormAttrs).eps));

/** The gradient of `FOLD_FILTER` for all but the variance. */
export const foldFilterGradConfig: GradConfig = {
  kernelName: FOLD_FILTER,
  inputsToSave: ["filter", "variance"],
  outputsToSave: [false, true],
  gradFunc: (dy, [filter, variance, scale], attrs) => {
    const dfilter = (dy as Tensor[])[0]!;
    return {
      filter: () => mul(dfilter, scale!),
      weight: () => mul(sum(mul(dfilter, filter!), [0, 1, 2]), deviation(variance!, attrs)),
    };
  },
};

/** The gradient of `FOLD_BIAS` for all but the variance. */
export const foldBiasGradConfig: GradConfig = {
  kernelName: FOLD_BIAS,
  inputsToSave: ["weight", "mean", "variance"],
  gradFunc: (dy, [weight, mean, variance], attrs) => {
    const d = dy as Tensor;
    return {
      weight: () => neg(mul(mul(d, mean!), deviation(variance!, attrs))),
      // A handle of its own: dy goes when the gradients are done.
      bias: () => reshape(d, d.shape),
      mean: () => neg(mul(mul(d, weight!), deviation(variance!, attrs))),
    };
  },
};

/** What `foldNorm` asks of `runKernelOr`. */
export const foldFilterContract: KernelContract<FoldNormAttrs> = {
  name: FOLD_FILTER,
  attributes: ["eps"],
  gradient: foldFilterGradConfig,
};
/** What `foldNorm` asks of `runKernelOr` for the bias. */
export const foldBiasContract: KernelContract<FoldNormAttrs> = {
  name: FOLD_BIAS,
  attributes: ["eps"],
  gradient: foldBiasGradConfig,
};

/**
 * The gradient of relu from its output: `ReluGradInputs` to float32 dx = dy where y > 0, else 0. Has
 * no gradient of its own.
 */
export const RELU_GRAD = "MrcnnReluGrad";

/** `dy` and `y` float32 of one shape. */
export type ReluGradInputs = Pick<NamedTensorInfoMap, "dy" | "y">;

/** The contract of `MrcnnReluGrad`. */
export const reluGradContract: KernelContract = { name: RELU_GRAD, attributes: [] };

/** The loop of `RELU_GRAD` over typed arrays of one length. */
export function reluBackward(dy: Float32Array, y: Float32Array, dx: Float32Array): void {
  for (let i = 0; i < dx.length; i++) dx[i] = y[i]! > 0 ? dy[i]! : 0;
}

/** Sums of `x` float32 [..., C] over every axis but the last, to float32 [C]: a bias's gradient. Has no gradient of its own. */
export const COLUMN_SUMS = "MrcnnColumnSums";

/** `x` float32 [..., C]. */
export type ColumnSumsInputs = Pick<NamedTensorInfoMap, "x">;

/** The contract of `MrcnnColumnSums`. */
export const columnSumsContract: KernelContract = { name: COLUMN_SUMS, attributes: [] };

/**
 * `UpsampleAddInputs` to float32 [B, H', W', C]: `finer` plus `x` enlarged, output pixel i reading input pixel
 * floor(i * in / out) in float32. Has no gradient of its own.
 */
export const UPSAMPLE_ADD = "MrcnnUpsampleAdd";

/** `x` float32 [B, H, W, C]; `finer` [B, H', W', C]. */
export type UpsampleAddInputs = Pick<NamedTensorInfoMap, "x" | "finer">;

/** The contract of `MrcnnUpsampleAdd`. */
export const upsampleAddContract: KernelContract = { name: UPSAMPLE_ADD, attributes: [] };

/**
 * A convolution as FusedConv2D, with `addend` added before the activation: `Conv2dAddInputs` and
 * FusedConv2D's attributes to float32 [B, H', W', out]. Has no gradient of its own.
 */
export const CONV2D_ADD = "MrcnnConv2dAdd";

/** `x` float32 [B, H, W, in]; `filter` [h, w, in, out]; `bias` [out]; `addend` of the output's shape. */
export type Conv2dAddInputs = Pick<NamedTensorInfoMap, "x" | "filter" | "bias" | "addend">;

/** Attributes of `MrcnnConv2dAdd`: a convolution's, and FusedConv2D's activation. */
export interface Conv2dAddAttrs extends Conv2dGradAttrs {
  readonly activation: "linear" | "relu";
}

/** The contract of `MrcnnConv2dAdd`. */
export const conv2dAddContract: KernelContract<Conv2dAddAttrs> = {
  name: CONV2D_ADD,
  attributes: [...ofConvolution, "activation"],
};

/** Whether `x` holds NaN or infinity: int32 [1], 0 where all of it is finite, else 1. Has no gradient. */
export const NOT_FINITE = "MrcnnNotFinite";

/** `x` float32 of any shape. */
export type NotFiniteInputs = Pick<NamedTensorInfoMap, "x">;

/** The contract of `MrcnnNotFinite`. */
export const notFiniteContract: KernelContract = { name: NOT_FINITE, attributes: [] };
