/** Rounding as in Python. */

/**
 * Rounds to the nearest whole number, halves to the even neighbour, as numpy, torch and Python do, unlike
 * `Math.round`.
 */
export function roundHalfToEven(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest === 0.5) return low % 2 === 0 ? low : low + 1;
  return rest < 0.5 ? low : low + 1;
}
