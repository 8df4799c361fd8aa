/** The constant factor of a product in the backend's precision. */
import { util } from "@tensorflow/tfjs-core";
import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { MrcnnWebgpuBackend } from "../backend.ts";
import { run, spread } from "../program.ts";
import type { Element } from "./operand.ts";

/**
 * Returns the filter or right factor in the backend's precision: halves are packed once and kept while the
 * tensor lives.
 */
export function factorOf(
  backend: MrcnnWebgpuBackend,
  tensor: TensorInfo,
): { readonly tensor: TensorInfo; readonly element: Element } {
  if (backend.precision === "float32") return { tensor, element: "f32" };
  return { tensor: backend.derive(tensor, "halves", () => packHalves(backend, tensor)), element: "f16" };
}

/** Packs values to halves. One thread rounds four values; 6 bytes move for each value. */
function packHalves(backend: MrcnnWebgpuBackend, values: TensorInfo): TensorInfo {
  const size = util.sizeFromShape(values.shape);
  const quads = Math.ceil(size / 4);
  const halves = backend.makeTensorInfo([quads * 2], "float32");
  run(backend, {
    name: "pack halves",
    source: `
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let quad = (id.x + id.y * grid.x) * 64 + local;
  if (quad >= params.quads) { return; }
  halves[quad] = vec4<f16>(clamp(values[quad], vec4<f32>(-65504), vec4<f32>(65504)));
}`,
    inputs: { values: { tensor: values, as: "vec4<f32>" } },
    outputs: { halves: { tensor: halves, as: "vec4<f16>" } },
    params: { quads },
    features: ["f16"],
    workgroups: spread(Math.ceil(quads / 64)),
  });
  return halves;
}
