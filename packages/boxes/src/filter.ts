/** Removal of small boxes, as torchvision's `remove_small_boxes`. */

const f = Math.fround;

/**
 * Returns the indices, ascending, of the xyxy boxes [N * 4] whose width and height are both at least
 * `minSize` pixels (torchvision's `remove_small_boxes`).
 */
export function filterSmallBoxesOnHost(boxes: Float32Array, minSize: number): Int32Array {
  const least = f(minSize);
  const kept = new Int32Array(boxes.length / 4);
  let count = 0;
  for (let i = 0; i < kept.length; i++) {
    const width = f(boxes[i * 4 + 2]! - boxes[i * 4]!);
    const height = f(boxes[i * 4 + 3]! - boxes[i * 4 + 1]!);
    if (width >= least && height >= least) kept[count++] = i;
  }
  return kept.slice(0, count);
}
