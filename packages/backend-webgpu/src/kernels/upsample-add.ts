/** Kernel that adds an upsampled coarser map to a finer one. */
import type { KernelConfig } from "@tensorflow/tfjs-core";
import { UPSAMPLE_ADD } from "@mrcnn/nn/kernel";
import type { UpsampleAddInputs } from "@mrcnn/nn/kernel";
import type { Given } from "../given.ts";
import { allocate, kernel } from "../kernel.ts";
import { run, spread } from "../program.ts";

/*
 * One thread = four channels of a pixel of the finer map, or one where they are not a multiple of four.
 * Bounds: any sizes. Cost: 1 addition and 9 bytes an element where the map is four times as large as the
 * coarser one.
 */
const source = /* wgsl */ `
@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = (workgroup.x + workgroup.y * grid.x) * 256 + thread;
  if (i >= params.count) { return; }
  let channel = i % params.channels;
  let pixel = i / params.channels;
  let column = pixel % params.width;
  let row = pixel / params.width % params.height;
  let image = pixel / params.width / params.height;
  // In float32, as torch.
  let from_row = min(u32(f32(row) * params.scaleY), params.rows - 1);
  let from_column = min(u32(f32(column) * params.scaleX), params.columns - 1);
  y[i] = finer[i] + x[((image * params.rows + from_row) * params.columns + from_column) * params.channels + channel];
}`;

/** Adds a coarser map, enlarged, to a finer one. */
export const upsampleAdd: KernelConfig = kernel<Given<UpsampleAddInputs>, object>(
  UPSAMPLE_ADD,
  ({ inputs: { x, finer }, backend }) => {
    const [batch, height, width, channels] = finer.shape as [number, number, number, number];
    const [, rows, columns] = x.shape as [number, number, number, number];
    const y = allocate(backend, finer.shape);
    const size = channels % 4 === 0 ? 4 : 1;
    const as = size === 4 ? "vec4f" : "f32";
    const count = (batch * height * width * channels) / size;
    run(backend, {
      name: "upsampleAdd",
      source,
      inputs: { x: { tensor: x, as }, finer: { tensor: finer, as } },
      outputs: { y: { tensor: y, as } },
      params: {
        count,
        height,
        width,
        rows,
        columns,
        channels: channels / size,
        scaleY: { f32: rows / height },
        scaleX: { f32: columns / width },
      },
      workgroups: spread(Math.ceil(count / 256)),
    });
    return y;
  },
);
