/** Kernel that selects proposals on the device. */
import { backend as currentBackend } from "@tensorflow/tfjs-core";
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import { proposalsPerImage, SELECT_PROPOSALS } from "@mrcnn/rpn/kernel";
import type { SelectProposalsAttrs, SelectProposalsInputs } from "@mrcnn/rpn/kernel";
import type { MrcnnWebgpuBackend } from "../backend.ts";
import type { Given } from "../given.ts";
import { allocate, kernel, release, zeros } from "../kernel.ts";
import type { KernelArgs } from "../kernel.ts";
import { run } from "../program.ts";
import { DECODE, decodeConstants } from "./boxes.ts";
import { suppress } from "./suppress.ts";
import { mostSorted, topK } from "./top-k.ts";
import type { Segment } from "./top-k.ts";

/*
 * One thread: one candidate, decoded and clipped; 48 bytes read, 28 written, about 60 operations. Its group
 * is its level, or -1 where it is too small or too unlikely.
 */
const decode = /* wgsl */ `
${DECODE}
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let segment = id.y;
  let k = u32(segments[4u * segment + 2u]);
  if (id.x >= k) { return; }
  let at = u32(segments[4u * segment + 3u]) + id.x;
  let place = u32(indices[at]);
  let image = place / params.anchors;
  let box = decode(deltas[place], anchors[place % params.anchors], sizes[image]);
  let logit = objectness[place];
  let probability = 1.0 / (1.0 + exp(-logit));
  boxes[at] = box;
  ranks[at] = select(probability, logit, params.byLogit == 1u);
  let isUsable = isLarge(box) && probability >= params.least;
  groups[at] = select(-1, i32(segment % params.levels), isUsable);
  if (isUsable) { extend(image, box); }
}`;

/*
 * One thread: one kept candidate; its rank among those of all levels is its own rank plus, by binary search,
 * the number of better ones of each other level (of equals: those of finer levels). The last row of the grid
 * writes -1 to the rows for which nothing is kept.
 */
const merge = /* wgsl */ `
fn better(segment: u32, rank: f32, orEqual: bool) -> u32 {
  let start = u32(segments[4u * segment + 3u]);
  var low = 0u;
  var high = u32(counts[segment]);
  while (low < high) {
    let middle = (low + high) / 2u;
    let other = ranks[u32(positions[start + middle])];
    if (other > rank || (orEqual && other == rank)) { low = middle + 1u; } else { high = middle; }
  }
  return low;
}
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let image = id.z;
  let first = image * params.levels;
  if (id.y == params.levels) {
    var total = 0u;
    for (var level = 0u; level < params.levels; level++) { total += u32(counts[first + level]); }
    if (id.x >= total && id.x < params.most) { selected[image * params.most + id.x] = vec4f(-1.0); }
    return;
  }
  let segment = first + id.y;
  if (id.x >= u32(counts[segment])) { return; }
  let at = u32(positions[u32(segments[4u * segment + 3u]) + id.x]);
  let rank = ranks[at];
  var place = id.x;
  for (var level = 0u; level < params.levels; level++) {
    if (level != id.y) { place += better(first + level, rank, level < id.y); }
  }
  if (place < params.most) { selected[image * params.most + place] = boxes[at]; }
}`;

function supports({
  levels = "each",
  chooseBy = "logit",
  fill = false,
  decoding,
  levelCounts,
  preNmsTopK,
}: SelectProposalsAttrs): boolean {
  const isOurs = levels === "each" && chooseBy === "logit" && !fill && decoding?.rounding !== "matterport";
  return (
    isOurs &&
    levelCounts.every(
      (count) => Math.min(count, preNmsTopK) <= mostSorted(currentBackend() as MrcnnWebgpuBackend),
    )
  );
}

function select({
  inputs: { objectness, deltas, anchors, sizes },
  attrs,
  backend,
}: KernelArgs<Given<SelectProposalsInputs>, SelectProposalsAttrs>): TensorInfo {
  const {
    levelCounts,
    preNmsTopK,
    nmsThreshold,
    minSize = 1e-3,
    scoreThreshold = 0,
    weights = [1, 1, 1, 1],
    decoding,
    suppression = "shifted",
    suppressBy = "probability",
  } = attrs;
  const [images, count] = objectness.shape as [number, number];
  const most = proposalsPerImage(attrs);
  const segments: Segment[] = [];
  for (let image = 0; image < images; image++) {
    let offset = image * count;
    for (const ofLevel of levelCounts) {
      segments.push({ offset, count: ofLevel, k: Math.min(ofLevel, preNmsTopK) });
      offset += ofLevel;
    }
  }
  const ranked = topK(backend, objectness, segments);
  const { total } = ranked;
  const [boxes, ranks, groups] = [
    allocate(backend, [total, 4]),
    allocate(backend, [total]),
    allocate(backend, [total], "int32"),
  ];
  const extents = zeros(backend, [images, 2]);
  const vectors = (tensor: TensorInfo) => ({ tensor, as: "vec4f" });
  const widest = segments.reduce((widest, { k }) => Math.max(widest, k), 1);
  const levels = levelCounts.length;
  run(backend, {
    name: "proposals decode",
    source: decode,
    inputs: {
      segments: ranked.segments,
      indices: ranked.indices,
      objectness,
      deltas: vectors(deltas),
      anchors: vectors(anchors),
      sizes: { tensor: sizes, as: "vec2f" },
    },
    outputs: { boxes: vectors(boxes), ranks, groups, extents: { tensor: extents, as: "atomic<u32>" } },
    params: {
      anchors: count,
      levels,
      byLogit: suppressBy === "logit" ? 1 : 0,
      least: { f32: scoreThreshold },
    },
    constants: decodeConstants(weights, decoding?.maxLogScale ?? Math.log(1000 / 16), minSize),
    workgroups: [Math.ceil(widest / 64), segments.length],
  });
  const kept = suppress(
    backend,
    { ranked, boxes, groups, extents },
    { threshold: nmsThreshold, most, grouping: suppression, segmentsPerImage: levels },
  );
  const selected = allocate(backend, [images * most, 4]);
  run(backend, {
    name: "proposals merge",
    source: merge,
    inputs: {
      segments: ranked.segments,
      boxes: vectors(boxes),
      ranks,
      positions: kept.positions,
      counts: kept.counts,
    },
    outputs: { selected: vectors(selected) },
    params: { levels, most },
    workgroups: [Math.ceil(Math.max(widest, most) / 64), levels + 1, images],
  });
  ranked.dispose();
  release(backend, boxes, ranks, groups, extents, kept.positions, kept.counts);
  return selected;
}

/**
 * Selects proposals without reading on the host, as `selectProposals` of @mrcnn/rpn. Ten dispatches for a
 * batch, whatever its size.
 */
export const selectProposals: KernelConfig = kernel(SELECT_PROPOSALS, select, supports);
