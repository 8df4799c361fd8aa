import { div, mean, reshape, sum, tensor2d, tidy } from "@tensorflow/tfjs-core";
import type { Scalar } from "@tensorflow/tfjs-core";
import { assertLength, assertShape } from "@mrcnn/core";
import type { BoxHeadOutput, RoiTargets } from "@mrcnn/core";
import { softmaxCrossEntropy } from "./cross-entropy.ts";
import { connectedZero, gatherRows } from "./gather-rows.ts";
import { BETA } from "./rpn-losses.ts";
import { smoothL1 } from "./smooth-l1.ts";

/**
 * The box head's losses, torchvision's normalisation: cross-entropy averaged over the RoIs, and
 * smooth-L1 (beta 1/9) of the positives' deltas, of their own class only, divided by the number of
 * RoIs. What has no samples is 0.
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
    loss_box_reg:
      positive.length === 0
        ? connectedZero(deltas)
        : (div(
            sum(
              smoothL1(
                gatherRows(reshape(deltas, [-1, 4]), positive.map((roi) => roi * classes + labels[roi]!)),
                tensor2d(targets.deltas, [positive.length, 4]),
                BETA,
              ),
            ),
            rois,
          ) as Scalar),
  }));
}
