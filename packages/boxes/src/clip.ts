/** Clipping of boxes to an image. */
import type { ImageSize } from "@mrcnn/core";

/** Clips xyxy boxes [N * 4] to [0, width] and [0, height]; returns a new array. */
export function clipBoxesOnHost(boxes: Float32Array, size: ImageSize): Float32Array {
  return boxes.map((value, i) => Math.min(Math.max(value, 0), i % 2 === 0 ? size.width : size.height));
}
