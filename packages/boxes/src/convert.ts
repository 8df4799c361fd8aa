/** Conversion between corners and COCO's form of boxes. */

/**
 * Converts corners (x1, y1, x2, y2) to corner and size (x, y, width, height), [N * 4]; returns a new array.
 */
export function xyxyToXywhOnHost(boxes: Float32Array): Float32Array {
  return boxes.map((value, i) => (i % 4 < 2 ? value : value - boxes[i - 2]!));
}

/**
 * Converts corner and size (x, y, width, height), COCO's form, to corners (x1, y1, x2, y2), [N * 4]; returns
 * a new array.
 */
export function xywhToXyxyOnHost(boxes: Float32Array): Float32Array {
  return boxes.map((value, i) => (i % 4 < 2 ? value : value + boxes[i - 2]!));
}
