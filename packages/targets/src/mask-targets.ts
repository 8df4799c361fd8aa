/** Targets of the mask head, as torchvision's `project_masks_on_boxes`. */
import { gatherBoxesOnHost } from "@mrcnn/boxes";
import { ShapeError } from "@mrcnn/core";
import type { Bitmap, GroundTruth, RoiTargets } from "@mrcnn/core";
import { cropMasks } from "@mrcnn/masks";

/**
 * Returns the target masks of the positive RoIs: the mask of each RoI's object, cropped to the RoI and
 * resized.
 *
 * @param side the mask head's resolution (28 in the paper).
 * @returns float32 [P * side * side] in [0, 1], in the order of `targets.positive`; the values are soft at
 * the borders, as torchvision's.
 * @throws ShapeError when an image has objects without masks.
 */
export function maskTargets(
  targets: RoiTargets,
  groundTruth: readonly GroundTruth[],
  side: number,
): Float32Array {
  const masks: Bitmap[] = [];
  for (const [i, roi] of targets.positive.entries()) {
    const image = targets.rois.imageIndex[roi]!;
    const object = targets.matchedGt[i]!;
    const mask = groundTruth[image]?.masks[object];
    if (mask === undefined) {
      throw new ShapeError(
        `maskTargets: groundTruth[${image}].masks must hold a mask of object ${object}, ` +
          `got ${groundTruth[image]?.masks.length ?? 0} masks. Train without a mask head, or add masks to the data.`,
      );
    }
    masks.push(mask);
  }
  return cropMasks(masks, gatherBoxesOnHost(targets.rois.boxes, targets.positive), side);
}
