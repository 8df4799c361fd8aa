/** Greedy non-maximum suppression on the device, in torchvision's order. */
import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { MrcnnWebgpuBackend } from "../backend.ts";
import { allocate, release } from "../kernel.ts";
import { run } from "../program.ts";
import type { TopK } from "./top-k.ts";

/** Candidates of a `TopK`, best first within each of its segments; T in all. */
export interface Candidates {
  readonly ranked: TopK;
  /** Boxes, float32 [T, 4]. */
  readonly boxes: TensorInfo;
  /** Groups, int32 [T]: only boxes of the same group suppress each other; -1 is not a candidate. */
  readonly groups: TensorInfo;
  /**
   * int32 [B, 2]: for each image the largest coordinate of its candidates (bits of a float32 that is not
   * negative) and their number.
   */
  readonly extents: TensorInfo;
}

/** Options of `suppress`. */
export interface Suppression {
  readonly threshold: number;
  /** Maximum number of boxes kept of each segment. */
  readonly most: number;
  readonly grouping: "shifted" | "separate";
  /** Number of consecutive segments of one image. */
  readonly segmentsPerImage: number;
}

/** Positions of the kept boxes among the candidates. */
export interface Kept {
  /** int32 [T]: for each segment from its start on, best first. */
  readonly positions: TensorInfo;
  /** Number of boxes kept of each segment, int32 [S]. */
  readonly counts: TensorInfo;
}

// torchvision's CPU rule: up to this number of boxes it shifts groups apart, above it, it compares them
// unshifted.
const MOST_SHIFTED = 1000;

/*
 * One thread: one word of the mask, whether box i (row) exceeds the threshold with each of 32 boxes j
 * (columns), j > i. 64 rows a workgroup share the columns in workgroup memory (896 bytes). k * k / 2 overlaps
 * a segment, 16 bytes read and k / 8 bytes written a row. torchvision's rounding: up to 1000 boxes groups are
 * shifted apart by the largest coordinate and one.
 */
const overlaps = /* wgsl */ `
var<workgroup> columns: array<vec4f, 32>;
var<workgroup> columnGroups: array<i32, 32>;
var<workgroup> shifts: array<f32, 96>;
fn areaOf(box: vec4f) -> f32 { return (box.z - box.x) * (box.w - box.y); }
@compute @workgroup_size(64) fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let k = u32(segments[4u * group.z + 2u]);
  let start = u32(segments[4u * group.z + 3u]);
  let row = group.x * 64u + local;
  let column = group.y * 32u;
  if (column >= k || column + 31u <= group.x * 64u) { return; }
  let image = group.z / params.segmentsPerImage;
  let isShifted = params.mayShift == 1u && extents[2u * image + 1u] <= ${MOST_SHIFTED};
  let step = bitcast<f32>(extents[2u * image]) + 1.0;
  // Products go through memory, so that none is fused with the sum that follows it.
  if (local < 32u) {
    let at = min(column + local, k - 1u);
    columns[local] = boxes[start + at];
    columnGroups[local] = select(groups[start + at], -1, column + local >= k);
    shifts[64u + local] = select(0.0, f32(max(columnGroups[local], 0)) * step, isShifted);
  }
  let own = min(row, k - 1u);
  let ownGroup = groups[start + own];
  shifts[local] = select(0.0, f32(max(ownGroup, 0)) * step, isShifted);
  workgroupBarrier();
  let box = boxes[start + own] + shifts[local];
  let area = areaOf(box);
  var word = 0u;
  for (var j = 0u; j < 32u; j++) {
    let other = columns[j] + shifts[64u + j];
    let side = max(min(box.zw, other.zw) - max(box.xy, other.xy), vec2f(0.0));
    let overlap = side.x * side.y;
    // As a product: a quotient need not be exact where boxes overlap by just the threshold.
    let exceeds = overlap > params.threshold * ((area + areaOf(other)) - overlap);
    if (exceeds && column + j > row && columnGroups[j] == ownGroup) { word |= 1u << j; }
  }
  if (row < k) { masks[(start + row) * params.words + group.y] = word; }
}`;

/*
 * One workgroup: one segment, 32 boxes at a time: one thread decides which of the 32 stay, by the 32 words of
 * the mask that relate them to each other; then each thread marks, for the 32 boxes of its own word, which
 * the kept ones suppress. k / 32 rounds of two barriers; reads the rows of kept boxes once.
 */
const scan = /* wgsl */ `
var<workgroup> removed: array<u32, ROOM>;
var<workgroup> among: array<u32, 32>;
var<workgroup> usable: array<u32, 32>;
var<workgroup> keptBits: u32;
var<workgroup> keptBefore: u32;
var<workgroup> keptNow: u32;
@compute @workgroup_size(64) fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let k = u32(segments[4u * group.x + 2u]);
  let start = u32(segments[4u * group.x + 3u]);
  for (var w = local; w < params.words; w += 64u) { removed[w] = 0u; }
  if (local == 0u) { keptNow = 0u; keptBefore = 0u; }
  let words = (k + 31u) / 32u;
  for (var block = 0u; block < words; block++) {
    let first = block * 32u;
    if (local < 32u) {
      let isIn = first + local < k;
      let row = start + min(first + local, k - 1u);
      among[local] = u32(masks[row * params.words + block]);
      usable[local] = select(0u, 1u, isIn && groups[row] >= 0);
    }
    workgroupBarrier();
    if (local == 0u) {
      var gone = removed[block];
      var bits = 0u;
      keptBefore = keptNow;
      for (var r = 0u; r < 32u; r++) {
        if (usable[r] == 1u && ((gone >> r) & 1u) == 0u && keptNow < params.most) {
          bits |= 1u << r;
          gone |= among[r];
          keptNow++;
        }
      }
      keptBits = bits;
    }
    let bits = workgroupUniformLoad(&keptBits);
    if (local < 32u && ((bits >> local) & 1u) == 1u) {
      positions[start + keptBefore + countOneBits(bits & ((1u << local) - 1u))] = i32(start + first + local);
    }
    for (var w = block + 1u + local; w < words; w += 64u) {
      var gone = removed[w];
      for (var r = 0u; r < 32u; r++) {
        if (((bits >> r) & 1u) == 1u) { gone |= u32(masks[(start + first + r) * params.words + w]); }
      }
      removed[w] = gone;
    }
    if (workgroupUniformLoad(&keptNow) >= params.most) { break; }
  }
  if (local == 0u) { counts[group.x] = i32(keptNow); }
}`;

/**
 * Suppresses greedily within each segment, as `batchedNmsOnHost` of @mrcnn/nms: two dispatches. The caller
 * disposes the result.
 */
export function suppress(
  backend: MrcnnWebgpuBackend,
  { ranked, boxes, groups, extents }: Candidates,
  options: Suppression,
): Kept {
  const { threshold, most, grouping, segmentsPerImage } = options;
  const segmentCount = ranked.starts.length;
  const widest = ranked.starts.reduce(
    (widest, start, i) => Math.max(widest, (ranked.starts[i + 1] ?? ranked.total) - start),
    1,
  );
  const words = Math.ceil(widest / 32);
  const masks = allocate(backend, [ranked.total, words], "int32");
  const [positions, counts] = [
    allocate(backend, [ranked.total], "int32"),
    allocate(backend, [segmentCount], "int32"),
  ];
  const bits = (tensor: TensorInfo) => ({ tensor, as: "u32" });
  run(backend, {
    name: "suppress overlaps",
    source: overlaps,
    inputs: {
      segments: ranked.segments,
      boxes: { tensor: boxes, as: "vec4f" },
      groups,
      extents: bits(extents),
    },
    outputs: { masks: bits(masks) },
    params: {
      segmentsPerImage,
      mayShift: grouping === "shifted" ? 1 : 0,
      words,
      threshold: { f32: threshold },
    },
    workgroups: [Math.ceil(widest / 64), words, segmentCount],
  });
  run(backend, {
    name: "suppress scan",
    source: scan,
    inputs: { segments: ranked.segments, masks: bits(masks), groups },
    outputs: { positions, counts },
    params: { words, most },
    constants: { ROOM: Math.max(words, 64) },
    workgroups: [segmentCount],
  });
  release(backend, masks);
  return { positions, counts };
}
