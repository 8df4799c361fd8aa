/** Pasting of masks into the image, as torchvision, detectron2 and matterport. */
import { assertLength, ConfigError } from "@mrcnn/core";
import type { ImageSize, Rle } from "@mrcnn/core";
import { axisLikeDetectron2, axisLikeScikitImage, axisLikeTorchvision } from "./paste-axis.ts";
import type { PasteAxis } from "./paste-axis.ts";
import { createRunWriter } from "./run-writer.ts";

/** The library whose pasting is followed; the box of a mask is in pixels of the image. */
export type PasteMethod = "torchvision" | "detectron2" | "matterport";

/** Options that decide which pixels belong to the object. */
export interface PasteOptions {
  /**
   * Probability above which, or for detectron2 and matterport at or above which, a pixel is set. Default 0.5.
   */
  readonly threshold?: number;
  /**
   * The library whose pasting is followed. Default "torchvision".
   * - "torchvision": one pixel of zeros around the mask, the box widened to match and truncated to whole
   *   pixels, then bilinear without aligned corners (`paste_masks_in_image`).
   * - "detectron2": bilinear samples at the image's pixel centres, zeros around the mask
   *   (`paste_masks_in_image` on the CPU, where a mask reaches at most two pixels beyond its box).
   * - "matterport": boxes of whole pixels, resized by scikit-image (`unmold_mask`).
   */
  readonly method?: PasteMethod;
}

const f = Math.fround;
// Far above the rounding of probabilities in float32: where two neighbours are on one side of the threshold
// by more, so are all pixels between them.
const SURE = 1e-5;

/** Interpolates between four neighbours, of which the right ones have weight `x` and the lower ones `y`. */
export type Blend = (nw: number, ne: number, sw: number, se: number, x: number, y: number) => number;

/** The parts in which the libraries' pasting differs. */
export interface Method {
  /** Computes one axis of a box in an image of `length` pixels. */
  readonly axis: (from: number, to: number, side: number, length: number) => PasteAxis;
  /** Interpolates in the library's order of float32 operations. */
  readonly blend: Blend;
  /** Whether a pixel whose value equals the threshold is set. */
  readonly atLeast: boolean;
  /** Whether values are clipped to the mask's own range, so that the zeros around a mask don't lower them. */
  readonly clips: boolean;
}

/** The pasting of each library. */
export const pasteMethods: Readonly<Record<PasteMethod, Method>> = {
  torchvision: {
    axis: axisLikeTorchvision,
    blend: (nw, ne, sw, se, x, y) =>
      f(f(f(1 - y) * f(f(f(1 - x) * nw) + f(x * ne))) + f(y * f(f(f(1 - x) * sw) + f(x * se)))),
    atLeast: false,
    clips: false,
  },
  detectron2: {
    axis: axisLikeDetectron2,
    blend: (nw, ne, sw, se, x, y) => {
      const [left, above] = [f(1 - x), f(1 - y)];
      const upper = f(f(nw * f(above * left)) + f(ne * f(above * x)));
      return f(f(upper + f(sw * f(y * left))) + f(se * f(y * x)));
    },
    atLeast: true,
    clips: false,
  },
  matterport: {
    axis: axisLikeScikitImage,
    blend: (nw, ne, sw, se, x, y) =>
      f(nw * (1 - y) * (1 - x) + ne * (1 - y) * x + sw * y * (1 - x) + se * y * x),
    atLeast: true,
    clips: true,
  },
};

/**
 * Resizes the mask head's probabilities ([N * side * side], row-major) to their boxes (x1, y1, x2, y2;
 * [N * 4], pixels of an image of `size`) and thresholds them, into run lengths: pixel for pixel as the
 * library that `method` names. Boxes may lie beyond the image, or be empty.
 *
 * @throws ShapeError when the lengths don't agree; ConfigError when the threshold is not a number.
 */
export function pasteMasks(
  probabilities: Float32Array,
  boxes: Float32Array,
  size: ImageSize,
  options: PasteOptions = {},
): Rle[] {
  const { threshold = 0.5, method = "torchvision" } = options;
  if (Number.isNaN(threshold)) throw new ConfigError("pasteMasks: threshold must be a number, got NaN.");
  const n = boxes.length / 4;
  const side = n === 0 ? 0 : Math.round(Math.sqrt(probabilities.length / n));
  assertLength(probabilities, n * side * side, "pasteMasks", "probabilities");
  const area = side * side;
  return Array.from({ length: n }, (_, i) => {
    const mask = probabilities.subarray(i * area, (i + 1) * area);
    return pasteMask(mask, side, boxes.subarray(4 * i, 4 * i + 4), size, {
      threshold,
      method: pasteMethods[method],
    });
  });
}

function pasteMask(
  mask: Float32Array,
  side: number,
  box: Float32Array,
  size: ImageSize,
  { threshold, method }: { threshold: number; method: Method },
): Rle {
  const { axis, blend, atLeast, clips } = method;
  // Where every probability passes, so does every value clipped to at least the smallest of them.
  const limit = clips && mask.every((value) => value >= f(threshold)) ? -Infinity : f(threshold);
  const runs = createRunWriter(size);
  const xs = axis(box[0]!, box[2]!, side, size.width);
  const ys = axis(box[1]!, box[3]!, side, size.height);
  if (xs.low.length === 0 || ys.low.length === 0) return runs.finish();
  // Ranges of the image's rows between the mask's rows r - 1 and r: [start[r], start[r + 1]).
  const end = ys.first + ys.low.length;
  const start = new Int32Array(side + 2).fill(end);
  for (let y = end - 1; y >= ys.first; y--) start[ys.low[y - ys.first]! + 1] = y;
  for (let r = side; r >= 0; r--) start[r] = Math.min(start[r]!, start[r + 1]!);

  // The mask's columns left and right of a column of the image, with zeros above and below.
  const lefts = new Float64Array(side + 2);
  const rights = new Float64Array(side + 2);
  for (let i = 0; i < xs.low.length; i++) {
    const at = xs.low[i]!;
    const share = xs.share[i]!;
    for (let r = 0; r < side; r++) {
      lefts[r + 1] = at < 0 || at >= side ? 0 : mask[r * side + at]!;
      rights[r + 1] = at + 1 >= side ? 0 : mask[r * side + at + 1]!;
    }
    const offset = (xs.first + i) * size.height;
    let above = 0;
    for (let r = 0; r <= side; r++) {
      const below = (1 - share) * lefts[r + 1]! + share * rights[r + 1]!;
      const [least, most] = above < below ? [above, below] : [below, above];
      above = below;
      const from = start[r]!;
      const to = start[r + 1]!;
      if (from >= to || most < limit - SURE) continue;
      if (least > limit + SURE) {
        runs.add(offset + from, offset + to);
        continue;
      }
      for (let y = from; y < to; y++) {
        const value = blend(
          lefts[r]!,
          rights[r]!,
          lefts[r + 1]!,
          rights[r + 1]!,
          share,
          ys.share[y - ys.first]!,
        );
        if (value > limit || (atLeast && value === limit)) runs.add(offset + y, offset + y + 1);
      }
    }
  }
  return runs.finish();
}
