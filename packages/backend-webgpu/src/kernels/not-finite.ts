/** Kernel that detects NaN and infinity. */
import { util } from "@tensorflow/tfjs-core";
import type { KernelConfig } from "@tensorflow/tfjs-core";
import { NOT_FINITE } from "@mrcnn/nn/kernel";
import type { NotFiniteInputs } from "@mrcnn/nn/kernel";
import type { Given } from "../given.ts";
import { kernel, zeros } from "../kernel.ts";
import { run } from "../program.ts";

const MOST_WORKGROUPS = 512;
const VALUES_OF_A_THREAD = 16;

/*
 * One thread = values at a fixed stride. Whether a number is finite is read from its bits, because shaders
 * may be compiled on the assumption that all numbers are. Bounds: any size. Cost: 4 bytes read a value,
 * coalesced.
 */
const source = /* wgsl */ `
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  var isBad = false;
  for (var i = id.x; i < params.size; i += 64u * grid.x) { isBad = isBad || (bits[i] & 0x7f800000u) == 0x7f800000u; }
  if (isBad) { atomicStore(&flag[0], 1u); }
}`;

/** Tells whether a tensor contains NaN or infinity. */
export const notFinite: KernelConfig = kernel<Given<NotFiniteInputs>, object>(
  NOT_FINITE,
  ({ inputs: { x }, backend }) => {
    const flag = zeros(backend, [1]);
    const size = util.sizeFromShape(x.shape);
    run(backend, {
      name: "notFinite",
      source,
      inputs: { bits: { tensor: x, as: "u32" } },
      outputs: { flag: { tensor: flag, as: "atomic<u32>" } },
      params: { size },
      workgroups: [Math.min(MOST_WORKGROUPS, Math.ceil(size / (64 * VALUES_OF_A_THREAD)))],
    });
    return flag;
  },
);
