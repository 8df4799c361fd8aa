import { add, div, matMul, mul, neg, ones, reshape, rsqrt, squaredDifference, sub, tensor2d, tidy } from "@tensorflow/tfjs-core";
import type { Tensor, Tensor1D, Tensor2D, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import { assertShape, ConfigError, runKernelOr } from "@mrcnn/core";
import { columnSums } from "./column-sums.ts";
import type { GroupNormAttrs } from "./group-norm-on-host.ts";
import { groupNormContract } from "./kernel.ts";
import { withGradient } from "./with-gradient.ts";

/** What `groupNormWithMoments` returns: y [B, H, W, C], mean and rstd [B, groups]. */
export type GroupNormOutputs = [Tensor4D, Tensor2D, Tensor2D];

/**
 * Group normalization (Wu and He 2018) of `x` [B, H, W, C] with `weight` and `bias` [C]: each image's
 * runs of C / groups channels get mean 0 and variance 1 (biased, eps added), then weight and bias
 * per channel. torch.nn.GroupNorm.
 *
 * @throws ConfigError when the groups don't divide the channels; ShapeError on other shapes.
 */
export function groupNorm(x: Tensor4D, weight: Tensor1D, bias: Tensor1D, attrs: GroupNormAttrs): Tensor4D {
  return tidy(() => groupNormWithMoments(x, weight, bias, attrs)[0]);
}

/** `groupNorm` that also returns mean and 1 / sqrt(variance + eps); gradients flow through y only. */
export function groupNormWithMoments(x: Tensor4D, weight: Tensor1D, bias: Tensor1D, attrs: GroupNormAttrs): GroupNormOutputs {
  const { groups, eps } = attrs;
  const channels = x.shape.at(-1)!;
  if (!(groups >= 1) || channels % groups !== 0) {
    throw new ConfigError(`groupNorm: groups must divide the ${channels} channels, got ${groups}. Choose another number of groups.`);
  }
  assertShape(weight, [channels], "groupNorm", "weight");
  assertShape(bias, [channels], "groupNorm", "bias");
  const inputs = { x, weight, bias };
  return runKernelOr<Tensor[]>(groupNormContract, inputs, { groups, eps }, () => compose(x, weight, bias, attrs)) as GroupNormOutputs;
}

// [C, groups], 1 where the channel belongs to the group: sums channels into groups, and its
// transpose spreads groups over their channels.
function membership(channels: number, groups: number): Tensor2D {
  const values = new Float32Array(channels * groups);
  for (let c = 0; c < channels; c++) values[c * groups + Math.floor((c * groups) / channels)] = 1;
  return tensor2d(values, [channels, groups]);
}

// Sums over the pixels: [B, N, C] to [B, C].
function pixelSums(x: Tensor3D): Tensor2D {
  const [batch, pixels, channels] = x.shape;
  return reshape(matMul(ones([batch, 1, pixels]), x), [batch, channels]);
}

function compose(x4: Tensor4D, weight: Tensor1D, bias: Tensor1D, { groups, eps }: GroupNormAttrs): Tensor[] {
  const [batch, height, width, channels] = x4.shape;
  const pixels = height * width;
  const count = (pixels * channels) / groups;
  const flat = (t: Tensor): Tensor3D => reshape(t, [batch, pixels, channels]);
  const perChannel = (t: Tensor): Tensor3D => reshape(t, [batch, 1, channels]);
  return withGradient<Tensor[]>(
    // The gradients of weight and bias read the sums, x's comes last.
    { weight, bias, x: x4 },
    (save) => {
      const x = flat(x4);
      const member = membership(channels, groups);
      const spread = (t: Tensor2D): Tensor2D => matMul(t, member, false, true);
      const mean = div(matMul(pixelSums(x), member), count) as Tensor2D;
      const meanPerChannel = spread(mean);
      const squares = squaredDifference(x, perChannel(meanPerChannel)) as Tensor3D;
      const rstd = rsqrt(add(div(matMul(pixelSums(squares), member), count), eps)) as Tensor2D;
      const scale = mul(spread(rstd), weight);
      const shift = sub(bias, mul(meanPerChannel, scale));
      const y = reshape(add(mul(x, perChannel(scale)), perChannel(shift)), x4.shape);
      save([x4, weight, mean, rstd]);
      return [y, mean, rstd];
    },
    ([dy4], saved) => {
      const [x4, weight, mean, rstd] = saved as [Tensor4D, Tensor1D, Tensor2D, Tensor2D];
      return groupNormGradient(dy4 as Tensor4D, x4, weight, mean, rstd, groups);
    },
  );
}

function groupNormGradient(dy4: Tensor4D, x4: Tensor4D, weight: Tensor1D, mean: Tensor2D, rstd: Tensor2D, groups: number): Record<string, () => Tensor> {
  const [batch, height, width, channels] = x4.shape;
  const pixels = height * width;
  const count = (pixels * channels) / groups;
  const [dy, x] = [dy4, x4].map((t) => reshape(t, [batch, pixels, channels]) as Tensor3D) as [Tensor3D, Tensor3D];
  const perChannel = (t: Tensor): Tensor3D => reshape(t, [batch, 1, channels]);
  const member = membership(channels, groups);
  const spread = (t: Tensor2D): Tensor2D => matMul(t, member, false, true);
  // Per channel: sums of dy and of dy * x̂, all that the three gradients need.
  const [sumDy, dot] = tidy(() => {
    const sums = pixelSums(dy);
    const products = pixelSums(mul(dy, x));
    return [sums, mul(sub(products, mul(spread(mean), sums)), spread(rstd)) as Tensor2D];
  }) as [Tensor2D, Tensor2D];
  return {
    weight: () => columnSums(dot),
    bias: () => columnSums(sumDy),
    x: () => {
      const s = matMul(mul(sumDy, weight) as Tensor2D, member);
      const q = matMul(mul(dot, weight) as Tensor2D, member);
      const slope = neg(div(mul(q, mul(rstd, rstd)), count)) as Tensor2D;
      const constant = neg(add(div(mul(s, rstd), count), mul(slope, mean))) as Tensor2D;
      const fromDy = mul(dy, perChannel(mul(spread(rstd), weight)));
      const fromX = add(mul(x, perChannel(spread(slope))), perChannel(spread(constant)));
      return reshape(add(fromDy, fromX), x4.shape);
    },
  };
}
