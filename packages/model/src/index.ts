export { maskRcnnConfig, maskRcnnConfigSchema, parseMaskRcnnConfig } from "./config.ts";
export type { MaskRcnnConfig, MaskRcnnOptions, SamplingConfig, TopKConfig } from "./config.ts";
export type { DetectOptions } from "./detect.ts";
export { createMaskRcnn } from "./mask-rcnn.ts";
export type { MaskRcnn } from "./mask-rcnn.ts";
export type { MaskRcnnParams } from "./params.ts";
