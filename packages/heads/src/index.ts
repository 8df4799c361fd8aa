export { applyBoxHead, initBoxHead } from "./box-head.ts";
export type { BoxHeadConfig, BoxHeadParams } from "./box-head.ts";
export { applyMaskHead, applyMaskHeadOfLabels, initMaskHead } from "./mask-head.ts";
export type { MaskHeadConfig, MaskHeadParams } from "./mask-head.ts";
export { selectDetections } from "./select-detections.ts";
export type { DetectionConfig } from "./select-detections.ts";
