/** The k best values of segments, sorted, on the device. */
import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { MrcnnWebgpuBackend } from "../backend.ts";
import { allocate, release } from "../kernel.ts";
import { run } from "../program.ts";

/** A run of values whose best are selected. */
export interface Segment {
  /** Index of its first value. */
  readonly offset: number;
  readonly count: number;
  /** Number of values to select: at most `count`. */
  readonly k: number;
}

/** Positions of the k best of each segment: at `offset` of `indices`, best first. */
export interface TopK {
  /**
   * int32 [sum of k]: indices into the values, best first within each segment; of equals the lower index
   * first.
   */
  readonly indices: TensorInfo;
  /** int32 [S, 4]: offset, count and k of each segment, and where its best begin in `indices`. */
  readonly segments: TensorInfo;
  /** Where each segment's best begin in `indices`. */
  readonly starts: readonly number[];
  /** Sum of k over all segments. */
  readonly total: number;
  dispose(): void;
}

// Number of values that a workgroup processes in `histogram` and `narrow`.
const TILE = 4096;
// The key of a float: unsigned, ordered as floats are.
const KEY = /* wgsl */ `
fn keyOf(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}`;

/* One thread: one bin or counter; clears what the next two shaders add to. */
const clear = /* wgsl */ `
@compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&bins)) { bins[id.x] = 0; }
}`;

/*
 * One workgroup: 4096 values of one segment (grid.y), 16 a thread, counted by the 12 upper bits of their keys
 * in workgroup memory (16 KB), then added to the segment's bins. Reads each value once; at most 4096 atomics
 * a workgroup.
 */
const histogram = /* wgsl */ `
${KEY}
var<workgroup> own: array<atomic<u32>, 4096>;
@compute @workgroup_size(256) fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let offset = u32(segments[4u * group.y]);
  let count = u32(segments[4u * group.y + 1u]);
  let first = group.x * 4096u;
  if (first >= count) { return; }
  for (var i = local; i < 4096u; i += 256u) { atomicStore(&own[i], 0u); }
  workgroupBarrier();
  for (var i = first + local; i < min(first + 4096u, count); i += 256u) { atomicAdd(&own[keyOf(values[offset + i]) >> 20u], 1u); }
  workgroupBarrier();
  for (var i = local; i < 4096u; i += 256u) {
    let n = atomicLoad(&own[i]);
    if (n > 0u) { atomicAdd(&bins[group.y * 4096u + i], n); }
  }
}`;

/*
 * One workgroup: the same 4096 values. Finds the bin that contains the k-th best (each thread sums 16 bins,
 * one adds up the 256 sums from the top) and lists the indices of all values of that bin and above, in any
 * order. Reads each value once.
 */
const narrow = /* wgsl */ `
${KEY}
var<workgroup> sums: array<u32, 256>;
var<workgroup> limit: u32;
@compute @workgroup_size(256) fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let offset = u32(segments[4u * group.y]);
  let count = u32(segments[4u * group.y + 1u]);
  let k = u32(segments[4u * group.y + 2u]);
  let first = group.x * 4096u;
  if (first >= count) { return; }
  let base = group.y * 4096u;
  var sum = 0u;
  for (var i = 0u; i < 16u; i++) { sum += bins[base + 16u * local + i]; }
  sums[local] = sum;
  workgroupBarrier();
  if (local == 0u) {
    var above = 0u;
    var part = 255u;
    while (part > 0u && above + sums[part] < k) { above += sums[part]; part--; }
    var bin = 16u * part + 15u;
    while (bin > 16u * part && above + bins[base + bin] < k) { above += bins[base + bin]; bin--; }
    limit = bin;
  }
  workgroupBarrier();
  for (var i = first + local; i < min(first + 4096u, count); i += 256u) {
    if (keyOf(values[offset + i]) >> 20u >= limit) {
      let at = atomicAdd(&counters[group.y], 1u);
      listed[offset + at] = i32(i);
    }
  }
}`;

/*
 * One workgroup: one segment. Among the list of `narrow` (a few thousand), finds the k-th best by 8 bits of
 * (key, index) at a time: 4 passes over the key, 3 over the index among equals of the k-th key, so that of
 * equals the lower indices are taken. Writes the k in any order. 7 passes over the list; 1 KB of workgroup
 * memory.
 */
const select = /* wgsl */ `
${KEY}
var<workgroup> bins: array<atomic<u32>, 256>;
var<workgroup> digit: u32;
var<workgroup> wanted: u32;
var<workgroup> written: atomic<u32>;
@compute @workgroup_size(256) fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let offset = u32(segments[4u * group.x]);
  let k = u32(segments[4u * group.x + 2u]);
  let start = u32(segments[4u * group.x + 3u]);
  let count = u32(counters[group.x]);
  if (local == 0u) { wanted = k; atomicStore(&written, 0u); }
  var key = 0u;
  var place = 0u; // of the last that is taken among the equals of key; counted from the end, so that more is better
  for (var pass_ = 0u; pass_ < 7u; pass_++) {
    atomicStore(&bins[local], 0u);
    workgroupBarrier();
    let ofKey = pass_ < 4u;
    let shift = select(48u - 8u * pass_, 24u - 8u * pass_, ofKey);
    for (var i = local; i < count; i += 256u) {
      let at = u32(listed[offset + i]);
      let own = keyOf(values[offset + at]);
      let back = 0xffffffu - at;
      let same = select(own == key && (back >> (shift + 8u)) == (place >> (shift + 8u)), pass_ == 0u || (own >> ((shift + 8u) & 31u)) == (key >> ((shift + 8u) & 31u)), ofKey);
      if (same) { atomicAdd(&bins[(select(back, own, ofKey) >> shift) & 255u], 1u); }
    }
    workgroupBarrier();
    if (local == 0u) {
      var bin = 255u;
      var left = wanted;
      while (bin > 0u) {
        let n = atomicLoad(&bins[bin]);
        if (n >= left) { break; }
        left -= n;
        bin--;
      }
      digit = bin;
      wanted = left;
    }
    workgroupBarrier();
    let found = workgroupUniformLoad(&digit);
    if (ofKey) { key |= found << shift; } else { place |= found << shift; }
  }
  for (var i = local; i < count; i += 256u) {
    let at = u32(listed[offset + i]);
    let own = keyOf(values[offset + at]);
    if (own > key || (own == key && 0xffffffu - at >= place)) {
      let to = atomicAdd(&written, 1u);
      if (to < k) { indices[start + to] = i32(offset + at); }
    }
  }
}`;

/*
 * One workgroup: one segment's k best, sorted by (key, index) in workgroup memory: a bitonic sort of `size`
 * pairs, the power of two from k up; log2(size) * (log2(size) + 1) / 2 rounds of size / 2 comparisons.
 */
const sort = /* wgsl */ `
${KEY}
var<workgroup> keys: array<u32, ROOM>;
var<workgroup> places: array<u32, ROOM>;
fn isBefore(a: u32, b: u32) -> bool { return keys[a] > keys[b] || (keys[a] == keys[b] && places[a] < places[b]); }
@compute @workgroup_size(256) fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let k = u32(segments[4u * group.x + 2u]);
  let start = u32(segments[4u * group.x + 3u]);
  for (var i = local; i < params.size; i += 256u) {
    let at = select(0xffffffffu, u32(indices[start + min(i, max(k, 1u) - 1u)]), i < k);
    places[i] = at;
    keys[i] = select(0u, keyOf(values[min(at, arrayLength(&values) - 1u)]), i < k);
  }
  for (var size = 2u; size <= params.size; size *= 2u) {
    for (var step = size / 2u; step > 0u; step /= 2u) {
      workgroupBarrier();
      for (var t = local; t < params.size / 2u; t += 256u) {
        let a = 2u * t - (t & (step - 1u));
        let b = a + step;
        let descending = (a & size) == 0u;
        if (isBefore(b, a) == descending) {
          let key = keys[a]; keys[a] = keys[b]; keys[b] = key;
          let place = places[a]; places[a] = places[b]; places[b] = place;
        }
      }
    }
  }
  workgroupBarrier();
  for (var i = local; i < k; i += 256u) { indices[start + i] = i32(places[i]); }
}`;

/** Returns the maximum number of a segment's values that can be sorted: 8 bytes each in workgroup memory. */
export const mostSorted = (backend: MrcnnWebgpuBackend): number =>
  2 ** Math.floor(Math.log2(backend.device.limits.maxComputeWorkgroupStorageSize / 8));

/**
 * Selects the best of each segment of `values` (float32), best first, as `topK` of @mrcnn/rpn does. Six
 * dispatches, whatever the segments.
 */
export function topK(backend: MrcnnWebgpuBackend, values: TensorInfo, segments: readonly Segment[]): TopK {
  const table = new Int32Array(4 * segments.length);
  const starts: number[] = [];
  let total = 0;
  for (const [i, { offset, count, k }] of segments.entries()) {
    table.set([offset, count, k, total], 4 * i);
    starts.push(total);
    total += k;
  }
  const info = backend.makeTensorInfo([table.length], "int32", table);
  const indices = allocate(backend, [total], "int32");
  const tiles = Math.ceil(segments.reduce((most, { count }) => Math.max(most, count), 0) / TILE);
  const [bins, counters] = [
    allocate(backend, [TILE * segments.length], "int32"),
    allocate(backend, [segments.length], "int32"),
  ];
  const listed = allocate(backend, values.shape, "int32");
  const grid = [tiles, segments.length] as const;
  const atomic = (tensor: TensorInfo) => ({ tensor, as: "atomic<u32>" });
  run(backend, {
    name: "top-k clear",
    source: clear,
    inputs: {},
    outputs: { bins },
    workgroups: [Math.ceil((TILE * segments.length) / 256)],
  });
  run(backend, {
    name: "top-k clear",
    source: clear,
    inputs: {},
    outputs: { bins: counters },
    workgroups: [Math.ceil(segments.length / 256)],
  });
  run(backend, {
    name: "top-k histogram",
    source: histogram,
    inputs: { values, segments: info },
    outputs: { bins: atomic(bins) },
    workgroups: grid,
  });
  run(backend, {
    name: "top-k narrow",
    source: narrow,
    inputs: { values, segments: info, bins: { tensor: bins, as: "u32" } },
    outputs: { counters: atomic(counters), listed },
    workgroups: grid,
  });
  run(backend, {
    name: "top-k select",
    source: select,
    inputs: { values, segments: info, counters, listed },
    outputs: { indices },
    workgroups: [segments.length],
  });
  const size = 2 ** Math.ceil(Math.log2(segments.reduce((most, { k }) => Math.max(most, k), 2)));
  run(backend, {
    name: "top-k sort",
    source: sort,
    inputs: { values, segments: info },
    outputs: { indices },
    params: { size },
    // At least 1024, so that few pipelines are compiled.
    constants: { ROOM: Math.max(size, 1024) },
    workgroups: [segments.length],
  });
  release(backend, bins, counters, listed);
  return {
    indices,
    segments: info,
    starts,
    total,
    dispose: () => release(backend, indices, info),
  };
}
