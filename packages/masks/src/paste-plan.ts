/** Plans for pasting masks on a device, and run lengths from the result. */
import type { ImageSize, Rle } from "@mrcnn/core";
import { pasteMethods } from "./paste.ts";
import type { PasteMethod } from "./paste.ts";
import { createRunWriter } from "./run-writer.ts";

/** The masks of one image that are to be pasted. */
export interface PasteTarget {
  /** Boxes, float32 [N * 4], x1, y1, x2, y2 in pixels of the image. */
  readonly boxes: Float32Array;
  /** Index of each box's mask, int32 [N]. */
  readonly rows: Int32Array;
  readonly size: ImageSize;
}

/** The inputs of pasting masks as plain arrays for a device. Each mask covers a window of pixels. */
export interface PastePlan {
  /**
   * int32 [N * 8], for each mask in the order of the targets: its row; the first word of its bits; left,
   * width, top and height of its window; the starts of its columns and of its rows in `low` and `share`.
   */
  readonly windows: Int32Array;
  /** int32: the mask's position left of each column, or above each row, of a window, from -1 to side. */
  readonly low: Int32Array;
  /** float32: the weight of the next position. */
  readonly share: Float32Array;
  /**
   * Number of 32-bit words that hold all bits; a window's bits are column-major, from the lowest bit of its
   * first word up.
   */
  readonly words: number;
}

/**
 * Prepares `pasteMasks` for another device: computes the position of each pixel in its mask. matterport's
 * method needs float64 and runs on the host only.
 */
export function planPaste(
  targets: readonly PasteTarget[],
  side: number,
  { method = "torchvision" }: { readonly method?: Exclude<PasteMethod, "matterport"> } = {},
): PastePlan {
  const { axis } = pasteMethods[method];
  const planned = targets.flatMap(({ boxes, rows, size }) =>
    Array.from(rows, (row, i) => {
      const [x1, y1, x2, y2] = boxes.subarray(4 * i, 4 * i + 4) as unknown as [
        number,
        number,
        number,
        number,
      ];
      return { row, xs: axis(x1, x2, side, size.width), ys: axis(y1, y2, side, size.height) };
    }),
  );
  const windows = new Int32Array(8 * planned.length);
  const length = planned.reduce((n, { xs, ys }) => n + xs.low.length + ys.low.length, 0);
  const low = new Int32Array(length);
  const share = new Float32Array(length);
  let words = 0;
  let at = 0;
  for (const [i, { row, xs, ys }] of planned.entries()) {
    const [width, height] = [xs.low.length, ys.low.length];
    windows.set([row, words, xs.first, width, ys.first, height, at, at + width], 8 * i);
    for (const { low: lows, share: shares } of [xs, ys]) {
      low.set(lows, at);
      share.set(shares, at);
      at += lows.length;
    }
    words += Math.ceil((width * height) / 32);
  }
  return { windows, low, share, words };
}

/**
 * Returns run lengths from the bits computed by a plan of these targets: for each target those of each mask.
 */
export function rlesFromBits(
  bits: Int32Array,
  { windows }: PastePlan,
  targets: readonly Pick<PasteTarget, "rows" | "size">[],
): Rle[][] {
  let i = 0;
  return targets.map(({ rows, size }) =>
    Array.from(rows, () => {
      const [, word, left, width, top, height] = windows.subarray(8 * i, 8 * ++i) as unknown as [
        number,
        number,
        number,
        number,
        number,
        number,
      ];
      const runs = createRunWriter(size);
      for (let x = 0; x < width; x++) {
        const begin = 32 * word + x * height;
        const end = begin + height;
        const offset = (left + x) * size.height + top - begin;
        for (let start = nextOf(bits, begin, end, 0); start < end;) {
          const stop = nextOf(bits, start, end, -1);
          runs.add(offset + start, offset + stop);
          start = nextOf(bits, stop, end, 0);
        }
      }
      return runs.finish();
    }),
  );
}

// Returns the first bit from `at` on that differs from those of `skipped` (all 0 or all 1), or `end`.
function nextOf(bits: Int32Array, at: number, end: number, skipped: 0 | -1): number {
  while (at < end) {
    const rest = (bits[at >>> 5]! ^ skipped) >>> (at & 31);
    if (rest !== 0) return Math.min(at + 31 - Math.clz32(rest & -rest), end);
    at = (at | 31) + 1;
  }
  return end;
}
