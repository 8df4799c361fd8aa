/** Conversion of detections and ground truth to the evaluator's and COCO's forms. */
import { assertLength } from "@mrcnn/core";
import type { CocoId, Detections, GroundTruth, Keypoints } from "@mrcnn/core";
import { encodeRle, rleArea, rleToString } from "@mrcnn/masks";
import type { CocoBox, CocoResult } from "@mrcnn/masks";
import type { CocoDetection, CocoGroundTruth } from "./regions.ts";

const boxAt = (boxes: Float32Array, i: number): CocoBox => {
  const [x1, y1, x2, y2] = boxes.subarray(4 * i, 4 * i + 4) as unknown as [number, number, number, number];
  return [x1, y1, x2 - x1, y2 - y1];
};

/**
 * Converts the objects of an image for the evaluator. `categoryIds[label]` is the label's category id; index
 * 0 is not used.
 */
export function toCocoGroundTruth(
  groundTruth: GroundTruth,
  categoryIds: readonly CocoId[],
): CocoGroundTruth[] {
  return Array.from(groundTruth.labels, (label, i) => {
    const bitmap = groundTruth.masks[i];
    const mask = bitmap === undefined ? undefined : encodeRle(bitmap);
    return {
      categoryId: categoryIds[label]!,
      bbox: boxAt(groundTruth.boxes, i),
      // COCO's area is the mask's, for "bbox" too.
      ...(mask === undefined ? {} : { mask, area: rleArea(mask) }),
      isCrowd: groundTruth.isCrowd[i] === 1,
    };
  });
}

/** Converts the detections of an image for the evaluator, in its original pixels. */
export function toCocoDetections(detections: Detections, categoryIds: readonly CocoId[]): CocoDetection[] {
  return Array.from(detections.labels, (label, i) => {
    const mask = detections.masks?.[i];
    return {
      categoryId: categoryIds[label]!,
      score: detections.scores[i]!,
      bbox: boxAt(detections.boxes, i),
      ...(mask === undefined ? {} : { mask }),
    };
  });
}

/**
 * Converts the detections of an image to entries of a COCO results file: masks as compressed run lengths,
 * keypoints as (x, y, visibility) with their scores in `keypoint_scores`.
 *
 * @throws ShapeError when the number of keypoints doesn't fit the boxes.
 */
export function toCocoResults(
  imageId: CocoId,
  detections: Detections,
  categoryIds: readonly CocoId[],
): CocoResult[] {
  const { keypoints } = detections;
  if (keypoints !== undefined) {
    const all = detections.labels.length * keypoints.count;
    assertLength(keypoints.points, 3 * all, "toCocoResults", "keypoints.points");
    assertLength(keypoints.scores, all, "toCocoResults", "keypoints.scores");
  }
  return toCocoDetections(detections, categoryIds).map(({ categoryId, score, bbox, mask }, i) => ({
    image_id: imageId,
    category_id: categoryId,
    score,
    bbox: bbox!,
    ...(mask === undefined ?
      {}
    : { segmentation: { size: [mask.size.height, mask.size.width] as const, counts: rleToString(mask) } }),
    ...(keypoints === undefined ? {} : keypointsAt(keypoints, i)),
  }));
}

const keypointsAt = (
  { count, points, scores }: Keypoints,
  i: number,
): Pick<CocoResult, "keypoints" | "keypoint_scores"> => ({
  keypoints: [...points.subarray(3 * count * i, 3 * count * (i + 1))],
  keypoint_scores: [...scores.subarray(count * i, count * (i + 1))],
});
