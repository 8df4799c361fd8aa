import { assertLength, ConfigError } from "@mrcnn/core";
import type { ImageSize, Rle } from "@mrcnn/core";
import { createRunWriter } from "./run-writer.ts";

/** How to decide which pixels are the object. */
export interface PasteOptions {
  /** A pixel is set when its probability is above; 0.5 by default. */
  readonly threshold?: number;
}

const f = Math.fround;
// Far above float32's rounding of probabilities: beyond it, neighbours decide all pixels between them.
const SURE = 1e-5;

/**
 * The mask head's probabilities ([N * side * side], row-major) put back under their boxes
 * (x1, y1, x2, y2; [N * 4], pixels of an image of `size`) and thresholded, as run lengths.
 *
 * Pixel for pixel torchvision's `paste_masks_in_image`: one pixel of zeros around the mask, box
 * widened to match and truncated to whole pixels, then bilinear without aligned corners.
 *
 * @throws ShapeError when the lengths don't agree; ConfigError when the threshold is not a number.
 */
export function pasteMasks(probabilities: Float32Array, boxes: Float32Array, size: ImageSize, options: PasteOptions = {}): Rle[] {
  const { threshold = 0.5 } = options;
  if (Number.isNaN(threshold)) throw new ConfigError("pasteMasks: threshold must be a number, got NaN.");
  const n = boxes.length / 4;
  const side = n === 0 ? 0 : Math.round(Math.sqrt(probabilities.length / n));
  assertLength(probabilities, n * side * side, "pasteMasks", "probabilities");
  const area = side * side;
  return Array.from({ length: n }, (_, i) =>
    pasteMask(probabilities.subarray(i * area, (i + 1) * area), side, boxes.subarray(4 * i, 4 * i + 4), size, threshold),
  );
}

function pasteMask(mask: Float32Array, side: number, box: Float32Array, size: ImageSize, threshold: number): Rle {
  const padded = side + 2;
  const scale = f(padded / side);
  const [left, right] = widen(box[0]!, box[2]!, scale);
  const [top, bottom] = widen(box[1]!, box[3]!, scale);
  const xs = interpolation(padded, Math.max(right - left + 1, 1));
  const ys = interpolation(padded, Math.max(bottom - top + 1, 1));
  // The rows of the image between each two rows of the mask: [start[r], start[r + 1]).
  const firstRow = Math.max(top, 0);
  const endRow = Math.min(bottom + 1, size.height);
  const start = new Int32Array(padded + 1).fill(endRow);
  for (let y = endRow - 1; y >= firstRow; y--) start[ys.low[y - top]!] = y;
  for (let r = padded - 1; r >= 0; r--) start[r] = Math.min(start[r]!, start[r + 1]!);

  const runs = createRunWriter(size);
  const column = new Float64Array(padded + 1);
  for (let x = Math.max(left, 0); x < Math.min(right + 1, size.width); x++) {
    const at = xs.low[x - left]! - 1;
    const share = xs.share[x - left]!;
    const rest = f(1 - share);
    for (let r = 0; r < side; r++) {
      const a = at < 0 || at >= side ? 0 : mask[r * side + at]!;
      const b = at + 1 >= side ? 0 : mask[r * side + at + 1]!;
      column[r + 1] = f(f(rest * a) + f(share * b));
    }
    const offset = x * size.height;
    for (let r = 0; r < padded; r++) {
      const from = start[r]!;
      const to = start[r + 1]!;
      if (from >= to) continue;
      const a = column[r]!;
      const b = column[r + 1]!;
      if (a < threshold - SURE && b < threshold - SURE) continue;
      if (a > threshold + SURE && b > threshold + SURE) {
        runs.add(offset + from, offset + to);
        continue;
      }
      for (let y = from; y < to; y++) {
        const below = ys.share[y - top]!;
        if (f(f(f(1 - below) * a) + f(below * b)) > threshold) runs.add(offset + y, offset + y + 1);
      }
    }
  }
  return runs.finish();
}

// One axis of a box, widened about its centre in float32, truncated to whole pixels.
function widen(from: number, to: number, scale: number): [number, number] {
  const half = f(f(f(to - from) * 0.5) * scale);
  const centre = f(f(to + from) * 0.5);
  return [Math.trunc(f(centre - half)), Math.trunc(f(centre + half))];
}

// Per output place the source before it and the share of the one after.
function interpolation(from: number, to: number): { low: Int32Array; share: Float32Array } {
  const scale = f(from / to);
  const low = new Int32Array(to);
  const share = new Float32Array(to);
  for (let i = 0; i < to; i++) {
    const at = Math.max(f(f(scale * f(i + 0.5)) - 0.5), 0);
    low[i] = Math.min(Math.floor(at), from - 1);
    share[i] = Math.min(Math.max(f(at - low[i]!), 0), 1);
  }
  return { low, share };
}
