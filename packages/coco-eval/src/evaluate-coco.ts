import { DatasetError } from "@mrcnn/core";
import type { Rle } from "@mrcnn/core";
import { parseCocoJson, rleArea, rleToBox, segmentationToRle } from "@mrcnn/masks";
import type { CocoAnnotation, CocoBox, CocoImage, CocoJson, CocoResult } from "@mrcnn/masks";
import { createCocoEvaluator } from "./evaluator.ts";
import type { CocoDetection, CocoGroundTruth } from "./evaluator.ts";
import type { CocoCategoryStats, CocoStats, PrecisionRecall } from "./summarize.ts";

/** How results are compared. */
export interface EvaluateCocoOptions {
  readonly iouType: "bbox" | "segm";
  /** Three limits, [1, 10, 100] by default; the last is the one AP goes by. */
  readonly maxDetections?: readonly number[];
}

/** All that `evaluateCoco` finds. */
export interface CocoEvaluation {
  readonly stats: CocoStats;
  readonly perCategory: readonly CocoCategoryStats[];
  readonly precisionRecall: PrecisionRecall;
}

/**
 * Scores the entries of a COCO results file against an annotation file, as pycocotools' `loadRes` and
 * `COCOeval` do: an entry with a box has the box's area, by "segm" too, and one without has its mask's
 * area and box. Leave `bbox` out of mask results to have sizes go by the mask.
 *
 * @throws DatasetError naming the annotation or the place in `results`: an unknown image or category,
 * an id used twice, a score that is not a number, a negative size, a mask that doesn't fit its image, keypoints that are no triples.
 */
export function evaluateCoco(groundTruth: CocoJson, results: readonly CocoResult[], options: EvaluateCocoOptions): CocoEvaluation {
  const { iouType } = options;
  const { images, annotations, categories } = parseCocoJson(groundTruth, "evaluateCoco: groundTruth", { emptyBoxes: "keep" });
  if (!Array.isArray(results)) throw new DatasetError(`evaluateCoco: results must be a list, got ${JSON.stringify(results)?.slice(0, 60)}.`);
  const categoryIds = new Set(categories.map(({ id }) => id));
  const byImage = new Map(images.map((image) => [image.id, { image, annotations: [] as CocoAnnotation[], results: [] as number[] }]));
  for (const annotation of annotations) byImage.get(annotation.image_id)!.annotations.push(annotation);
  results.forEach((result, i) => {
    const where = `evaluateCoco: results[${i}]`;
    const entry = byImage.get(result?.image_id);
    if (entry === undefined) throw new DatasetError(`${where}: image_id must be the id of an image of the ground truth, got ${result?.image_id}.`);
    if (!categoryIds.has(result.category_id)) {
      throw new DatasetError(`${where}: category_id must be the id of a category of the ground truth, got ${result.category_id}.`);
    }
    if (!Number.isFinite(result.score)) throw new DatasetError(`${where}: score must be a finite number, got ${result.score}.`);
    checkKeypoints(result, where);
    entry.results.push(i);
  });

  const evaluator = createCocoEvaluator({ ...options, categories });
  for (const { image, annotations, results: places } of byImage.values()) {
    evaluator.add({
      imageId: image.id,
      groundTruth: annotations.map((annotation) => readAnnotation(annotation, image, iouType)),
      detections: places.map((i) => readResult(results[i]!, image, iouType, `evaluateCoco: results[${i}]`)),
    });
  }
  return { stats: evaluator.summarize(), perCategory: evaluator.perCategory(), precisionRecall: evaluator.precisionRecall() };
}

function readAnnotation(annotation: CocoAnnotation, image: CocoImage, iouType: "bbox" | "segm"): CocoGroundTruth {
  const { id, category_id, bbox, segmentation, area, iscrowd } = annotation;
  const where = `evaluateCoco: groundTruth: annotation ${id}`;
  const common = { categoryId: category_id, isCrowd: Boolean(iscrowd), ...(area === undefined ? {} : { area }) };
  if (iouType === "bbox") return { ...common, bbox: checkBox(bbox, where) };
  return { ...common, mask: readMask(segmentation, image, where) };
}

function readResult(result: CocoResult, image: CocoImage, iouType: "bbox" | "segm", where: string): CocoDetection {
  const { category_id, score, segmentation } = result;
  const bbox = result.bbox === undefined ? undefined : checkBox(result.bbox, where);
  const common = { categoryId: category_id, score };
  if (iouType === "bbox") return { ...common, bbox: bbox ?? rleToBox(readMask(segmentation, image, where, "bbox")) };
  const mask = readMask(segmentation, image, where);
  return { ...common, mask, area: bbox === undefined ? rleArea(mask) : bbox[2] * bbox[3] };
}

function checkBox(bbox: CocoBox, where: string): CocoBox {
  if (!(Array.isArray(bbox) && bbox.length === 4 && bbox.every(Number.isFinite) && bbox[2]! >= 0 && bbox[3]! >= 0)) {
    throw new DatasetError(`${where}: bbox must be [x, y, width, height] with sizes >= 0, got ${JSON.stringify(bbox)}.`);
  }
  return bbox;
}

function checkKeypoints({ keypoints, keypoint_scores: scores }: CocoResult, where: string): void {
  const show = (value: unknown): string => JSON.stringify(value)?.slice(0, 60) ?? "none";
  const isNumbers = (value: unknown): value is readonly number[] => Array.isArray(value) && value.every((v) => Number.isFinite(v));
  if (keypoints !== undefined && !(isNumbers(keypoints) && keypoints.length % 3 === 0)) {
    throw new DatasetError(`${where}: keypoints must be (x, y, visibility) of each keypoint, flat, got ${show(keypoints)}.`);
  }
  if (scores !== undefined && !(isNumbers(scores) && 3 * scores.length === keypoints?.length)) {
    throw new DatasetError(`${where}: keypoint_scores must hold a number for each keypoint, got ${show(scores)} for ${(keypoints?.length ?? 0) / 3} of them.`);
  }
}

function readMask(segmentation: CocoResult["segmentation"], image: CocoImage, where: string, key = "segmentation"): Rle {
  if (segmentation === undefined) throw new DatasetError(`${where}: must have a ${key} to be evaluated, got none.`);
  return segmentationToRle(segmentation, image, where);
}
