/** Ledgers: the match results of each category's detections. */
import { widened } from "./entries.ts";

/**
 * The results of one category: its detections image by image, best first within each, and the outcome of each
 * at every size range and threshold as two bits, "right" and "ignored" (neither means wrong).
 */
export interface Ledger {
  /** Number of detections. */
  length: number;
  score: Float64Array;
  /** Rank of each detection within its image, best first. */
  place: Uint32Array;
  /**
   * Outcomes, [2 * words * length]: the bits "right" of a detection, then the bits "ignored"; bit a * T + t.
   */
  bits: Uint32Array;
  /**
   * Number of images that have detections; `image` is the index of each among all images, `start` that of its
   * first detection.
   */
  images: number;
  image: Uint32Array;
  start: Float64Array;
  /** Number of objects that count, per size range [A]. */
  readonly objects: Float64Array;
}

export function createLedger(areaRanges: number): Ledger {
  return {
    length: 0,
    score: new Float64Array(0),
    place: new Uint32Array(0),
    bits: new Uint32Array(0),
    images: 0,
    image: new Uint32Array(0),
    start: new Float64Array(0),
    objects: new Float64Array(areaRanges),
  };
}

/** Returns the number of 32-bit words that hold one bit per size range and threshold. */
export const wordsOf = (areaRanges: number, iouThresholds: number): number =>
  Math.ceil((areaRanges * iouThresholds) / 32);

/**
 * Makes room for an image with `count` detections, which the caller fills in.
 *
 * @returns the index of the first.
 */
export function openImage(ledger: Ledger, image: number, count: number, words: number): number {
  const start = ledger.length;
  const wanted = start + count;
  if (wanted > ledger.score.length) {
    const room = Math.max(64, wanted, Math.ceil(1.5 * start));
    ledger.score = widened(ledger.score, room);
    ledger.place = widened(ledger.place, room);
    ledger.bits = widened(ledger.bits, 2 * words * room);
  }
  if (ledger.images === ledger.image.length) {
    const room = Math.max(16, Math.ceil(1.5 * ledger.images));
    ledger.image = widened(ledger.image, room);
    ledger.start = widened(ledger.start, room);
  }
  ledger.image[ledger.images] = image;
  ledger.start[ledger.images] = start;
  ledger.images++;
  ledger.length = wanted;
  return start;
}
