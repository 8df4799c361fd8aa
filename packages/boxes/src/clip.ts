import type { ImageSize } from "@mrcnn/core";

/** Moves the corners of xyxy boxes [N * 4] into [0, width] and [0, height]; a new array. */
export function clipBoxesOnHost(boxes: Float32Array, size: ImageSize): Float32Array {
  return boxes.map((value, i) => Math.min(Math.max(value, 0), i % 2 === 0 ? size.width : size.height));
}
