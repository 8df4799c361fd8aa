/** Selection of boxes by index. */

/** Returns the boxes [N * 4] at `indices`, in their order: [indices.length * 4]. */
export function gatherBoxesOnHost(boxes: Float32Array, indices: ArrayLike<number>): Float32Array {
  const chosen = new Float32Array(4 * indices.length);
  for (let i = 0; i < indices.length; i++)
    for (let k = 0; k < 4; k++) chosen[4 * i + k] = boxes[4 * indices[i]! + k]!;
  return chosen;
}
