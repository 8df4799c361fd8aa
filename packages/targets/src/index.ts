/** The public names of @mrcnn/targets. */
export { maskTargets } from "./mask-targets.ts";
export { BELOW_LOW, BETWEEN, matchBoxes, matchToGroundTruth } from "./matcher.ts";
export type { MatchOptions } from "./matcher.ts";
export { roiTargets } from "./roi-targets.ts";
export type { RoiTargetConfig } from "./roi-targets.ts";
export { rpnTargets } from "./rpn-targets.ts";
export type { RpnTargetConfig } from "./rpn-targets.ts";
export { sampleBalanced } from "./sampler.ts";
export type { SampleOptions } from "./sampler.ts";
