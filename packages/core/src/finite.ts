/** Search for NaN and infinity in arrays. */

/** Returns the index of the first NaN or infinity of `values`, or -1. */
export function firstNotFinite(values: ArrayLike<number>): number {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return i;
  return -1;
}
