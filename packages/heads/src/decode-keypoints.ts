/** Decoding of keypoint heatmaps, as torchvision's `heatmaps_to_keypoints` and detectron2. */
import { tensor2d, tidy } from "@tensorflow/tfjs-core";
import type { Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import { assertLength } from "@mrcnn/core";
import { hasKernel, runKernel } from "@mrcnn/core/tensors";
import type { Keypoints } from "@mrcnn/core";
import { decodeKeypointsContract } from "./kernel.ts";
import type { DecodeKeypointsAttrs } from "./kernel.ts";

/** The size of the heatmaps, and the library whose score is computed. */
export interface DecodeKeypointsOptions {
  /** Side of a heatmap in pixels: 56. */
  readonly side: number;
  /** Number of heatmaps per RoI. */
  readonly keypoints: number;
  /**
   * Definition of a score: the logit at the keypoint ("torchvision"), or its probability among the pixels of
   * the RoI's heatmap ("detectron2"). Default "torchvision".
   */
  readonly rule?: "torchvision" | "detectron2";
}

const f = Math.fround;
// The parameter of Keys' cubic kernel, as in torch.
const A = -0.75;
const near = (x: number): number => f(f(f(f(f((A + 2) * x) - (A + 3)) * x) * x) + 1);
const far = (x: number): number => f(f(f(f(f(f(A * x) - 5 * A) * x) + 8 * A) * x) - 4 * A);

interface Taps {
  /** First of the four source pixels of each output pixel, before clamping to the map: [to]. */
  readonly first: Int32Array;
  /** Weights of the four source pixels: [to * 4]. */
  readonly weights: Float32Array;
}

// Returns the taps of bicubic interpolation along one axis, in float32 as torch's upsample_bicubic2d with
// align_corners false.
function bicubic(from: number, to: number): Taps {
  const scale = f(from / to);
  const first = new Int32Array(to);
  const weights = new Float32Array(4 * to);
  for (let i = 0; i < to; i++) {
    const at = f(f(scale * f(i + 0.5)) - 0.5);
    const low = Math.floor(at);
    const t = f(at - low);
    const u = f(1 - t);
    first[i] = low - 1;
    weights.set([far(f(t + 1)), near(t), near(u), far(f(u + 1))], 4 * i);
  }
  return { first, weights };
}

/**
 * Returns the ranges of output pixels that read the same four source pixels: [begin, end) for each `first`,
 * from -2 up.
 */
function spans({ first }: Taps, side: number): Int32Array {
  const begin = new Int32Array(side + 3).fill(first.length);
  for (let i = first.length - 1; i >= 0; i--) begin[first[i]! + 2] = i;
  for (let k = side + 1; k >= 0; k--) begin[k] = Math.min(begin[k]!, begin[k + 1]!);
  return begin;
}

// An upper bound on the gain of both axes: the largest sum of the absolute weights of one axis, at the
// middle, is 1.375; the rest is room for rounding.
const GAIN = 1.376 ** 2;

// The whole pixels to which a RoI's heatmap is enlarged, and their spacing in the box.
interface Grid {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly stepX: number;
  readonly stepY: number;
}

function gridOf([left, top, right, bottom]: ArrayLike<number> & Iterable<number>): Grid {
  const width = Math.max(f(right! - left!), 1);
  const height = Math.max(f(bottom! - top!), 1);
  const whole = { width: Math.ceil(width), height: Math.ceil(height) };
  return { left: left!, top: top!, ...whole, stepX: f(width / whole.width), stepY: f(height / whole.height) };
}

const gridsOf = (boxes: Float32Array): Grid[] =>
  Array.from({ length: boxes.length / 4 }, (_, roi) => gridOf(boxes.subarray(4 * roi, 4 * roi + 4)));

// Returns the pixel at `position` of a grid in the box's pixels: x, y, visibility.
function pointOf({ left, top, width, stepX, stepY }: Grid, position: number): [number, number, number] {
  const column = position % width;
  const row = (position - column) / width;
  return [f(f(column + 0.5) * stepX) + left, f(f(row + 0.5) * stepY) + top, 1];
}

/**
 * Finds the best pixel of each heatmap, enlarged bicubically to its RoI's size in whole pixels: `heatmaps`
 * [R, side, side, K] flat, `boxes` [R * 4] (x1, y1, x2, y2) as given to the head. Points are in the boxes'
 * pixels, visibility 1.
 *
 * The arithmetic is that of torchvision's `heatmaps_to_keypoints`, which detectron2 shares but for the score.
 * Only cells whose four by four neighbours could hold the maximum are enlarged.
 *
 * @throws ShapeError when the lengths don't agree.
 */
export function decodeKeypoints(
  heatmaps: Float32Array,
  boxes: Float32Array,
  options: DecodeKeypointsOptions,
): Keypoints {
  const { side, keypoints: count, rule = "torchvision" } = options;
  const rois = boxes.length / 4;
  const area = side * side;
  assertLength(heatmaps, rois * area * count, "decodeKeypoints", "heatmaps");
  const points = new Float32Array(rois * count * 3);
  const scores = new Float32Array(rois * count);
  const map = new Float32Array(area);
  for (const [roi, grid] of gridsOf(boxes).entries()) {
    const x = bicubic(side, grid.width);
    const y = bicubic(side, grid.height);
    const spanX = spans(x, side);
    const spanY = spans(y, side);
    for (let k = 0; k < count; k++) {
      const from = roi * area * count + k;
      for (let i = 0; i < area; i++) map[i] = heatmaps[from + i * count]!;
      const best = maximum(map, side, x, y, spanX, spanY, grid.width);
      const at = roi * count + k;
      points.set(pointOf(grid, best.position), 3 * at);
      scores[at] = rule === "torchvision" ? best.value : probability(map, best.value);
    }
  }
  return { count, points, scores };
}

/**
 * Finds keypoints as `decodeKeypoints` does, from `heatmaps` float32 [R, side, side, K] on the device, which
 * remain the caller's. Where the backend has a kernel only the results are read, 8 bytes a keypoint.
 * Interpolated values differ from the host's in their last bits, so among pixels that are almost equally good
 * the result may be another.
 *
 * @throws ShapeError when there are not as many boxes as heatmaps.
 */
export async function readKeypoints(
  heatmaps: Tensor4D,
  boxes: Float32Array,
  { rule = "torchvision" }: Pick<DecodeKeypointsOptions, "rule"> = {},
): Promise<Keypoints> {
  const [, side, , count] = heatmaps.shape;
  const found = decodeKeypointsOnDevice(heatmaps, boxes, { rule });
  if (found === undefined) {
    return decodeKeypoints((await heatmaps.data()) as Float32Array, boxes, { side, keypoints: count, rule });
  }
  try {
    return keypointsFromPairs((await found.data()) as Int32Array, boxes, count);
  } finally {
    found.dispose();
  }
}

/**
 * Runs the device's part of `readKeypoints`: returns the output of `MrcnnDecodeKeypoints` (see "./kernel"),
 * which `keypointsFromPairs` turns into keypoints. Returns undefined without RoIs, and where the backend has
 * no kernel.
 *
 * @throws ShapeError when there are not as many boxes as heatmaps.
 */
export function decodeKeypointsOnDevice(
  heatmaps: Tensor4D,
  boxes: Float32Array,
  { rule = "torchvision" }: Pick<DecodeKeypointsOptions, "rule"> = {},
): Tensor3D | undefined {
  const [rois, side] = heatmaps.shape;
  assertLength(boxes, 4 * rois, "readKeypoints", "boxes");
  const attrs: DecodeKeypointsAttrs = { side, rule };
  if (rois === 0 || !hasKernel(decodeKeypointsContract, attrs)) return undefined;
  return tidy(() => {
    const sizes = tensor2d(
      gridsOf(boxes).map(({ width, height }) => [width, height, f(side / width), f(side / height)]),
    );
    return runKernel<Tensor3D, DecodeKeypointsAttrs>(decodeKeypointsContract, { heatmaps, sizes }, attrs)!;
  });
}

/** Returns keypoints from the output of `decodeKeypointsOnDevice` for `boxes` [R * 4], `count` of each. */
export function keypointsFromPairs(pairs: Int32Array, boxes: Float32Array, count: number): Keypoints {
  const grids = gridsOf(boxes);
  const values = new Float32Array(pairs.buffer, pairs.byteOffset, pairs.length);
  const points = new Float32Array(grids.length * count * 3);
  const scores = new Float32Array(grids.length * count);
  for (let at = 0; at < scores.length; at++) {
    points.set(pointOf(grids[Math.trunc(at / count)]!, pairs[2 * at]!), 3 * at);
    scores[at] = values[2 * at + 1]!;
  }
  return { count, points, scores };
}

// detectron2's score: exp at the enlarged map's maximum over the sum of exp over the small map.
function probability(map: Float32Array, most: number): number {
  let sum = 0;
  for (const value of map) sum += Math.exp(value - most);
  return 1 / sum;
}

function maximum(
  map: Float32Array,
  side: number,
  x: Taps,
  y: Taps,
  spanX: Int32Array,
  spanY: Int32Array,
  width: number,
): { value: number; position: number } {
  const clamp = (i: number): number => Math.min(Math.max(i, 0), side - 1);
  // The minimum and maximum of each row's four neighbours, then of four rows. A cell's enlarged values are at
  // most the middle of the two plus GAIN times half their distance.
  const cells = side + 1;
  const rowLow = new Float32Array(side * cells);
  const rowHigh = new Float32Array(side * cells);
  for (let r = 0; r < side; r++) {
    for (let c = 0; c < cells; c++) {
      let [low, high] = [Infinity, -Infinity];
      for (let i = c - 2; i < c + 2; i++) {
        const value = map[r * side + clamp(i)]!;
        if (value < low) low = value;
        if (value > high) high = value;
      }
      rowLow[r * cells + c] = low;
      rowHigh[r * cells + c] = high;
    }
  }
  const reach: { cell: number; bound: number }[] = [];
  for (let r = 0; r < cells; r++) {
    if (spanY[r]! === spanY[r + 1]!) continue;
    for (let c = 0; c < cells; c++) {
      if (spanX[c]! === spanX[c + 1]!) continue;
      let [low, high] = [Infinity, -Infinity];
      for (let i = r - 2; i < r + 2; i++) {
        low = Math.min(low, rowLow[clamp(i) * cells + c]!);
        high = Math.max(high, rowHigh[clamp(i) * cells + c]!);
      }
      reach.push({ cell: r * cells + c, bound: (low + high) / 2 + (GAIN * (high - low)) / 2 });
    }
  }
  reach.sort((a, b) => b.bound - a.bound);

  let [value, position] = [-Infinity, 0];
  const rows = new Float32Array(4);
  for (const { cell, bound } of reach) {
    // Equal values go to the first position, so cells with an equal bound are searched too.
    if (bound < value) break;
    const r = Math.floor(cell / cells);
    const c = cell % cells;
    for (let i = spanY[r]!; i < spanY[r + 1]!; i++) {
      for (let j = spanX[c]!; j < spanX[c + 1]!; j++) {
        for (let a = 0; a < 4; a++) {
          const row = clamp(y.first[i]! + a) * side;
          let sum = 0;
          for (let b = 0; b < 4; b++)
            sum = f(sum + f(map[row + clamp(x.first[j]! + b)]! * x.weights[4 * j + b]!));
          rows[a] = sum;
        }
        let sum = 0;
        for (let a = 0; a < 4; a++) sum = f(sum + f(rows[a]! * y.weights[4 * i + a]!));
        const at = i * width + j;
        if (sum > value || (sum === value && at < position)) [value, position] = [sum, at];
      }
    }
  }
  return { value, position };
}
