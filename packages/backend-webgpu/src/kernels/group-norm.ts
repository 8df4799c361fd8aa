/** Kernels of group normalization and its gradients. */
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import { GROUP_NORM, GROUP_NORM_GRAD } from "@mrcnn/nn/kernel";
import type {
  GroupNormAttrs,
  GroupNormGradAttrs,
  GroupNormGradInputs,
  GroupNormInputs,
} from "@mrcnn/nn/kernel";
import type { MrcnnWebgpuBackend } from "../backend.ts";
import type { Given } from "../given.ts";
import { allocate, kernel, release } from "../kernel.ts";
import { run, spread } from "../program.ts";
import { columnGrid, sumColumns } from "./column-sums.ts";
import type { ColumnGrid } from "./column-sums.ts";

/*
 * Forward and backward alike: sums per channel over chunks of pixels, so that few large maps fill the GPU as
 * well as many small ones; sums of those per group, into a table of factors per image and channel; one pass
 * that applies them. Cost: forward 3 dispatches, x read twice and y written once (12 bytes an element), 5
 * operations an element; backward 3 dispatches and two of column sums, dy and x read twice, dx written (20
 * bytes), 9 operations.
 */

// One workgroup = LANES channels of an image over a chunk of pixels. Beginning of the shader, with its
// thread's position.
const place = /* wgsl */ `
@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let index = workgroup.x + workgroup.y * grid.x;
  let part = index / params.blocks;
  let image = part / params.chunks;
  if (image >= params.batch) { return; }
  let channel = (index % params.blocks) * LANES + thread % LANES;
  let first = (part % params.chunks) * params.chunk;
  let end = min(first + params.chunk, params.pixels);
`;

// A thread's moments are taken about its first value, so that a mean far from 0 costs no precision; they are
// then merged by Chan's rule.
const chan = /* wgsl */ `
// Count, mean and sum of squared deviations of two sets together.
fn merge(a: vec3f, b: vec3f) -> vec3f {
  let count = a.x + b.x;
  if (count == 0) { return a; }
  let apart = b.y - a.y;
  let share = b.x / count;
  return vec3f(count, a.y + apart * share, a.z + b.z + apart * apart * a.x * share);
}
`;

const moments = /* wgsl */ `
const ROWS = 256 / LANES;
var<workgroup> held: array<vec3f, 256>;
${chan}
${place}
  var own = vec3f();
  let start = first + thread / LANES;
  if (channel < params.channels && start < end) {
    let base = image * params.pixels;
    let origin = x[(base + start) * params.channels + channel];
    var count = 0.0;
    var sum = 0.0;
    var square = 0.0;
    for (var pixel = start; pixel < end; pixel += ROWS) {
      let d = x[(base + pixel) * params.channels + channel] - origin;
      count += 1;
      sum += d;
      square += d * d;
    }
    own = vec3f(count, origin + sum / count, max(0, square - sum * sum / count));
  }
  held[thread] = own;
  for (var half = u32(ROWS) / 2; half > 0; half /= 2) {
    workgroupBarrier();
    if (thread / LANES < half) { held[thread] = merge(held[thread], held[thread + half * LANES]); }
  }
  if (thread < LANES && channel < params.channels) { partial[part * params.channels + channel] = vec4f(held[thread], 0); }
}`;

// One workgroup = a group of an image: its partial sums, every 64th by one thread.
const groupPlace = /* wgsl */ `
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let index = workgroup.x + workgroup.y * grid.x;
  if (index >= params.batch * params.groups) { return; }
  let image = index / params.groups;
  let each = params.channels / params.groups;
  let first = (index % params.groups) * each;
  let row = image * params.chunks;
`;

const factors = /* wgsl */ `
var<workgroup> held: array<vec3f, 64>;
${chan}
${groupPlace}
  var own = vec3f();
  for (var i = thread; i < each * params.chunks; i += 64) {
    own = merge(own, partial[(row + i / each) * params.channels + first + i % each].xyz);
  }
  held[thread] = own;
  for (var half = 32u; half > 0; half /= 2) {
    workgroupBarrier();
    if (thread < half) { held[thread] = merge(held[thread], held[thread + half]); }
  }
  workgroupBarrier();
  let all = held[0];
  let inverse = inverseSqrt(all.z / all.x + params.eps);
  if (thread == 0) {
    mean[index] = all.y;
    rstd[index] = inverse;
  }
  for (var c = first + thread; c < first + each; c += 64) {
    let scale = inverse * weight[c];
    scales[image * params.channels + c] = scale;
    shifts[image * params.channels + c] = bias[c] - all.y * scale;
  }
}`;

// One thread = four neighbouring elements, or one where the channels are not a multiple of four.
const elements = (work: string): string => /* wgsl */ `
@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = (workgroup.x + workgroup.y * grid.x) * 256 + thread;
  if (i >= params.count) { return; }
  let at = i / params.perImage * params.perPixel + i % params.perPixel;
  ${work}
}`;

interface Shape {
  readonly batch: number;
  readonly pixels: number;
  readonly channels: number;
  readonly groups: number;
  readonly grid: ColumnGrid;
}

function shapeOf({ shape }: TensorInfo, groups: number): Shape {
  const [batch, height, width, channels] = shape as [number, number, number, number];
  return {
    batch,
    pixels: height * width,
    channels,
    groups,
    grid: columnGrid(height * width, channels, batch),
  };
}

/** Sums per channel over chunks of pixels. */
function reduce(
  backend: MrcnnWebgpuBackend,
  { batch, pixels, channels, groups, grid }: Shape,
  name: string,
  source: string,
  inputs: Readonly<Record<string, TensorInfo>>,
  outputs: Record<string, TensorInfo | { tensor: TensorInfo; as: string }>,
): void {
  const { lanes, blocks, chunk, chunks } = grid;
  run(backend, {
    name,
    source,
    inputs,
    outputs,
    params: { batch, pixels, channels, groups, blocks, chunk, chunks },
    constants: { LANES: lanes },
    workgroups: spread(batch * chunks * blocks),
  });
}

/** Applies a table of factors per image and channel to each element. */
function apply(
  backend: MrcnnWebgpuBackend,
  { batch, pixels, channels }: Shape,
  name: string,
  work: string,
  tensors: Readonly<Record<string, TensorInfo>>,
  output: TensorInfo,
): void {
  const width = channels % 4 === 0 ? 4 : 1;
  const as = width === 4 ? "vec4f" : "f32";
  const perPixel = channels / width;
  const count = batch * pixels * perPixel;
  run(backend, {
    name,
    source: elements(work),
    inputs: Object.fromEntries(Object.entries(tensors).map(([key, tensor]) => [key, { tensor, as }])),
    outputs: { y: { tensor: output, as } },
    params: { count, perPixel, perImage: pixels * perPixel },
    workgroups: spread(Math.ceil(count / 256)),
  });
}

/** Computes group normalization and its moments. */
export const groupNorm: KernelConfig = kernel<Given<GroupNormInputs>, GroupNormAttrs>(
  GROUP_NORM,
  ({ inputs: { x, weight, bias }, attrs: { groups, eps }, backend }) => {
    const shape = shapeOf(x, groups);
    const {
      batch,
      channels,
      grid: { chunks },
    } = shape;
    const [y, mean, rstd] = [
      allocate(backend, x.shape),
      allocate(backend, [batch, groups]),
      allocate(backend, [batch, groups]),
    ];
    const partial = allocate(backend, [batch * chunks * channels * 4]);
    const [scales, shifts] = [allocate(backend, [batch, channels]), allocate(backend, [batch, channels])];
    reduce(backend, shape, "groupNormMoments", moments, { x }, { partial: { tensor: partial, as: "vec4f" } });
    run(backend, {
      name: "groupNormFactors",
      source: factors,
      inputs: { partial: { tensor: partial, as: "vec4f" }, weight, bias },
      outputs: { mean, rstd, scales, shifts },
      params: { batch, channels, groups, chunks, eps: { f32: eps } },
      workgroups: spread(batch * groups),
    });
    apply(
      backend,
      shape,
      "groupNormApply",
      "y[i] = x[i] * scales[at] + shifts[at];",
      { x, scales, shifts },
      y,
    );
    release(backend, partial, scales, shifts);
    return [y, mean, rstd];
  },
);

// Sums of dy, and of dy times the normalized x.
const gradientSums = /* wgsl */ `
const ROWS = 256 / LANES;
var<workgroup> held: array<vec2f, 256>;
${place}
  var own = vec2f();
  if (channel < params.channels) {
    let base = image * params.pixels;
    let group = image * params.groups + channel / (params.channels / params.groups);
    let center = mean[group];
    for (var pixel = first + thread / LANES; pixel < end; pixel += ROWS) {
      let at = (base + pixel) * params.channels + channel;
      own += dy[at] * vec2f(1, x[at] - center);
    }
    own.y *= rstd[group];
  }
  held[thread] = own;
  for (var half = u32(ROWS) / 2; half > 0; half /= 2) {
    workgroupBarrier();
    if (thread / LANES < half) { held[thread] += held[thread + half * LANES]; }
  }
  if (thread < LANES && channel < params.channels) {
    sums[part * params.channels + channel] = held[thread].x;
    dots[part * params.channels + channel] = held[thread].y;
  }
}`;

// dx = dy * ofDy + x * ofX + constant.
const gradientFactors = /* wgsl */ `
var<workgroup> held: array<vec2f, 64>;
${groupPlace}
  var own = vec2f();
  for (var i = thread; i < each * params.chunks; i += 64) {
    let c = first + i % each;
    let at = (row + i / each) * params.channels + c;
    own += weight[c] * vec2f(sums[at], dots[at]);
  }
  held[thread] = own;
  for (var half = 32u; half > 0; half /= 2) {
    workgroupBarrier();
    if (thread < half) { held[thread] += held[thread + half]; }
  }
  workgroupBarrier();
  let inverse = rstd[index];
  let means = held[0] / f32(each * params.pixels);
  let slope = -means.y * inverse * inverse;
  for (var c = first + thread; c < first + each; c += 64) {
    let at = image * params.channels + c;
    ofDy[at] = inverse * weight[c];
    ofX[at] = slope;
    constants[at] = -means.x * inverse - slope * mean[index];
  }
}`;

/** Computes the gradients of group normalization. */
export const groupNormGrad: KernelConfig = kernel<Given<GroupNormGradInputs>, GroupNormGradAttrs>(
  GROUP_NORM_GRAD,
  ({ inputs: { dy, x, weight, mean, rstd }, attrs: { groups }, backend }) => {
    const shape = shapeOf(x, groups);
    const {
      batch,
      pixels,
      channels,
      grid: { chunks },
    } = shape;
    const dx = allocate(backend, x.shape);
    const [sums, dots] = [
      allocate(backend, [batch * chunks, channels]),
      allocate(backend, [batch * chunks, channels]),
    ];
    const [ofDy, ofX, constants] = [
      allocate(backend, [batch, channels]),
      allocate(backend, [batch, channels]),
      allocate(backend, [batch, channels]),
    ];
    reduce(backend, shape, "groupNormGradSums", gradientSums, { dy, x, mean, rstd }, { sums, dots });
    run(backend, {
      name: "groupNormGradFactors",
      source: gradientFactors,
      inputs: { sums, dots, weight, mean, rstd },
      outputs: { ofDy, ofX, constants },
      params: { batch, pixels, channels, groups, chunks },
      workgroups: spread(batch * groups),
    });
    apply(
      backend,
      shape,
      "groupNormGradApply",
      "y[i] = dy[i] * ofDy[at] + x[i] * ofX[at] + constants[at];",
      { dy, x, ofDy, ofX, constants },
      dx,
    );
    const dweight = sumColumns(backend, dots, batch * chunks, channels);
    const dbias = sumColumns(backend, sums, batch * chunks, channels);
    release(backend, sums, dots, ofDy, ofX, constants);
    return [dx, dweight, dbias];
  },
);
