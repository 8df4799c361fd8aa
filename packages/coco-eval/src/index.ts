export type { CocoAccumulated } from "./accumulate.ts";
export { evaluateCoco } from "./evaluate-coco.ts";
export type { CocoEvaluation, EvaluateCocoOptions } from "./evaluate-coco.ts";
export { createCocoEvaluator } from "./evaluator.ts";
export type { CocoDetection, CocoEvaluatedImage, CocoEvaluator, CocoGroundTruth } from "./evaluator.ts";
export { toCocoDetections, toCocoGroundTruth, toCocoResults } from "./from-detections.ts";
export { COCO_AREA_RANGES } from "./params.ts";
export type { AreaRange, CocoParams } from "./params.ts";
export type { CocoCategoryStats, CocoStats, PrecisionRecall } from "./summarize.ts";
