/** Ground truth of a single class. */
import type { Bitmap, GroundTruth } from "@mrcnn/core";
import { bitmapBox } from "@mrcnn/masks";

/** Returns objects of class 1, none a crowd, with the boxes of their masks. */
export const oneClass = (masks: readonly Bitmap[]): GroundTruth => ({
  boxes: Float32Array.from(masks.flatMap((mask) => [...bitmapBox(mask)])),
  labels: new Int32Array(masks.length).fill(1),
  masks,
  isCrowd: new Uint8Array(masks.length),
});
