// @ts-check
/** Measures a device's peak rates of arithmetic and of memory. */
import { run, spread } from "../../../packages/backend-webgpu/dist/program.js";

const CHAINS = 16;
const STEPS = 256;

/**
 * @param {import("./timer.mjs").Backend} backend
 * @param {import("./timer.mjs").Timer} time
 * @param {boolean} small
 * @returns {Promise<{ gflops: number, halfGflops: number | undefined, gbps: number }>}
 */
export async function peaks(backend, time, small) {
  const threads = small ? 2 ** 10 : 2 ** 20;
  const hasHalves = backend.device.features.has("shader-f16");
  const gflops = await arithmetic("f32");
  return { gflops, halfGflops: hasHalves ? await arithmetic("f16") : undefined, gbps: await copying() };

  /** Chains of fma that wait for nothing but themselves: 8 operations each. @param {"f32" | "f16"} type */
  async function arithmetic(type) {
    const out = backend.makeTensorInfo([threads * 4], "float32");
    const each = Array.from({ length: CHAINS }, (_, i) => i);
    const milliseconds = await time(() =>
      run(backend, {
        name: `bench fma ${type}`,
        source: `
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = (id.x + id.y * grid.x) * 64 + local;
  let scale = vec4<${type}>(${type}(params.scale));
  let shift = vec4<${type}>(${type}(local)) * ${type}(0.001);
  ${each.map((i) => `var v${i} = shift + ${type}(${i});`).join("\n  ")}
  for (var step = 0u; step < ${STEPS}; step++) {
    ${each.map((i) => `v${i} = fma(v${i}, scale, shift);`).join("\n    ")}
  }
  result[index] = vec4<f32>(${each.map((i) => `v${i}`).join(" + ")});
}`,
        inputs: {},
        outputs: { result: { tensor: out, as: "vec4<f32>" } },
        params: { scale: { f32: 0.5 } },
        features: type === "f16" ? ["f16"] : [],
        workgroups: spread(threads / 64),
      }),
    );
    backend.disposeData(out.dataId);
    return (threads * CHAINS * STEPS * 8) / milliseconds / 1e6;
  }

  /** Bytes read and written by a copy larger than caches. */
  async function copying() {
    const quads = small ? 2 ** 20 : 2 ** 24;
    const [from, to] = [
      backend.makeTensorInfo([quads * 4], "float32"),
      backend.makeTensorInfo([quads * 4], "float32"),
    ];
    const milliseconds = await time(() =>
      run(backend, {
        name: "bench copy",
        source: `
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = (id.x + id.y * grid.x) * 256 + local;
  result[index] = source[index];
}`,
        inputs: { source: { tensor: from, as: "vec4<f32>" } },
        outputs: { result: { tensor: to, as: "vec4<f32>" } },
        workgroups: spread(quads / 256),
      }),
    );
    for (const { dataId } of [from, to]) backend.disposeData(dataId);
    return (quads * 32) / milliseconds / 1e6;
  }
}
