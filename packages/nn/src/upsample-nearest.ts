import { image } from "@tensorflow/tfjs-core";
import type { Tensor4D } from "@tensorflow/tfjs-core";
import type { ImageSize } from "@mrcnn/core";

/** Nearest-neighbour resize of `x` [B, H, W, C]: output pixel i reads input pixel floor(i * in / out), as torch's `nearest`. */
export function upsampleNearest(x: Tensor4D, size: ImageSize): Tensor4D {
  return image.resizeNearestNeighbor(x, [size.height, size.width]);
}
