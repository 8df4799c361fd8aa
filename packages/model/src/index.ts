/** The public names of @mrcnn/model. */
export { assertWeightsFit, assertWeightsSound } from "./check-weights.ts";
export type { SayConfig } from "./check-weights.ts";
export { maskRcnnConfig, maskRcnnConfigSchema, parseMaskRcnnConfig } from "./parse-config.ts";
export type {
  HeadNorm,
  MaskRcnnConfig,
  MaskRcnnOptions,
  Partially,
  NormSettings,
  SamplingConfig,
  TopKConfig,
} from "./config.ts";
export { mergeConfig } from "./defaults.ts";
export { dryRun } from "./dry-run.ts";
export { inferMaskRcnnConfig } from "./infer-config.ts";
export type { InferOptions, InferredConfig } from "./infer-config.ts";
export type { DescribeOptions, Description } from "./describe.ts";
export { assertSizesAgree, detectRules } from "./input.ts";
export type { DetectOptions } from "./input.ts";
export { createMaskRcnn } from "./mask-rcnn.ts";
export type { MaskRcnn } from "./mask-rcnn.ts";
export type { MaskRcnnParams } from "./params.ts";
export { parseCategories, parseRun } from "./stated.ts";
export type { StatedRun } from "./stated.ts";
export { numericsProfiles } from "./numerics.ts";
export type { Architecture, Numerics, NumericsProfile } from "./numerics.ts";
export type { Within } from "./stages.ts";
export { parameterCount, weightShapes } from "./weight-shapes.ts";
