/** Kernel of relu's gradient. */
import { util } from "@tensorflow/tfjs-core";
import type { KernelConfig } from "@tensorflow/tfjs-core";
import { RELU_GRAD } from "@mrcnn/nn/kernel";
import type { ReluGradInputs } from "@mrcnn/nn/kernel";
import type { Given } from "../given.ts";
import { allocate, kernel } from "../kernel.ts";
import { run, spread } from "../program.ts";

/*
 * One thread = four neighbouring elements: dy where y is positive. Bounds: buffers are whole vectors, so the
 * last one may extend beyond the tensor but not beyond its buffer. Cost: 12 bytes an element.
 */
const source = /* wgsl */ `
@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = (workgroup.x + workgroup.y * grid.x) * 256 + thread;
  if (i >= params.vectors) { return; }
  dx[i] = select(vec4f(), dy[i], y[i] > vec4f());
}`;

export const reluGrad: KernelConfig = kernel<Given<ReluGradInputs>, object>(
  RELU_GRAD,
  ({ inputs: { dy, y }, backend }) => {
    const dx = allocate(backend, dy.shape);
    const vectors = Math.ceil(util.sizeFromShape(dy.shape) / 4);
    run(backend, {
      name: "reluGrad",
      source,
      inputs: { dy: { tensor: dy, as: "vec4f" }, y: { tensor: y, as: "vec4f" } },
      outputs: { dx: { tensor: dx, as: "vec4f" } },
      params: { vectors },
      workgroups: spread(Math.ceil(vectors / 256)),
    });
    return dx;
  },
);
