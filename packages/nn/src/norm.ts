/**
 * Frozen, running and batch-statistics batch norm and group norm behind a convolution, as torchvision and
 * torch.
 */
import { add, mul, ones, reciprocal, reshape, rsqrt, square, sub, tidy, zeros } from "@tensorflow/tfjs-core";
import type { Rank, Tensor, Tensor1D, Tensor2D, Tensor4D, Variable } from "@tensorflow/tfjs-core";
import { runKernelOr, stopGradient } from "@mrcnn/core/tensors";
import { convolve } from "./conv2d.ts";
import type { Conv2dOptions } from "./conv2d.ts";
import { finish } from "./finish.ts";
import { groupNorm, groupNormWithMoments } from "./group-norm.ts";
import { foldBiasContract, foldFilterContract } from "./kernel.ts";
import { toVariable } from "./params.ts";
import type { Conv2dParams } from "./params.ts";

/**
 * Kind of a norm; `frozen_batch_norm` is torchvision's FrozenBatchNorm2d: fixed statistics, nothing trained.
 */
export type Norm = "frozen_batch_norm" | "batch_norm" | "group_norm";

/** Parameters of group norm, each [C]. */
export type GroupNormParams = {
  readonly weight: Variable<Rank.R1>;
  readonly bias: Variable<Rank.R1>;
};

/** Parameters and statistics of batch norm, frozen or not, each [C]. */
export type BatchNormParams = GroupNormParams & {
  readonly running_mean: Variable<Rank.R1>;
  readonly running_var: Variable<Rank.R1>;
};

/** Parameters of any norm; group norm has no statistics. */
export type NormParams = GroupNormParams | BatchNormParams;

/** Creates a norm that is the identity on standardized input: weight 1, bias 0, mean 0, variance 1. */
export function initNorm(
  kind: Norm,
  channels: number,
  { trainable = true }: { trainable?: boolean } = {},
): NormParams {
  const learned = trainable && kind !== "frozen_batch_norm";
  const affine = {
    weight: toVariable<Rank.R1>(ones([channels]), { trainable: learned }),
    bias: toVariable<Rank.R1>(zeros([channels]), { trainable: learned }),
  };
  if (kind === "group_norm") return affine;
  return {
    ...affine,
    running_mean: toVariable<Rank.R1>(zeros([channels]), { trainable: false }),
    running_var: toVariable<Rank.R1>(ones([channels]), { trainable: false }),
  };
}

/** Options of a convolution and the norm that follows it. */
export interface ConvNormOptions extends Omit<Conv2dOptions, "groups"> {
  /** Number of groups of the convolution. Default 1. */
  readonly convGroups?: number;
  readonly kind: Norm;
  /**
   * Added to the variance. torchvision's COCO weights with frozen batch norm need 0. Default 1e-5, torch's.
   */
  readonly eps?: number;
  /** Number of groups of `group_norm`. Default 32. */
  readonly groups?: number;
  /**
   * Statistics that `batch_norm` normalizes by; "batch" also updates the running statistics. Default
   * "running".
   */
  readonly statistics?: "running" | "batch";
}

// The momentum of torch.nn.BatchNorm2d.
const MOMENTUM = 0.1;

/**
 * Applies convolution, normalization, `addend` and activation, in this order. A norm by running statistics is
 * folded into the filter and a bias, which saves a pass over the output and keeps the gradient with respect
 * to the weights right. Batch statistics update `running_mean` and `running_var` in place as torch does
 * (momentum 0.1, unbiased variance), outside of the gradient tape.
 */
export function convNorm(
  conv: Conv2dParams,
  norm: NormParams,
  x: Tensor4D,
  options: ConvNormOptions,
): Tensor4D {
  const {
    kind,
    eps = 1e-5,
    groups = 32,
    statistics = "running",
    addend,
    activation,
    convGroups = 1,
    ...rest
  } = options;
  const convolution = { ...rest, groups: convGroups };
  return tidy(() => {
    if (kind === "group_norm")
      return finish(
        groupNorm(convolve(x, conv.weight, conv.bias, convolution), norm.weight, norm.bias, { groups, eps }),
        addend,
        activation,
      );
    const batchNorm = norm as BatchNormParams;
    if (kind === "batch_norm" && statistics === "batch")
      return finish(
        batchNormByBatch(convolve(x, conv.weight, conv.bias, convolution), batchNorm, eps),
        addend,
        activation,
      );
    const { weight, bias } = foldNorm(conv, batchNorm, eps);
    return convolve(x, weight, bias, { ...convolution, addend, activation });
  });
}

/**
 * Returns the filter and bias of a convolution into which the following norm of fixed statistics is folded;
 * differentiable in all but the variance.
 */
export function foldNorm(
  conv: Conv2dParams,
  norm: BatchNormParams,
  eps: number,
): { weight: Tensor4D; bias: Tensor1D } {
  const { weight, bias, running_mean, running_var: variance } = norm;
  const mean = conv.bias === undefined ? running_mean : sub(running_mean, conv.bias);
  let shared: Tensor | undefined;
  const scale = (): Tensor => (shared ??= mul(weight, rsqrt(add(variance, eps))));
  // Two kernels, so that a frozen norm's bias does not depend on what is trained.
  const [filter] = runKernelOr(foldFilterContract, { filter: conv.weight, weight, variance }, { eps }, () => [
    mul(conv.weight, scale()),
  ]);
  const shift = runKernelOr(foldBiasContract, { weight, bias, mean, variance }, { eps }, () =>
    sub(bias, mul(mean, scale())),
  );
  return { weight: filter as Tensor4D, bias: shift as Tensor1D };
}

// Batch norm is group norm with one group per channel, applied to the batch as one image.
function batchNormByBatch(x: Tensor4D, norm: BatchNormParams, eps: number): Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const count = batch * height * width;
  const whole = reshape(x, [1, batch * height, width, channels]) as Tensor4D;
  const [y, mean, rstd] = groupNormWithMoments(whole, norm.weight, norm.bias, { groups: channels, eps });
  const moment = (t: Tensor2D): Tensor1D => reshape(stopGradient(t), [channels]) as Tensor1D;
  const variance = sub(reciprocal(square(moment(rstd))), eps);
  blend(norm.running_mean, moment(mean));
  blend(norm.running_var, mul(variance, count / Math.max(1, count - 1)));
  return reshape(y, x.shape);
}

function blend(running: Variable<Rank.R1>, observed: Tensor1D): void {
  running.assign(add(mul(stopGradient(running as Tensor1D), 1 - MOMENTUM), mul(observed, MOMENTUM)));
}
