import type { ImageSize, Rle } from "@mrcnn/core";
import { pasteMethods } from "./paste.ts";
import type { PasteMethod } from "./paste.ts";
import { createRunWriter } from "./run-writer.ts";

/** Masks of one image that are to be pasted. */
export interface PasteTarget {
  /** float32 [N * 4], x1, y1, x2, y2 in pixels of the image. */
  readonly boxes: Float32Array;
  /** int32 [N]: which mask belongs to each box. */
  readonly rows: Int32Array;
  readonly size: ImageSize;
}

/** What pasting masks needs to know, as plain arrays for a device. Each mask covers a window of pixels. */
export interface PastePlan {
  /**
   * int32 [N * 8], of each mask in the order of the targets: its row, the first word of its bits; left, width, top and height
   * of its window; where its columns and its rows begin in `low` and `share`.
   */
  readonly windows: Int32Array;
  /** int32: the mask's position left of (or above) each column (or row) of a window, from -1 to side. */
  readonly low: Int32Array;
  /** float32: the share of the position after it. */
  readonly share: Float32Array;
  /** 32-bit words that hold all bits: a window's are column-major from the lowest of its first word up. */
  readonly words: number;
}

/** `pasteMasks` prepared for elsewhere than the host: which pixels lie where among a mask's. matterport's arithmetic is double, and stays here. */
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

/** Run lengths of the bits that were computed by a plan of these targets: of each target, each mask. */
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

// The first bit from `at` on that differs from those of `skipped` (all 0 or all 1), or `end`.
function nextOf(bits: Int32Array, at: number, end: number, skipped: 0 | -1): number {
  while (at < end) {
    const rest = (bits[at >>> 5]! ^ skipped) >>> (at & 31);
    if (rest !== 0) return Math.min(at + 31 - Math.clz32(rest & -rest), end);
    at = (at | 31) + 1;
  }
  return end;
}
