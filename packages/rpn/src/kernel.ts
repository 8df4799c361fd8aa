/** The contract of the kernel that selects proposals, for the backends that accelerate it. */
import type { NamedTensorInfoMap } from "@tensorflow/tfjs-core";
import type { KernelContract } from "@mrcnn/core/tensors";
import type { ProposalConfig } from "./select-proposals.ts";

/**
 * Selection of proposals: takes `SelectProposalsInputs` and `SelectProposalsAttrs`, returns boxes float32
 * [B * P, 4]. Has no gradient.
 */
export const SELECT_PROPOSALS = "MrcnnSelectProposals";

/**
 * Inputs of `MrcnnSelectProposals`: `objectness` float32 [B, A]; `deltas` [B, A, 4]; `anchors` [A, 4];
 * `sizes` [B, 2], height and width of each image before padding.
 */
export type SelectProposalsInputs = Pick<NamedTensorInfoMap, "objectness" | "deltas" | "anchors" | "sizes">;

/**
 * Attributes of the kernel `MrcnnSelectProposals`. The number of rows per image P is the smaller of
 * `postNmsTopK` and the number of anchors that the levels contribute. An image's proposals come first, best
 * first; the rest of its P rows are -1.
 */
export interface SelectProposalsAttrs extends ProposalConfig {
  readonly levelCounts: readonly number[];
}

/** The contract of `MrcnnSelectProposals`. */
export const selectProposalsContract: KernelContract<SelectProposalsAttrs> = {
  name: SELECT_PROPOSALS,
  attributes: [
    "levelCounts",
    "preNmsTopK",
    "postNmsTopK",
    "nmsThreshold",
    "minSize",
    "scoreThreshold",
    "weights",
    "decoding",
    "suppression",
    "levels",
    "chooseBy",
    "suppressBy",
    "fill",
  ],
};

/** Returns the number of the output's rows for each image, P. */
export const proposalsPerImage = ({ levelCounts, preNmsTopK, postNmsTopK }: SelectProposalsAttrs): number =>
  Math.min(
    postNmsTopK,
    levelCounts.reduce((sum, count) => sum + Math.min(count, preNmsTopK), 0),
  );
