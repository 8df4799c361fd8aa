/**
 * Contracts of the kernels of @mrcnn/nn, for the backends that accelerate them: group normalization, folding
 * of a norm, gradients of ReLU, biases and convolutions, convolution with an addend, upsampling with
 * addition, and the check for NaN. Kernels may call the loops over typed arrays exported here.
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
 * The gradient of a convolution with respect to its input: takes `Conv2dBackpropInputInputs` and
 * `Conv2dBackpropInputAttrs`, returns dx of `inputShape`. A kernel that supports some groups or dilations
 * declares that the backend's `CONV2D_BACKPROP_FILTER` and FusedConv2D support them as well.
 */
export const CONV2D_BACKPROP_INPUT = "MrcnnConv2DBackpropInput";

/**
 * The gradient of a convolution with respect to its filter: takes `Conv2dBackpropFilterInputs` and
 * `Conv2dBackpropFilterAttrs`, returns dw of `filterShape`.
 */
export const CONV2D_BACKPROP_FILTER = "MrcnnConv2DBackpropFilter";

/** Inputs of `MrcnnConv2DBackpropInput`: `dy` float32 [B, H', W', out]; `filter` [h, w, in / groups, out]. */
export type Conv2dBackpropInputInputs = Pick<NamedTensorInfoMap, "dy" | "filter">;

/** Inputs of `MrcnnConv2DBackpropFilter`: `x` float32 [B, H, W, in]; `dy` [B, H', W', out]. */
export type Conv2dBackpropFilterInputs = Pick<NamedTensorInfoMap, "x" | "dy">;

/**
 * TensorFlow.js's attributes of a convolution, plus groups and the explicit padding and dilations that its
 * own gradients lack.
 */
export interface Conv2dGradAttrs {
  readonly strides: readonly [number, number];
  readonly pad: "same" | "valid" | readonly (readonly [number, number])[];
  readonly dilations: readonly [number, number];
  readonly groups: number;
  readonly dataFormat: "NHWC";
}

/** Attributes of the kernel `MrcnnConv2DBackpropInput`. */
export interface Conv2dBackpropInputAttrs extends Conv2dGradAttrs {
  readonly inputShape: readonly [number, number, number, number];
}

/** Attributes of the kernel `MrcnnConv2DBackpropFilter`. */
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

/**
 * Group normalization: takes `GroupNormInputs` and `GroupNormAttrs`, returns [y [B, H, W, C], mean
 * [B, groups], rstd [B, groups]].
 */
export const GROUP_NORM = "MrcnnGroupNorm";

/**
 * The gradient of group normalization: takes `GroupNormGradInputs` and `GroupNormGradAttrs`, returns
 * [dx, dweight, dbias].
 */
export const GROUP_NORM_GRAD = "MrcnnGroupNormGrad";

/** Inputs of `MrcnnGroupNorm`: `x` float32 [B, H, W, C]; `weight` and `bias` float32 [C]. */
export type GroupNormInputs = Pick<NamedTensorInfoMap, "x" | "weight" | "bias">;

/**
 * Inputs of `MrcnnGroupNormGrad`: `dy` and `x` float32 [B, H, W, C]; `weight` [C]; `mean` and `rstd`
 * [B, groups].
 */
export type GroupNormGradInputs = Pick<NamedTensorInfoMap, "dy" | "x" | "weight" | "mean" | "rstd">;

/** Attributes of the kernel `MrcnnGroupNormGrad`. */
export interface GroupNormGradAttrs {
  readonly groups: number;
}

/** The gradient of `GROUP_NORM`, by one run of `GROUP_NORM_GRAD`. */
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

/** The contract of `MrcnnGroupNorm`. */
export const groupNormContract: KernelContract<GroupNormAttrs> = {
  name: GROUP_NORM,
  attributes: ["groups", "eps"],
  gradient: groupNormGradConfig,
};

/**
 * The filter of a convolution into which the following norm, of fixed statistics, is folded: takes
 * `FoldFilterInputs` and `FoldNormAttrs`, returns [`filter` times scale, scale], where scale [out] is
 * weight / sqrt(variance + eps).
 */
export const FOLD_FILTER = "MrcnnFoldFilter";

/**
 * The bias of a convolution into which the following norm is folded: takes `FoldBiasInputs` and
 * `FoldNormAttrs`, returns bias - mean * scale, [out].
 */
export const FOLD_BIAS = "MrcnnFoldBias";

/**
 * Inputs of `MrcnnFoldFilter`: `filter` float32 [h, w, in, out]; the norm's `weight` and `variance` [out].
 */
export type FoldFilterInputs = Pick<NamedTensorInfoMap, "filter" | "weight" | "variance">;

/**
 * Inputs of `MrcnnFoldBias`, all float32 [out] and the norm's; the convolution's own bias is already
 * subtracted from `mean`.
 */
export type FoldBiasInputs = Pick<NamedTensorInfoMap, "weight" | "bias" | "mean" | "variance">;

/** Attributes of the kernels `MrcnnFoldFilter` and `MrcnnFoldBias`. */
export interface FoldNormAttrs {
  readonly eps: number;
}

const deviation = (variance: Tensor, attrs: NamedAttrMap): Tensor =>
  rsqrt(add(variance, (attrs as unknown as FoldNormAttrs).eps));

/** The gradient of `FOLD_FILTER` with respect to all inputs but the variance. */
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

/** The gradient of `FOLD_BIAS` with respect to all inputs but the variance. */
export const foldBiasGradConfig: GradConfig = {
  kernelName: FOLD_BIAS,
  inputsToSave: ["weight", "mean", "variance"],
  gradFunc: (dy, [weight, mean, variance], attrs) => {
    const d = dy as Tensor;
    return {
      weight: () => neg(mul(mul(d, mean!), deviation(variance!, attrs))),
      // A tensor of its own, since dy is disposed once the gradients are computed.
      bias: () => reshape(d, d.shape),
      mean: () => neg(mul(mul(d, weight!), deviation(variance!, attrs))),
    };
  },
};

/** The contract of `MrcnnFoldFilter`. */
export const foldFilterContract: KernelContract<FoldNormAttrs> = {
  name: FOLD_FILTER,
  attributes: ["eps"],
  gradient: foldFilterGradConfig,
};
/** The contract of `MrcnnFoldBias`. */
export const foldBiasContract: KernelContract<FoldNormAttrs> = {
  name: FOLD_BIAS,
  attributes: ["eps"],
  gradient: foldBiasGradConfig,
};

/**
 * The gradient of ReLU from its output: takes `ReluGradInputs`, returns float32 dx, which is dy where y > 0,
 * else 0. Has no gradient of its own.
 */
export const RELU_GRAD = "MrcnnReluGrad";

/** Inputs of `MrcnnReluGrad`: `dy` and `y` float32 of the same shape. */
export type ReluGradInputs = Pick<NamedTensorInfoMap, "dy" | "y">;

/** The contract of `MrcnnReluGrad`. */
export const reluGradContract: KernelContract = { name: RELU_GRAD, attributes: [] };

/** Computes `RELU_GRAD` over typed arrays of the same length. */
export function reluBackward(dy: Float32Array, y: Float32Array, dx: Float32Array): void {
  for (let i = 0; i < dx.length; i++) dx[i] = y[i]! > 0 ? dy[i]! : 0;
}

/**
 * Sums over every axis but the last: takes `x` float32 [..., C], returns float32 [C], a bias's gradient. Has
 * no gradient of its own.
 */
export const COLUMN_SUMS = "MrcnnColumnSums";

/** Inputs of `MrcnnColumnSums`: `x` float32 [..., C]. */
export type ColumnSumsInputs = Pick<NamedTensorInfoMap, "x">;

/** The contract of `MrcnnColumnSums`. */
export const columnSumsContract: KernelContract = { name: COLUMN_SUMS, attributes: [] };

/**
 * Nearest-neighbour upsampling with addition: takes `UpsampleAddInputs`, returns float32 [B, H', W', C],
 * `finer` plus the enlarged `x`, whose output pixel i reads input pixel floor(i * in / out) computed in
 * float32. Has no gradient of its own.
 */
export const UPSAMPLE_ADD = "MrcnnUpsampleAdd";

/** Inputs of `MrcnnUpsampleAdd`: `x` float32 [B, H, W, C]; `finer` [B, H', W', C]. */
export type UpsampleAddInputs = Pick<NamedTensorInfoMap, "x" | "finer">;

/** The contract of `MrcnnUpsampleAdd`. */
export const upsampleAddContract: KernelContract = { name: UPSAMPLE_ADD, attributes: [] };

/**
 * A convolution as FusedConv2D, with `addend` added before the activation: takes `Conv2dAddInputs` and
 * `Conv2dAddAttrs`, returns float32 [B, H', W', out]. Has no gradient of its own.
 */
export const CONV2D_ADD = "MrcnnConv2dAdd";

/**
 * Inputs of `MrcnnConv2dAdd`: `x` float32 [B, H, W, in]; `filter` [h, w, in, out]; `bias` [out]; `addend` of
 * the output's shape.
 */
export type Conv2dAddInputs = Pick<NamedTensorInfoMap, "x" | "filter" | "bias" | "addend">;

/** Attributes of the kernel `MrcnnConv2dAdd`: those of a convolution, and FusedConv2D's activation. */
export interface Conv2dAddAttrs extends Conv2dGradAttrs {
  readonly activation: "linear" | "relu";
}

/** The contract of `MrcnnConv2dAdd`. */
export const conv2dAddContract: KernelContract<Conv2dAddAttrs> = {
  name: CONV2D_ADD,
  attributes: [...ofConvolution, "activation"],
};

/**
 * The check for NaN and infinity: takes `NotFiniteInputs`, returns int32 [1], 0 where all of `x` is finite,
 * else 1. Has no gradient.
 */
export const NOT_FINITE = "MrcnnNotFinite";

/** Inputs of `MrcnnNotFinite`: `x` float32 of any shape. */
export type NotFiniteInputs = Pick<NamedTensorInfoMap, "x">;

/** The contract of `MrcnnNotFinite`. */
export const notFiniteContract: KernelContract = { name: NOT_FINITE, attributes: [] };
