/** Kernel of the scale of a training step's gradients. */
import { util } from "@tensorflow/tfjs-core";
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import { STEP_SCALE } from "@mrcnn/trainer/kernel";
import type { StepScaleAttrs } from "@mrcnn/trainer/kernel";
import { allocate, kernel, release } from "../kernel.ts";
import { run } from "../program.ts";

// Maximum number of workgroups per gradient, each of which writes one sum.
const MOST_WORKGROUPS = 128;
const VECTORS_OF_A_WORKGROUP = 256 * 8;

/*
 * One thread = vectors of a gradient at a fixed stride, then a tree over the workgroup: one sum of squares.
 * Bounds: any size; elements of the last vector beyond the gradient count as 0. Cost: 2 operations and 4
 * bytes an element, read coalesced.
 */
const squares = /* wgsl */ `
var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u) {
  var sum = vec4f();
  for (var i = workgroup.x * 256 + thread; i < (params.size + 3) / 4; i += grid.x * 256) {
    let g = select(vec4f(), gradient[i], 4 * vec4u(i) + vec4u(0, 1, 2, 3) < vec4u(params.size));
    sum += g * g;
  }
  sums[thread] = dot(sum, vec4f(1));
  for (var half = 128u; half > 0; half /= 2) {
    workgroupBarrier();
    if (thread < half) { sums[thread] += sums[thread + half]; }
  }
  if (thread == 0) { partial[params.offset + workgroup.x] = sums[0]; }
}`;

/*
 * A single workgroup: the norm, whether everything is finite, and the scale. Whether a number is finite is
 * read from its bits, because shaders may be compiled on the assumption that all numbers are. Cost:
 * negligible.
 */
const decision = (hasPrevious: boolean): string => /* wgsl */ `
const NAN = 0x7fc00000u;
var<workgroup> sums: array<f32, 256>;
var<workgroup> broken: array<u32, 256>;

fn isFinite(bits: u32) -> bool { return (bits & 0x7f800000u) != 0x7f800000u; }

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = 0.0;
  var bad = 0u;
  for (var i = thread; i < params.partials; i += 256) {
    if (isFinite(partial[i])) { sum += bitcast<f32>(partial[i]); } else { bad = 1; }
  }
  sums[thread] = sum;
  broken[thread] = bad;
  for (var half = 128u; half > 0; half /= 2) {
    workgroupBarrier();
    if (thread < half) {
      sums[thread] += sums[thread + half];
      broken[thread] |= broken[thread + half];
    }
  }
  if (thread != 0) { return; }
  // Beyond this the root of the sum may be that of an infinity.
  var isMeant = broken[0] == 0 && sums[0] < 3e38;
  let norm = sqrt(sums[0]) * params.share;
  values[params.losses] = select(NAN, bitcast<u32>(norm), isMeant);
  for (var i = 0u; i < params.losses; i++) {
    values[i] = losses[i];
    isMeant = isMeant && isFinite(losses[i]);
  }
  ${hasPrevious ? "isMeant = isMeant && previous[0] >= 0;" : ""}
  // torch.nn.utils.clip_grad_norm_'s rule, including its 1e-6.
  let clipped = select(1, min(1, params.clipNorm / (norm + 1e-6)), params.partials > 0);
  scale[0] = select(-1, params.share * clipped, isMeant);
}`;

/** Computes the factor of every gradient, and the values of a step's report. */
export const stepScale: KernelConfig = kernel<Readonly<Record<string, TensorInfo>>, StepScaleAttrs>(
  STEP_SCALE,
  ({ inputs, attrs: { share, clipNorm }, backend }) => {
    const { losses, previous, ...gradients } = inputs as Record<string, TensorInfo> & { losses: TensorInfo };
    const parts = Object.values(gradients).map((gradient) => {
      const size = util.sizeFromShape(gradient.shape);
      return {
        gradient,
        size,
        workgroups: Math.min(MOST_WORKGROUPS, Math.ceil(size / 4 / VECTORS_OF_A_WORKGROUP)),
      };
    });
    const partials = parts.reduce((n, { workgroups }) => n + workgroups, 0);
    const partial = allocate(backend, [partials]);
    let offset = 0;
    for (const { gradient, size, workgroups } of parts) {
      run(backend, {
        name: "squares",
        source: squares,
        inputs: { gradient: { tensor: gradient, as: "vec4f" } },
        outputs: { partial },
        params: { size, offset },
        workgroups: [workgroups],
      });
      offset += workgroups;
    }
    const count = losses.shape[0]!;
    const [scale, values] = [allocate(backend, []), allocate(backend, [count + 1])];
    const bits = (tensor: TensorInfo): { tensor: TensorInfo; as: string } => ({ tensor, as: "u32" });
    run(backend, {
      name: previous === undefined ? "firstStepScale" : "stepScale",
      source: decision(previous !== undefined),
      inputs: { partial: bits(partial), losses: bits(losses), ...(previous !== undefined && { previous }) },
      outputs: { scale, values: bits(values) },
      params: { partials, losses: count, share: { f32: share }, clipNorm: { f32: clipNorm ?? 0 } },
      workgroups: [1],
    });
    release(backend, partial);
    return [scale, values];
  },
);
