/** Training targets of the mask head, as torchvision's `project_masks_on_boxes`. */
import { assertLength } from "@mrcnn/core";
import type { Bitmap } from "@mrcnn/core";

const f = Math.fround;

/**
 * Computes training targets of the mask head: crops to each box (x1, y1, x2, y2; [N * 4]) its mask `masks[i]`
 * and averages it into side * side bins: [N * side * side], row-major, values in [0, 1].
 *
 * As torchvision's `project_masks_on_boxes`: unaligned RoIAlign of the whole bitmap, with as many samples per
 * bin as the bin has pixels. RoIAlign is separable, so only the window's rows and columns are read.
 *
 * @throws ShapeError unless there is one mask per box.
 */
export function cropMasks(masks: readonly Bitmap[], boxes: Float32Array, side: number): Float32Array {
  assertLength(boxes, masks.length * 4, "cropMasks", "boxes");
  const targets = new Float32Array(masks.length * side * side);
  const row = new Float64Array(side);
  masks.forEach((mask, i) => {
    const { size, left, top, width, height, data } = mask;
    const xs = binWeights(boxes[4 * i]!, boxes[4 * i + 2]!, side, {
      length: size.width,
      start: left,
      count: width,
    });
    const ys = binWeights(boxes[4 * i + 1]!, boxes[4 * i + 3]!, side, {
      length: size.height,
      start: top,
      count: height,
    });
    // Each source row is read once: summed per column of bins, then added with its weight to each row of
    // bins.
    const sums = new Float64Array(side * side);
    for (let y = ys.lowest; y < ys.highest; y++) {
      row.fill(0);
      const at = y * width;
      for (let bx = 0; bx < side; bx++) {
        let sum = 0;
        let k = bx * xs.stride;
        for (let x = xs.first[bx]!; x < xs.end[bx]!; x++, k++) if (data[at + x] !== 0) sum += xs.weights[k]!;
        row[bx] = sum;
      }
      for (let by = 0; by < side; by++) {
        if (y < ys.first[by]! || y >= ys.end[by]!) continue;
        const weight = ys.weights[by * ys.stride + y - ys.first[by]!]!;
        for (let bx = 0; bx < side; bx++) sums[by * side + bx]! += weight * row[bx]!;
      }
    }
    const samples = xs.samples * ys.samples;
    for (let k = 0; k < sums.length; k++) targets[i * side * side + k] = sums[k]! / samples;
  });
  return targets;
}

/** The window's pixels [first, end) that each bin reads, and their weights from `bin * stride` on. */
interface BinWeights {
  readonly first: Int32Array;
  readonly end: Int32Array;
  readonly weights: Float64Array;
  readonly stride: number;
  /** The range of pixels read by any bin: [lowest, highest). */
  readonly lowest: number;
  readonly highest: number;
  readonly samples: number;
}

// Computes one axis of RoIAlign, with positions rounded to float32 in torchvision's order.
function binWeights(
  from: number,
  to: number,
  side: number,
  window: { length: number; start: number; count: number },
): BinWeights {
  const extent = Math.max(f(to - from), 1);
  const bin = f(extent / side);
  const samples = Math.ceil(bin);
  const stride = samples + 3;
  const first = new Int32Array(side);
  const end = new Int32Array(side);
  const weights = new Float64Array(side * stride);
  let lowest = window.count;
  let highest = 0;
  for (let b = 0; b < side; b++) {
    const start = f(from + f(b * bin));
    let origin = -1;
    for (let i = 0; i < samples; i++) {
      let at = f(start + f(f((i + 0.5) * bin) / samples));
      if (at < -1 || at > window.length) continue;
      at = Math.max(at, 0);
      let low = Math.trunc(at);
      if (low >= window.length - 1) at = low = window.length - 1;
      const share = f(at - low);
      for (const [pixel, weight] of [[low, f(1 - share)] as const, [low + 1, share] as const]) {
        const inWindow = pixel - window.start;
        if (weight === 0 || inWindow < 0 || inWindow >= window.count) continue;
        if (origin < 0) origin = first[b] = inWindow;
        weights[b * stride + inWindow - origin]! += weight;
        end[b] = inWindow + 1;
      }
    }
    // A bin outside of the window keeps its empty range 0 to 0.
    if (origin < 0) continue;
    lowest = Math.min(lowest, origin);
    highest = Math.max(highest, end[b]!);
  }
  return { first, end, weights, stride, lowest, highest, samples };
}
