/** Balanced sampling of positives and negatives, as torchvision's BalancedPositiveNegativeSampler. */
import type { Random } from "@mrcnn/core";

/** Options of the sampling. */
export interface SampleOptions {
  /** Largest number of samples per image. */
  readonly batchSize: number;
  /** The largest share of positives, in [0, 1]; missing positives are replaced by negatives. */
  readonly positiveFraction: number;
}

// Returns the first `count` values of a Fisher-Yates shuffle, in ascending order again.
function draw(from: Int32Array, count: number, random: Random): Int32Array {
  if (count >= from.length) return from;
  for (let i = 0; i < count; i++) {
    const j = i + random.int(from.length - i);
    const kept = from[i]!;
    from[i] = from[j]!;
    from[j] = kept;
  }
  return from.slice(0, count).sort();
}

/**
 * Draws positives (label > 0) and negatives (label 0) without replacement; other labels are left out. The
 * numbers of each are those of torchvision's `BalancedPositiveNegativeSampler`, the random choice is not.
 *
 * @param labels int32 [N].
 * @returns indices into `labels`, ascending.
 */
export function sampleBalanced(
  labels: Int32Array,
  options: SampleOptions,
  random: Random,
): { positive: Int32Array; negative: Int32Array } {
  const positive = new Int32Array(labels.length);
  const negative = new Int32Array(labels.length);
  let p = 0;
  let n = 0;
  for (let i = 0; i < labels.length; i++) {
    if (labels[i]! > 0) positive[p++] = i;
    else if (labels[i] === 0) negative[n++] = i;
  }
  const wanted = Math.min(p, Math.trunc(options.batchSize * options.positiveFraction));
  return {
    positive: draw(positive.slice(0, p), wanted, random),
    negative: draw(negative.slice(0, n), Math.min(n, options.batchSize - wanted), random),
  };
}
