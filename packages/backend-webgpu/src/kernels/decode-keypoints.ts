/** Kernel that decodes keypoints from heatmaps. */
import type { KernelConfig } from "@tensorflow/tfjs-core";
import { DECODE_KEYPOINTS } from "@mrcnn/heads/kernel";
import type { DecodeKeypointsAttrs, DecodeKeypointsInputs } from "@mrcnn/heads/kernel";
import type { Given } from "../given.ts";
import { allocate, kernel } from "../kernel.ts";
import { run, spread } from "../program.ts";

// Largest side of a heatmap that fits in workgroup memory.
const MOST_SIDE = 60;

/*
 * One workgroup = one heatmap, held in workgroup memory. The small map's cells, between four of its pixels,
 * are enlarged only where their four by four neighbours could contain the maximum: a bicubic sum is at most
 * their middle plus half their range times the largest sum of absolute weights. Each thread first enlarges
 * its most promising cell; then, of its other cells, those that could exceed the best so far. Bounds: side at
 * most MOST_SIDE, any box. Cost: the map read once, 32 reads of workgroup memory a cell for the bounds, 20
 * products for each pixel of the few cells left.
 */
const source = /* wgsl */ `
// (1.376)², as on the host.
const GAIN = 1.893376;
const A = -0.75;
const LEAST = -3.4e38;

var<workgroup> map: array<f32, MOST_SIDE * MOST_SIDE>;
var<workgroup> tops: array<f32, 128>;
var<workgroup> places: array<u32, 128>;

fn near(x: f32) -> f32 { return ((A + 2) * x - (A + 3)) * x * x + 1; }
fn far(x: f32) -> f32 { return ((A * x - 5 * A) * x + 8 * A) * x - 4 * A; }
fn cubic(t: f32) -> vec4f { return vec4f(far(t + 1), near(t), near(1 - t), far(2 - t)); }
fn mapRow(row: i32, column: i32) -> vec4f {
  let side = params.side;
  let at = clamp(row, 0, side - 1) * side;
  let c = clamp(vec4i(column) + vec4i(0, 1, 2, 3), vec4i(0), vec4i(side - 1));
  return vec4f(map[at + c.x], map[at + c.y], map[at + c.z], map[at + c.w]);
}
fn reach(cell: i32) -> f32 {
  let row = cell / (params.side + 1) - 2;
  let column = cell % (params.side + 1) - 2;
  var low = mapRow(row, column);
  var high = low;
  for (var i = 1; i < 4; i++) {
    let next = mapRow(row + i, column);
    low = min(low, next);
    high = max(high, next);
  }
  let least = min(min(low.x, low.y), min(low.z, low.w));
  let most = max(max(high.x, high.y), max(high.z, high.w));
  return (least + most) / 2 + GAIN * (most - least) / 2;
}
// A pixel of the enlarged map, among the small map's.
fn place(pixel: i32, scale: f32) -> f32 { return scale * (f32(pixel) + 0.5) - 0.5; }
// The first pixel of a cell, or one before it: pixels at a cell's edge may be looked at from both sides.
fn firstOf(cell: i32, scale: f32) -> i32 { return max(0, i32(ceil((f32(cell) - 0.501) / scale - 0.5))); }

struct Best { value: f32, position: u32 }
fn isBetter(value: f32, position: u32, than: Best) -> bool { return value > than.value || (value == than.value && position < than.position); }

fn enlarge(cell: i32, size: vec2i, scale: vec2f, sofar: Best) -> Best {
  var best = sofar;
  let row = cell / (params.side + 1);
  let column = cell % (params.side + 1);
  for (var i = firstOf(row, scale.y); i < size.y; i++) {
    let y = place(i, scale.y);
    if (y >= f32(row) + 0.001) { break; }
    let top = floor(y);
    let weights = cubic(y - top);
    for (var j = firstOf(column, scale.x); j < size.x; j++) {
      let x = place(j, scale.x);
      if (x >= f32(column) + 0.001) { break; }
      let left = floor(x);
      let across = cubic(x - left);
      var sum = 0.0;
      for (var k = 0; k < 4; k++) { sum += weights[k] * dot(mapRow(i32(top) - 1 + k, i32(left) - 1), across); }
      let position = u32(i * size.x + j);
      if (isBetter(sum, position, best)) { best = Best(sum, position); }
    }
  }
  return best;
}

@compute @workgroup_size(128)
fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let index = workgroup.x + workgroup.y * grid.x;
  if (index >= params.count) { return; }
  let roi = index / params.keypoints;
  let area = u32(params.side * params.side);
  let cells = (params.side + 1) * (params.side + 1);
  let begin = roi * area * params.keypoints + index % params.keypoints;
  for (var i = thread; i < area; i += 128) { map[i] = heatmaps[begin + i * params.keypoints]; }
  workgroupBarrier();
  let size = vec2i(sizes[roi].xy);
  let scale = sizes[roi].zw;

  // The most promising cell; its pixels; those of all cells that could reach the best so far. In one
  // loop, since what is called in several places is compiled as often.
  var promising = -1;
  var most = LEAST;
  var known = LEAST;
  var best = Best(LEAST, 0xffffffffu);
  for (var turn = 0; turn < 3; turn++) {
    let end = select(cells, promising + 1, turn == 1);
    for (var cell = select(i32(thread), max(promising, 0), turn == 1); cell < end; cell += 128) {
      let bound = reach(cell);
      if (turn == 0) {
        if (bound > most) {
          most = bound;
          promising = cell;
        }
      } else if (turn == 1 || (cell != promising && bound >= max(known, best.value))) {
        best = enlarge(cell, size, scale, best);
      }
    }
    workgroupBarrier();
    tops[thread] = best.value;
    workgroupBarrier();
    for (var i = 0; i < 128; i++) { known = max(known, tops[i]); }
  }
  workgroupBarrier();
  tops[thread] = best.value;
  places[thread] = best.position;
  for (var half = 64u; half > 0; half /= 2) {
    workgroupBarrier();
    if (thread < half && isBetter(tops[thread + half], places[thread + half], Best(tops[thread], places[thread]))) {
      tops[thread] = tops[thread + half];
      places[thread] = places[thread + half];
    }
  }
  workgroupBarrier();
  var score = tops[0];
  if (params.isProbability == 1) {
    var own = 0.0;
    for (var i = thread; i < area; i += 128) { own += exp(map[i] - score); }
    workgroupBarrier();
    tops[thread] = own;
    for (var half = 64u; half > 0; half /= 2) {
      workgroupBarrier();
      if (thread < half) { tops[thread] += tops[thread + half]; }
    }
    workgroupBarrier();
    score = 1 / tops[0];
  }
  if (thread == 0) {
    found[2 * index] = i32(places[0]);
    found[2 * index + 1] = bitcast<i32>(score);
  }
}`;

/** Finds the best pixel of each heatmap, and its score. */
export const decodeKeypoints: KernelConfig = kernel<Given<DecodeKeypointsInputs>, DecodeKeypointsAttrs>(
  DECODE_KEYPOINTS,
  ({ inputs: { heatmaps, sizes }, attrs: { side, rule }, backend }) => {
    const [rois, , , keypoints] = heatmaps.shape as [number, number, number, number];
    const count = rois * keypoints;
    const found = allocate(backend, [rois, keypoints, 2], "int32");
    run(backend, {
      name: "keypoints",
      source,
      inputs: { heatmaps, sizes: { tensor: sizes, as: "vec4f" } },
      outputs: { found },
      params: { count, keypoints, side: { i32: side }, isProbability: rule === "detectron2" ? 1 : 0 },
      constants: { MOST_SIDE },
      workgroups: spread(count),
    });
    return found;
  },
  ({ side }) => side <= MOST_SIDE,
);
