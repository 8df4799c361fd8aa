/** The public names of @mrcnn/coco-eval. */
export type { CocoAccumulated } from "./accumulate.ts";
export type { ErrorBreakdown, ErrorKind } from "./error-breakdown.ts";
export { evaluateCityscapes } from "./evaluate-cityscapes.ts";
export type {
  CityscapesEvaluation,
  CityscapesImage,
  EvaluateCityscapesOptions,
} from "./evaluate-cityscapes.ts";
export { evaluateCoco, evaluateCocoStream, needsOf } from "./evaluate-coco.ts";
export type { CocoEvaluation, EvaluateCocoOptions } from "./evaluate-coco.ts";
export { evaluateLvis } from "./evaluate-lvis.ts";
export type { LvisCategory, LvisImage, LvisJson, LvisStats } from "./evaluate-lvis.ts";
export { evaluateVoc } from "./evaluate-voc.ts";
export type { EvaluateVocOptions, VocBox, VocCategory, VocEvaluation, VocImage } from "./evaluate-voc.ts";
export { createCocoEvaluator } from "./evaluator.ts";
export type { CocoEvaluator } from "./evaluator.ts";
export { toCocoDetections, toCocoGroundTruth, toCocoResults } from "./from-detections.ts";
export { COCO_AREA_RANGES, COCO_KEYPOINT_SIGMAS } from "./params.ts";
export type { AreaRange, CocoParams, IouType } from "./params.ts";
export { readCocoResults } from "./read-results.ts";
export type { CocoDetection, CocoGroundTruth } from "./regions.ts";
export type { CocoCategoryStats, CocoStats, PrecisionRecall } from "./summarize.ts";
