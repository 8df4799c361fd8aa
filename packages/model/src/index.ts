export { maskRcnnConfig, maskRcnnConfigSchema, parseMaskRcnnConfig } from "./config.ts";
export type { MaskRcnnConfig, MaskRcnnOptions } from "./config.ts";
export type { DetectOptions } from "./detect.ts";
export { anchorConfig, createMaskRcnn } from "./mask-rcnn.ts";
export type { MaskRcnn, MaskRcnnParams } from "./mask-rcnn.ts";
