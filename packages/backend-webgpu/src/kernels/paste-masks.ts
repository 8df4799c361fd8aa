/** Kernel that pastes masks into their boxes. */
import type { KernelConfig } from "@tensorflow/tfjs-core";
import { PASTE_MASKS } from "@mrcnn/heads/kernel";
import type { PasteMasksAttrs, PasteMasksInputs } from "@mrcnn/heads/kernel";
import type { Given } from "../given.ts";
import { allocate, kernel } from "../kernel.ts";
import { run, spread } from "../program.ts";

/*
 * One thread = one word, 32 pixels down the columns of a window, which it finds among the windows by binary
 * search. Bounds: any windows; pixels beyond one are 0. Cost: 4 reads of a mask (which its neighbours read
 * too) and 7 products a pixel, a thirty-second of 4 bytes written.
 */
const source = /* wgsl */ `
fn value(mask: i32, row: i32, column: i32) -> f32 {
  let isInside = min(row, column) >= 0 && max(row, column) < params.side;
  return select(0.0, masks[select(0, (mask * params.side + row) * params.side + column, isInside)], isInside);
}

// In the libraries' order of operations.
fn blend(nw: f32, ne: f32, sw: f32, se: f32, x: f32, y: f32) -> f32 {
  if (params.isDetectron2 == 0) { return (1 - y) * ((1 - x) * nw + x * ne) + y * ((1 - x) * sw + x * se); }
  return nw * ((1 - y) * (1 - x)) + ne * ((1 - y) * x) + sw * (y * (1 - x)) + se * (y * x);
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let word = i32((workgroup.x + workgroup.y * grid.x) * 64 + thread);
  if (word >= params.words) { return; }
  // Windows without pixels give the one after them.
  var own = 0;
  for (var beyond = params.count; beyond - own > 1; ) {
    let middle = (own + beyond) / 2;
    if (windows[2 * middle].y <= word) { own = middle; } else { beyond = middle; }
  }
  let mask = windows[2 * own].x;
  let width = windows[2 * own].w;
  let height = windows[2 * own + 1].y;
  let columns = windows[2 * own + 1].z;
  let rows = windows[2 * own + 1].w;
  let first = 32 * (word - windows[2 * own].y);
  var x = first / height;
  var y = first % height;
  var found = 0u;
  for (var bit = 0u; bit < 32 && x < width; bit++) {
    let left = low[columns + x];
    let above = low[rows + y];
    let p = blend(
      value(mask, above, left), value(mask, above, left + 1), value(mask, above + 1, left), value(mask, above + 1, left + 1),
      share[columns + x], share[rows + y],
    );
    if (p > params.threshold || (params.isDetectron2 == 1 && p == params.threshold)) { found |= 1u << bit; }
    y++;
    if (y == height) {
      y = 0;
      x++;
    }
  }
  bits[word] = bitcast<i32>(found);
}`;

/** Pastes masks into their boxes, as bits. */
export const pasteMasks: KernelConfig = kernel<Given<PasteMasksInputs>, PasteMasksAttrs>(
  PASTE_MASKS,
  ({ inputs: { masks, windows, low, share }, attrs: { words, threshold, method }, backend }) => {
    const bits = allocate(backend, [words], "int32");
    run(backend, {
      name: "pasteMasks",
      source,
      inputs: { masks, windows: { tensor: windows, as: "vec4i" }, low, share },
      outputs: { bits },
      params: {
        words: { i32: words },
        count: { i32: windows.shape[0]! },
        side: { i32: masks.shape[1]! },
        isDetectron2: method === "detectron2" ? 1 : 0,
        threshold: { f32: threshold },
      },
      workgroups: spread(Math.ceil(words / 64)),
    });
    return bits;
  },
);
