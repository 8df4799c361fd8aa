/** Concatenation of typed arrays. */

/** Concatenates typed arrays of the same kind. */
export function concat<T extends Float32Array | Int32Array>(
  kind: new (length: number) => T,
  parts: readonly T[],
): T {
  const whole = new kind(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
