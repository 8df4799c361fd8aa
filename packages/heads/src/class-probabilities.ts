/** Softmax with the rounding of torch's CPU kernel. */

// Lanes of torch's AVX2 kernel.
const LANES = 8;

/**
 * Computes the softmax of each row of `logits` [R * K] over its `classes` K, in float32 and in the order of
 * torch's AVX2 kernel: sums in eight lanes, then adds halves of the lanes, then multiplies by the reciprocal
 * of the sum. So scores near 1 tie, or don't, as torch's do, and suppression, which orders by them, processes
 * the same boxes first.
 */
export function classProbabilities(logits: Float32Array, classes: number): Float32Array {
  const f = Math.fround;
  const scores = new Float32Array(logits.length);
  const lanes = new Float32Array(LANES);
  for (let from = 0; from < logits.length; from += classes) {
    let max = -Infinity;
    for (let k = 0; k < classes; k++) max = Math.max(max, logits[from + k]!);
    lanes.fill(0);
    for (let k = 0; k < classes; k++) {
      scores[from + k] = Math.exp(f(logits[from + k]! - max));
      lanes[k % LANES]! += scores[from + k]!;
    }
    if (classes < LANES) for (let k = 1; k < classes; k++) lanes[0]! += lanes[k]!;
    else
      for (let half = LANES / 2; half >= 1; half /= 2)
        for (let k = 0; k < half; k++) lanes[k]! += lanes[k + half]!;
    const reciprocal = f(1 / lanes[0]!);
    for (let k = 0; k < classes; k++) scores[from + k]! *= reciprocal;
  }
  return scores;
}
