/** The losses of the RPN, as torchvision's `compute_loss`. */
import { div, reshape, sum, tensor2d, tidy } from "@tensorflow/tfjs-core";
import type { Scalar } from "@tensorflow/tfjs-core";
import { assertLength } from "@mrcnn/core";
import type { RpnTargets } from "@mrcnn/core";
import type { RpnOutput } from "@mrcnn/core/tensors";
import { sigmoidCrossEntropy } from "./cross-entropy.ts";
import { connectedZero, gatherRows } from "./gather-rows.ts";
import { regressionLoss } from "./regression-loss.ts";

/**
 * Computes the RPN's losses with torchvision's normalisation: binary cross-entropy averaged over the sampled
 * anchors, and smooth-L1 (beta 1/9) of the positives' deltas divided by the number of sampled anchors. A loss
 * without samples is 0.
 */
export function rpnLosses(
  output: RpnOutput,
  targets: RpnTargets,
): { loss_objectness: Scalar; loss_rpn_box_reg: Scalar } {
  const { objectness, deltas } = output;
  const { positive, negative } = targets;
  assertLength(targets.deltas, 4 * positive.length, "rpnLosses", "targets.deltas");
  const sampled = positive.length + negative.length;
  return tidy(() => {
    if (sampled === 0)
      return { loss_objectness: connectedZero(objectness), loss_rpn_box_reg: connectedZero(deltas) };
    const indices = new Int32Array(sampled);
    indices.set(positive);
    indices.set(negative, positive.length);
    const labels = new Float32Array(sampled).fill(1, 0, positive.length);
    const logits = gatherRows(reshape(objectness, [-1, 1]), indices);
    const scored = sigmoidCrossEntropy(logits, tensor2d(labels, [sampled, 1]));
    return {
      loss_objectness: div(sum(scored), sampled) as Scalar,
      loss_rpn_box_reg: regressionLoss(deltas, positive, targets.deltas, sampled),
    };
  });
}
