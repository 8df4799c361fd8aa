import { matMul, mean, reshape, tensor3d, tidy } from "@tensorflow/tfjs-core";
import type { Scalar, Tensor4D } from "@tensorflow/tfjs-core";
import { assertLength } from "@mrcnn/core";
import { sigmoidCrossEntropy } from "./cross-entropy.ts";
import { connectedZero } from "./gather-rows.ts";

/**
 * Binary cross-entropy averaged over all pixels of the positives' masks, each of its own class only
 * (Mask R-CNN section 3: classes do not compete). Without positives it is an exact 0.
 *
 * @param logits [P, side, side, K].
 * @param labels int32 [P], the class of each positive RoI, in 1..K-1.
 * @param targets float32 [P * side * side] in [0, 1].
 */
export function maskLoss(logits: Tensor4D, labels: Int32Array, targets: Float32Array): Scalar {
  const [count, height, width, classes] = logits.shape;
  assertLength(labels, count, "maskLoss", "labels");
  assertLength(targets, count * height * width, "maskLoss", "targets");
  if (count === 0) return connectedZero(logits);
  const onehot = new Float32Array(count * classes);
  for (const [roi, label] of labels.entries()) onehot[roi * classes + label] = 1;
  return tidy(() => {
    const pixels = height * width;
    // A product with one-hot vectors picks the channel: its gradient is a product as well.
    const chosen = matMul(reshape(logits, [count, pixels, classes]), tensor3d(onehot, [count, classes, 1]));
    return mean(sigmoidCrossEntropy(chosen, tensor3d(targets, [count, pixels, 1]))) as Scalar;
  });
}
