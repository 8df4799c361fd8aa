/** Kernels that fold a norm of fixed statistics into the convolution before it. */
import { util } from "@tensorflow/tfjs-core";
import type { KernelConfig } from "@tensorflow/tfjs-core";
import { FOLD_BIAS, FOLD_FILTER } from "@mrcnn/nn/kernel";
import type { FoldBiasInputs, FoldFilterInputs, FoldNormAttrs } from "@mrcnn/nn/kernel";
import type { Given } from "../given.ts";
import { allocate, kernel } from "../kernel.ts";
import { run, spread } from "../program.ts";

/*
 * One thread = four neighbouring elements of the filter, or one where the channels are not a multiple of
 * four; the first threads write the channels' scale as well. Bounds: any sizes. Cost: 8 bytes and a root an
 * element.
 */
const filterSource = /* wgsl */ `
@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = (workgroup.x + workgroup.y * grid.x) * 256 + thread;
  if (i >= params.count) { return; }
  let channel = i % params.channels;
  let own = weight[channel] * inverseSqrt(variance[channel] + params.eps);
  folded[i] = filter_[i] * own;
  if (i < params.channels) { scale[i] = own; }
}`;

/**
 * Computes the filter of a convolution combined with a norm of fixed statistics after it: one dispatch
 * instead of three.
 */
export const foldFilter: KernelConfig = kernel<Given<FoldFilterInputs>, FoldNormAttrs>(
  FOLD_FILTER,
  ({ inputs: { filter, weight, variance }, attrs: { eps }, backend }) => {
    const channels = filter.shape.at(-1)!;
    const size = channels % 4 === 0 ? 4 : 1;
    const [folded, scale] = [allocate(backend, filter.shape), allocate(backend, [channels])];
    const as = size === 4 ? "vec4f" : "f32";
    const count = util.sizeFromShape(filter.shape) / size;
    run(backend, {
      name: "foldFilter",
      source: filterSource,
      inputs: {
        filter_: { tensor: filter, as },
        weight: { tensor: weight, as },
        variance: { tensor: variance, as },
      },
      outputs: { folded: { tensor: folded, as }, scale: { tensor: scale, as } },
      params: { count, channels: channels / size, eps: { f32: eps } },
      workgroups: spread(Math.ceil(count / 256)),
    });
    return [folded, scale];
  },
);

/* One thread = one channel. Cost: negligible. */
const biasSource = /* wgsl */ `
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.channels) { return; }
  shift[id.x] = bias[id.x] - mean[id.x] * (weight[id.x] * inverseSqrt(variance[id.x] + params.eps));
}`;

/** Computes the bias of that combination: one dispatch instead of five. */
export const foldBias: KernelConfig = kernel<Given<FoldBiasInputs>, FoldNormAttrs>(
  FOLD_BIAS,
  ({ inputs: { weight, bias, mean, variance }, attrs: { eps }, backend }) => {
    const channels = weight.shape[0]!;
    const shift = allocate(backend, [channels]);
    run(backend, {
      name: "foldBias",
      source: biasSource,
      inputs: { weight, bias, mean, variance },
      outputs: { shift },
      params: { channels, eps: { f32: eps } },
      workgroups: [Math.ceil(channels / 64)],
    });
    return shift;
  },
);
