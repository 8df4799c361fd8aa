/** Stable descending argsort, as torch's. */
import { ShapeError } from "@mrcnn/core";

const INDEX_BITS = 21;

/**
 * Returns the indices that sort `scores` from highest to lowest, ties by lower index, NaN first (the order of
 * torch's stable descending sort). For up to 2^21 scores.
 *
 * @throws ShapeError for more scores.
 */
export function argsortDescending(scores: Float32Array): Int32Array {
  const limit = 2 ** INDEX_BITS;
  if (scores.length > limit)
    throw new ShapeError(
      `argsortDescending: scores must hold at most ${limit} values, got ${scores.length}.`,
    );
  // One 53-bit key of (32 bits that decrease with the score, index): typed arrays sort numbers natively, many
  // times faster than with a comparison function.
  const bits = new Uint32Array(scores.map((score) => score + 0).buffer); // + 0 makes -0 equal 0
  const keys = new Float64Array(scores.length);
  for (let i = 0; i < keys.length; i++) {
    const word = bits[i]!;
    const falling = word >>> 31 === 1 ? word : ~(word | 0x80000000) >>> 0;
    keys[i] = falling * limit + i;
  }
  keys.sort();
  return Int32Array.from(keys, (key) => key % limit);
}
