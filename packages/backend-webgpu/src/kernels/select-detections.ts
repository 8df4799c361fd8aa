/** Kernel that selects detections on the device. */
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import { SELECT_DETECTIONS } from "@mrcnn/heads/kernel";
import type { SelectDetectionsAttrs, SelectDetectionsInputs } from "@mrcnn/heads/kernel";
import type { Given } from "../given.ts";
import { allocate, kernel, release, zeros } from "../kernel.ts";
import type { KernelArgs } from "../kernel.ts";
import { run, spread } from "../program.ts";
import { DECODE, decodeConstants } from "./boxes.ts";
import { suppress } from "./suppress.ts";
import { mostSorted, topK } from "./top-k.ts";

// Maximum number of candidates per image that take part in suppression; trained models have some hundreds
// above the usual threshold.
const ROOM = 2048;

/*
 * Eight threads: one row of logits, its softmax in the order in which torch's AVX2 kernel adds (eight lanes,
 * then halves of them), so that scores tie as torch's do. Scores that don't count become -1. Three passes
 * over the row.
 */
const softmax = /* wgsl */ `
var<workgroup> lanes: array<f32, 64>;
@compute @workgroup_size(64) fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let lane = local % 8u;
  let first = local - lane;
  let row = (group.x + group.y * params.gridX) * 8u + local / 8u;
  let at = min(row, params.rows - 1u) * params.classes;
  var most = -3.4e38;
  for (var k = lane; k < params.classes; k += 8u) { most = max(most, logits[at + k]); }
  lanes[local] = most;
  workgroupBarrier();
  for (var i = 0u; i < 8u; i++) { most = max(most, lanes[first + i]); }
  workgroupBarrier();
  var sum = 0.0;
  for (var k = lane; k < params.classes; k += 8u) { sum += exp(logits[at + k] - most); }
  lanes[local] = sum;
  workgroupBarrier();
  if (params.classes < 8u) {
    sum = lanes[first];
    for (var i = 1u; i < params.classes; i++) { sum += lanes[first + i]; }
  } else {
    sum = ((lanes[first] + lanes[first + 4u]) + (lanes[first + 2u] + lanes[first + 6u])) + ((lanes[first + 1u] + lanes[first + 5u]) + (lanes[first + 3u] + lanes[first + 7u]));
  }
  let reciprocal = 1.0 / sum;
  if (row >= params.rows) { return; }
  let isReal = rois[row].x >= 0.0;
  var passing = 0u;
  for (var k = lane; k < params.classes; k += 8u) {
    let score = exp(logits[at + k] - most) * reciprocal;
    let passes = isReal && k > 0u && (score > params.least || (params.inclusive == 1u && score == params.least));
    scores[at + k] = select(-1.0, score, passes);
    passing += select(0u, 1u, passes);
  }
  if (passing > 0u) { atomicAdd(&candidates[row / params.perImage], passing); }
}`;

/*
 * One thread: one candidate, its box decoded and clipped; its group is its class, or -1 where it does not
 * count.
 */
const decode = /* wgsl */ `
${DECODE}
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let image = id.y;
  let k = u32(segments[4u * image + 2u]);
  if (id.x >= k) { return; }
  let at = u32(segments[4u * image + 3u]) + id.x;
  let place = u32(indices[at]);
  let score = scores[place];
  let box = decode(deltas[place], rois[place / params.classes], sizes[image]);
  let isUsable = score >= 0.0 && isLarge(box);
  boxes[at] = box;
  groups[at] = select(-1, i32(place % params.classes + params.firstLabel) - 1, isUsable);
  if (isUsable) { extend(image, box); }
}`;

/*
 * One thread: one row of the output.
 */
const pack = /* wgsl */ `
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let image = id.y;
  if (id.x > params.most) { return; }
  let to = 6u * (image * (params.most + 1u) + id.x);
  let count = u32(counts[image]);
  if (id.x == 0u) {
    packed[to] = f32(count);
    packed[to + 1u] = select(0.0, 1.0, u32(candidates[image]) > u32(segments[4u * image + 2u]) && count < params.most);
    return;
  }
  if (id.x > count) { return; }
  let at = u32(positions[u32(segments[4u * image + 3u]) + id.x - 1u]);
  let place = u32(indices[at]);
  let box = boxes[at];
  packed[to] = box.x;
  packed[to + 1u] = box.y;
  packed[to + 2u] = box.z;
  packed[to + 3u] = box.w;
  packed[to + 4u] = scores[place];
  packed[to + 5u] = f32(place % params.classes);
}`;

const supports = (attrs: SelectDetectionsAttrs): boolean =>
  (attrs.classes ?? "every") === "every" &&
  attrs.decoding?.rounding !== "matterport" &&
  !("windows" in attrs && attrs.windows !== undefined);

function select({
  inputs: { classLogits, deltas, boxes: rois, sizes },
  attrs,
  backend,
}: KernelArgs<Given<SelectDetectionsInputs>, SelectDetectionsAttrs>): TensorInfo {
  const {
    scoreThreshold,
    nmsThreshold,
    maxDetections: most,
    minSize = 1e-2,
    weights = [10, 10, 5, 5],
    decoding,
    suppression = "shifted",
    firstLabel = 1,
    inclusiveThreshold = false,
  } = attrs;
  const [rows, classes] = classLogits.shape as [number, number];
  const images = sizes.shape[0]!;
  const perImage = rows / images;
  const vectors = (tensor: TensorInfo) => ({ tensor, as: "vec4f" });
  const scores = allocate(backend, [rows, classes]);
  const candidates = zeros(backend, [images]);
  const [x, y] = spread(Math.ceil(rows / 8));
  run(backend, {
    name: "detections softmax",
    source: softmax,
    inputs: { logits: classLogits, rois: vectors(rois) },
    outputs: { scores, candidates: { tensor: candidates, as: "atomic<u32>" } },
    params: {
      rows,
      classes,
      perImage,
      gridX: x,
      inclusive: inclusiveThreshold ? 1 : 0,
      least: { f32: scoreThreshold },
    },
    workgroups: [x, y],
  });
  const count = perImage * classes;
  const k = Math.min(count, ROOM, mostSorted(backend));
  const ranked = topK(
    backend,
    scores,
    Array.from({ length: images }, (_, image) => ({ offset: image * count, count, k })),
  );
  const [boxes, groups] = [allocate(backend, [ranked.total, 4]), allocate(backend, [ranked.total], "int32")];
  const extents = zeros(backend, [images, 2]);
  run(backend, {
    name: "detections decode",
    source: decode,
    inputs: {
      segments: ranked.segments,
      indices: ranked.indices,
      scores,
      deltas: vectors(deltas),
      rois: vectors(rois),
      sizes: { tensor: sizes, as: "vec2f" },
    },
    outputs: { boxes: vectors(boxes), groups, extents: { tensor: extents, as: "atomic<u32>" } },
    params: { classes, firstLabel },
    constants: decodeConstants(weights, decoding?.maxLogScale ?? Math.log(1000 / 16), minSize),
    workgroups: [Math.ceil(k / 64), images],
  });
  const kept = suppress(
    backend,
    { ranked, boxes, groups, extents },
    { threshold: nmsThreshold, most, grouping: suppression, segmentsPerImage: 1 },
  );
  const packed = allocate(backend, [images, most + 1, 6]);
  run(backend, {
    name: "detections pack",
    source: pack,
    inputs: {
      segments: ranked.segments,
      indices: ranked.indices,
      boxes: vectors(boxes),
      scores,
      positions: kept.positions,
      counts: kept.counts,
      candidates,
    },
    outputs: { packed },
    params: { classes, most },
    workgroups: [Math.ceil((most + 1) / 64), images],
  });
  ranked.dispose();
  release(backend, scores, candidates, boxes, groups, extents, kept.positions, kept.counts);
  return packed;
}

/**
 * Selects detections without reading on the host, as `selectDetections` of @mrcnn/heads, from the best 2048
 * candidates of each image. Eleven dispatches.
 */
export const selectDetections: KernelConfig = kernel(SELECT_DETECTIONS, select, supports);
