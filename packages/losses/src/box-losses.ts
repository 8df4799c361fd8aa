/** The losses of the box head, as torchvision's `fastrcnn_loss`. */
import { mean, tidy } from "@tensorflow/tfjs-core";
import type { Scalar } from "@tensorflow/tfjs-core";
import { assertLength, assertShape } from "@mrcnn/core";
import type { RoiTargets } from "@mrcnn/core";
import type { BoxHeadOutput } from "@mrcnn/core/tensors";
import { softmaxCrossEntropy } from "./cross-entropy.ts";
import { connectedZero } from "./gather-rows.ts";
import { regressionLoss } from "./regression-loss.ts";

/**
 * Computes the box head's losses with torchvision's normalisation: cross-entropy averaged over the RoIs, and
 * smooth-L1 (beta 1/9) of the positives' deltas, of their own class only, divided by the number of RoIs. A
 * loss without samples is 0.
 */
export function boxLosses(
  output: BoxHeadOutput,
  targets: RoiTargets,
): { loss_classifier: Scalar; loss_box_reg: Scalar } {
  const { classLogits, deltas } = output;
  const { labels, positive } = targets;
  const [rois, classes] = classLogits.shape;
  assertLength(labels, rois, "boxLosses", "targets.labels");
  assertShape(deltas, [rois, 4 * classes], "boxLosses", "output.deltas");
  assertLength(targets.deltas, 4 * positive.length, "boxLosses", "targets.deltas");
  return tidy(() => ({
    loss_classifier:
      rois === 0 ? connectedZero(classLogits) : (mean(softmaxCrossEntropy(classLogits, labels)) as Scalar),
    loss_box_reg: regressionLoss(
      deltas,
      positive.map((roi) => roi * classes + labels[roi]!),
      targets.deltas,
      rois,
    ),
  }));
}
