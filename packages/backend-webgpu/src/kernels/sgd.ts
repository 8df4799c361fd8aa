/** Kernel of stochastic gradient descent with momentum. */
import { util } from "@tensorflow/tfjs-core";
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import { SGD } from "@mrcnn/trainer/kernel";
import type { SgdAttrs, SgdInputs } from "@mrcnn/trainer/kernel";
import type { Given } from "../given.ts";
import { allocate, kernel } from "../kernel.ts";
import { run, spread } from "../program.ts";

/*
 * One thread = four neighbouring elements of a variable. Bounds: buffers are whole vectors. Cost: 6
 * operations and 20 bytes an element, 16 in the first update.
 */
const source = (isFirst: boolean): string => /* wgsl */ `
@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = (workgroup.x + workgroup.y * grid.x) * 256 + thread;
  if (i >= params.vectors) { return; }
  let w = variable[i];
  let old = ${isFirst ? "vec4f()" : "velocity[i]"};
  let v = params.momentum * old + (scale[0] * gradient[i] + params.decay * w);
  let isMeant = scale[0] >= 0;
  next[i] = select(old, v, isMeant);
  moved[i] = select(w, w - params.rate * v, isMeant);
}`;

/** Performs one update by stochastic gradient descent with momentum. */
export const sgd: KernelConfig = kernel<
  Given<Omit<SgdInputs, "velocity">> & Partial<Given<Pick<SgdInputs, "velocity">>>,
  SgdAttrs
>(SGD, ({ inputs: { variable, gradient, scale, velocity }, attrs: { rate, momentum, decay }, backend }) => {
  const [moved, next] = [allocate(backend, variable.shape), allocate(backend, variable.shape)];
  const vectors = Math.ceil(util.sizeFromShape(variable.shape) / 4);
  const vector = (tensor: TensorInfo): { tensor: TensorInfo; as: string } => ({ tensor, as: "vec4f" });
  run(backend, {
    name: velocity === undefined ? "firstSgd" : "sgd",
    source: source(velocity === undefined),
    inputs: {
      variable: vector(variable),
      gradient: vector(gradient),
      scale,
      ...(velocity !== undefined && { velocity: vector(velocity) }),
    },
    outputs: { moved: vector(moved), next: vector(next) },
    params: { vectors, rate: { f32: rate }, momentum: { f32: momentum }, decay: { f32: decay } },
    workgroups: spread(Math.ceil(vectors / 256)),
  });
  return [moved, next];
});
