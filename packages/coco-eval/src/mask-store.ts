/** Stores of the masks of entries. */
import type { Rle } from "@mrcnn/core";
import { readCounts, rleToString } from "@mrcnn/masks";
import type { RleMeasures } from "@mrcnn/masks";

/** Run lengths read from compressed text, with the results of the reading. */
export interface ReadRle extends Rle {
  readonly text?: Uint8Array;
  readonly measures?: RleMeasures;
}

/** A store of masks. */
export interface MaskStore {
  /**
   * Adds the mask of these counts; `text` is their compressed form when available.
   *
   * @returns its position.
   */
  add(counts: Uint32Array, text?: Uint8Array): number;
  /** Returns the counts of the mask at `place`; they may be overwritten by the next call. */
  read(place: number): Uint32Array;
  /** Removes all masks. */
  clear(): void;
}

/** Creates a store for the masks of one image, which keeps the arrays themselves. */
export function createMaskList(): MaskStore {
  const masks: Uint32Array[] = [];
  return {
    add: (counts) => masks.push(counts) - 1,
    read: (place) => masks[place]!,
    clear: () => void (masks.length = 0),
  };
}

// Bytes of a block. Blocks rather than one array: growing never copies, and the length isn't limited by that
// of an array.
const BLOCK = 2 ** 22;

/**
 * Creates a store for the masks of many images, which keeps their compressed text: a byte per character and
 * no object each.
 */
export function createMaskPool(): MaskStore {
  const encoder = new TextEncoder();
  const blocks: Uint8Array[] = [];
  let block = new Uint8Array(0);
  let at = 0;
  let counts = new Uint32Array(0);
  // The mask read last, which is often asked for again.
  let last = -1;
  let length = 0;
  return {
    add(mask, text = encoder.encode(rleToString({ size: { height: 0, width: 0 }, counts: mask }))) {
      if (at + text.length + 1 > block.length) {
        block = new Uint8Array(Math.max(BLOCK, text.length + 1));
        blocks.push(block);
        at = 0;
      }
      const place = (blocks.length - 1) * 2 ** 32 + at;
      block.set(text, at);
      // A zero byte ends the text.
      at += text.length + 1;
      return place;
    },
    read(place) {
      if (place === last) return counts.subarray(0, length);
      const source = blocks[Math.floor(place / 2 ** 32)]!;
      const start = place % 2 ** 32;
      const text = source.subarray(start, source.indexOf(0, start));
      if (text.length > counts.length) counts = new Uint32Array(2 * text.length);
      length = readCounts(text, counts, "");
      last = place;
      return counts.subarray(0, length);
    },
    clear() {
      blocks.length = 0;
      block = new Uint8Array(0);
      at = 0;
      last = -1;
    },
  };
}
