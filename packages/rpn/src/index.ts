/** The public names of @mrcnn/rpn. */
export { readRois, selectProposalsOnDevice } from "./proposals-on-device.ts";
export { applyRpnHead, initRpnHead } from "./rpn-head.ts";
export type { RpnHeadConfig, RpnHeadParams } from "./rpn-head.ts";
export { selectProposals } from "./select-proposals.ts";
export type { ProposalConfig } from "./select-proposals.ts";
