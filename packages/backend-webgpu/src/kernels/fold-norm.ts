import { util } from "@tensorflow/tfjs-core";
import type { KernelConfig } from "@tensorflow/tfjs-core";
import { FOLD_NORM } from "@mrcnn/nn/kernel";
import type { FoldNormAttrs, FoldNormInputs } from "@mrcnn/nn/kernel";
import type { Given } from "../given.ts";
import { allocate, kernel } from "../kernel.ts";
import { run, spread } from "../program.ts";

/*
 * One thread = four neighbouring elements of the filter, or one where the channels are no multiple of four; the first
 * threads write the channels' bias and scale as well. Bounds: any sizes. Cost: 8 bytes and a root an element, one
 * dispatch for the six that the composition takes.
 */
const source = /* wgsl */ `
@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = (workgroup.x + workgroup.y * grid.x) * 256 + thread;
  if (i >= params.count) { return; }
  let channel = i % params.channels;
  let scale = weight[channel] * inverseSqrt(variance[channel] + params.eps);
  folded[i] = filter_[i] * scale;
  if (i < params.channels) {
    shift[i] = bias[i] - mean[i] * scale;
    scales[i] = scale;
  }
}`;

/** A norm of fixed statistics, folded into the convolution before it. */
export const foldNorm: KernelConfig = kernel<Given<FoldNormInputs>, FoldNormAttrs>(FOLD_NORM, ({ inputs: { filter, weight, bias, mean, variance }, attrs: { eps }, backend }) => {
  const channels = filter.shape.at(-1)!;
  const size = channels % 4 === 0 ? 4 : 1;
  const outputs = { folded: allocate(backend, filter.shape), shift: allocate(backend, [channels]), scales: allocate(backend, [channels]) };
  const typed = <T extends object>(tensors: T): { [name in keyof T]: { tensor: T[name]; as: string } } =>
    Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, { tensor, as: size === 4 ? "vec4f" : "f32" }])) as never;
  const count = util.sizeFromShape(filter.shape) / size;
  run(backend, {
    name: "foldNorm",
    source,
    inputs: typed({ filter_: filter, weight, bias, mean, variance }),
    outputs: typed(outputs),
    params: { count, channels: channels / size, eps: { f32: eps } },
    workgroups: spread(Math.ceil(count / 256)),
  });
  return Object.values(outputs);
});
