/** The loss of the mask head (Mask R-CNN, section 3), as torchvision's `maskrcnn_loss`. */
import {
  customGrad,
  matMul,
  mean,
  reshape,
  scatterND,
  tensor2d,
  tensor3d,
  tidy,
} from "@tensorflow/tfjs-core";
import type { Scalar, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import { assertLength } from "@mrcnn/core";
import { sigmoidCrossEntropy } from "./cross-entropy.ts";
import { connectedZero } from "./gather-rows.ts";

/**
 * Computes the binary cross-entropy averaged over all pixels of the positives' masks, each of its own class
 * only (Mask R-CNN section 3: classes do not compete). Without positives it is an exact 0.
 *
 * @param logits float32 [P, side, side, K].
 * @param labels int32 [P], the class of each positive RoI, in 1..K-1.
 * @param targets float32 [P * side * side] in [0, 1].
 */
export function maskLoss(logits: Tensor4D, labels: Int32Array, targets: Float32Array): Scalar {
  const [count, height, width, classes] = logits.shape;
  const pixels = height * width;
  assertLength(labels, count, "maskLoss", "labels");
  assertLength(targets, count * pixels, "maskLoss", "targets");
  if (count === 0) return connectedZero(logits);
  return tidy(() => {
    const chosen = pickChannel(reshape(logits, [count, pixels, classes]), labels);
    return mean(sigmoidCrossEntropy(chosen, tensor3d(targets, [count, pixels, 1]))) as Scalar;
  });
}

/**
 * Returns channel `labels[p]` of item p: [P, pixels, K] to [P, pixels, 1]. A product with one-hot vectors
 * reads it fastest, a scatter writes its gradient fastest (both measured on wasm).
 */
function pickChannel(x: Tensor3D, labels: Int32Array): Tensor3D {
  const [count, pixels, classes] = x.shape;
  const op = customGrad((input) => {
    const onehot = new Float32Array(count * classes);
    for (const [p, label] of labels.entries()) onehot[p * classes + label] = 1;
    return {
      value: matMul(input as Tensor3D, tensor3d(onehot, [count, classes, 1])),
      gradFunc: (dy) =>
        tidy(() => {
          const at = new Int32Array(count * pixels);
          for (let i = 0; i < at.length; i++) at[i] = i * classes + labels[Math.trunc(i / pixels)]!;
          const flat = scatterND(tensor2d(at, [at.length, 1], "int32"), reshape(dy, [-1]), [x.size]);
          return reshape(flat, [count, pixels, classes]);
        }),
    };
  });
  return op(x) as Tensor3D;
}
