/** The chosen rows of boxes [N * 4]. */
export function gatherBoxes(boxes: Float32Array, indices: Int32Array): Float32Array {
  const chosen = new Float32Array(4 * indices.length);
  for (const [i, index] of indices.entries()) for (let k = 0; k < 4; k++) chosen[4 * i + k] = boxes[4 * index + k]!;
  return chosen;
}

/** Typed arrays of one kind, end to end. */
export function concat<T extends Float32Array | Int32Array>(kind: new (length: number) => T, parts: readonly T[]): T {
  const whole = new kind(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
