/** The public names of @mrcnn/losses. */
export { boxLosses } from "./box-losses.ts";
export { sigmoidCrossEntropy, softmaxCrossEntropy } from "./cross-entropy.ts";
export { maskLoss } from "./mask-loss.ts";
export { rpnLosses } from "./rpn-losses.ts";
export { smoothL1 } from "./smooth-l1.ts";
