/**
 * What group normalization, the gradient of relu, a convolution that adds, and the backends that accelerate them agree on.
 * Kernels may call the loops over typed arrays exported here.
 */
import { engine } from "@tensorflow/tfjs-core";
import type { GradConfig, NamedAttrMap, NamedTensorInfoMap, NamedTensorMap, Tensor } from "@tensorflow/tfjs-core";
import type { KernelContract } from "@mrcnn/core";

export { groupNormBackward, groupNormForward } from "./group-norm-on-host.ts";
export type { GroupNormAttrs } from "./group-norm-on-host.ts";

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
    const [dx, dweight, dbias] = engine().runKernel(GROUP_NORM_GRAD, inputs, { groups } as NamedAttrMap) as [Tensor, Tensor, Tensor];
    return { x: () => dx, weight: () => dweight, bias: () => dbias };
  },
};

/** What `groupNorm` asks of `runKernelOr`. */
export const groupNormContract: KernelContract = { name: GROUP_NORM, gradient: groupNormGradConfig };

/**
 * The gradient of relu from its output: `ReluGradInputs` to float32 dx = dy where y > 0, else 0. Has
 * no gradient of its own.
 */
export const RELU_GRAD = "MrcnnReluGrad";

/** `dy` and `y` float32 of one shape. */
export type ReluGradInputs = Pick<NamedTensorInfoMap, "dy" | "y">;

/** The loop of `RELU_GRAD` over typed arrays of one length. */
export function reluBackward(dy: Float32Array, y: Float32Array, dx: Float32Array): void {
  for (let i = 0; i < dx.length; i++) dx[i] = y[i]! > 0 ? dy[i]! : 0;
}

/**
 * A convolution as FusedConv2D, with `addend` added before the activation: `Conv2dAddInputs` and
 * FusedConv2D's attributes to float32 [B, H', W', out]. Has no gradient of its own.
 */
export const CONV2D_ADD = "MrcnnConv2dAdd";

/** `x` float32 [B, H, W, in]; `filter` [h, w, in, out]; `bias` [out]; `addend` of the output's shape. */
export type Conv2dAddInputs = Pick<NamedTensorInfoMap, "x" | "filter" | "bias" | "addend">;
