import { maximum, minimum, tensor1d, tidy } from "@tensorflow/tfjs-core";
import { assertShape } from "@mrcnn/core";
import type { Boxes, ImageSize } from "@mrcnn/core";

/** Moves the corners of xyxy boxes [N, 4] into [0, width] and [0, height]. */
export function clipBoxes(boxes: Boxes, size: ImageSize): Boxes {
  assertShape(boxes, [null, 4], "clipBoxes", "boxes");
  const { height, width } = size;
  return tidy(() => minimum(maximum(boxes, 0), tensor1d([width, height, width, height])));
}

/** Moves the corners of xyxy boxes [N * 4] into [0, width] and [0, height]; a new array. */
export function clipBoxesOnHost(boxes: Float32Array, size: ImageSize): Float32Array {
  return boxes.map((value, i) => Math.min(Math.max(value, 0), i % 2 === 0 ? size.width : size.height));
}
