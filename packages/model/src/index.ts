export { maskRcnnConfig, maskRcnnConfigSchema, parseMaskRcnnConfig } from "./config.ts";
export type { HeadNorm, MaskRcnnConfig, MaskRcnnOptions, Partially, SamplingConfig, TopKConfig } from "./config.ts";
export type { DetectOptions } from "./detect.ts";
export { createMaskRcnn } from "./mask-rcnn.ts";
export type { MaskRcnn } from "./mask-rcnn.ts";
export type { MaskRcnnParams } from "./params.ts";
export { numericsProfiles } from "./numerics.ts";
export type { Architecture, Numerics, NumericsProfile } from "./numerics.ts";
