/** Group normalization (Wu and He 2018), as torch.nn.GroupNorm. */
import {
  add,
  mul,
  neg,
  reshape,
  rsqrt,
  square,
  squaredDifference,
  sub,
  sum,
  tidy,
  tile,
} from "@tensorflow/tfjs-core";
import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from "@tensorflow/tfjs-core";
import { assertShape, ConfigError } from "@mrcnn/core";
import { runKernelOr } from "@mrcnn/core/tensors";
import type { GroupNormAttrs } from "./group-norm-on-host.ts";
import { groupNormContract } from "./kernel.ts";
import { withGradient } from "./with-gradient.ts";

/** Results of `groupNormWithMoments`: y [B, H, W, C], mean and rstd [B, groups]. */
export type GroupNormOutputs = [Tensor4D, Tensor2D, Tensor2D];

/**
 * Applies group normalization to `x` [B, H, W, C] with `weight` and `bias` [C]: normalizes each image's runs
 * of C / groups channels to mean 0 and variance 1 (biased, eps added), then applies weight and bias per
 * channel. As torch.nn.GroupNorm.
 *
 * @throws ConfigError when the groups don't divide the channels; ShapeError on other shapes.
 */
export function groupNorm(x: Tensor4D, weight: Tensor1D, bias: Tensor1D, attrs: GroupNormAttrs): Tensor4D {
  return tidy(() => groupNormWithMoments(x, weight, bias, attrs)[0]);
}

/** Computes `groupNorm` and also returns mean and 1 / sqrt(variance + eps); gradients flow through y only. */
export function groupNormWithMoments(
  x: Tensor4D,
  weight: Tensor1D,
  bias: Tensor1D,
  attrs: GroupNormAttrs,
): GroupNormOutputs {
  const { groups, eps } = attrs;
  const channels = x.shape.at(-1)!;
  if (!(groups >= 1) || channels % groups !== 0) {
    throw new ConfigError(
      `groupNorm: groups must divide the ${channels} channels, got ${groups}. Choose another number of groups.`,
    );
  }
  assertShape(weight, [channels], "groupNorm", "weight");
  assertShape(bias, [channels], "groupNorm", "bias");
  const inputs = { x, weight, bias };
  return runKernelOr(groupNormContract, inputs, { groups, eps }, () =>
    compose(x, weight, bias, attrs),
  ) as GroupNormOutputs;
}

// Per-channel values are [B, 1, 1, C], which broadcasts over x; per-group values [B * groups, 1].
function helpers(
  [batch, height, width, channels]: readonly [number, number, number, number],
  groups: number,
) {
  const perGroup = channels / groups;
  const count = height * width * perGroup;
  return {
    pixelSums: (t: Tensor4D): Tensor4D => sum(t, [1, 2], true),
    /** Returns means over whole groups, from sums over the pixels. */
    groupMeans: (sums: Tensor): Tensor2D =>
      mul(sum(reshape(sums, [batch * groups, perGroup]), 1, true), 1 / count),
    spread: (t: Tensor2D): Tensor4D => reshape(tile(t, [1, perGroup]), [batch, 1, 1, channels]),
  };
}

function compose(x: Tensor4D, weight: Tensor1D, bias: Tensor1D, { groups, eps }: GroupNormAttrs): Tensor[] {
  const { pixelSums, groupMeans, spread } = helpers(x.shape, groups);
  return withGradient<Tensor[]>(
    { x, weight, bias },
    (save) => {
      const mean = groupMeans(pixelSums(x));
      const center = spread(mean);
      const rstd = rsqrt(add(groupMeans(pixelSums(squaredDifference(x, center))), eps)) as Tensor2D;
      const inverse = spread(rstd);
      const scale = mul(inverse, weight);
      const y = add(mul(x, scale), sub(bias, mul(center, scale)));
      save([x, weight, center, inverse]);
      const moments = [mean, rstd].map((t) => reshape(t, [x.shape[0], groups]));
      return [y, ...moments];
    },
    ([dy], saved) => {
      const [x, weight, center, inverse] = saved as [Tensor4D, Tensor1D, Tensor4D, Tensor4D];
      return gradients(dy as Tensor4D, x, weight, center, inverse, groups);
    },
  );
}

function gradients(
  dy: Tensor4D,
  x: Tensor4D,
  weight: Tensor1D,
  center: Tensor4D,
  inverse: Tensor4D,
  groups: number,
): Record<string, () => Tensor> {
  const { pixelSums, groupMeans, spread } = helpers(x.shape, groups);
  // Sums per channel of dy and of dy * x̂: all that the three gradients need.
  const [sumDy, dot] = tidy(() => {
    const sumDy = pixelSums(dy);
    return [sumDy, mul(sub(pixelSums(mul(dy, x)), mul(sumDy, center)), inverse)];
  }) as [Tensor4D, Tensor4D];
  return {
    x: () => {
      const slope = neg(mul(spread(groupMeans(mul(dot, weight))), square(inverse)));
      const constant = neg(add(mul(spread(groupMeans(mul(sumDy, weight))), inverse), mul(slope, center)));
      return add(mul(dy, mul(inverse, weight)), add(mul(x, slope), constant));
    },
    weight: () => sum(dot, [0, 1, 2]),
    bias: () => sum(sumDy, [0, 1, 2]),
  };
}
