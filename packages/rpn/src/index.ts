export { selectProposals } from "./select-proposals.ts";
export type { ProposalConfig } from "./select-proposals.ts";
