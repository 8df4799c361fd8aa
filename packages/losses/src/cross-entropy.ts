/** Binary and softmax cross-entropy per value, with their gradients. */
import {
  abs,
  customGrad,
  div,
  exp,
  expandDims,
  log,
  log1p,
  max,
  mul,
  neg,
  relu,
  sigmoid,
  sub,
  sum,
  tensor2d,
  tidy,
  add,
} from "@tensorflow/tfjs-core";
import { assertLength, assertShape } from "@mrcnn/core";
import type { GradSaveFunc, Tensor, Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";

/**
 * Computes the binary cross-entropy of logits x and targets z in [0, 1], per value: max(x, 0) - x ·
 * z + ln(1 + e^-|x|), which overflows for no logit. The gradient, sigmoid(x) - z, goes to the logits only.
 */
export function sigmoidCrossEntropy<T extends Tensor>(logits: T, targets: T): T {
  assertShape(targets, logits.shape, "sigmoidCrossEntropy", "targets");
  const op = customGrad((input, save) => {
    const x = input as Tensor;
    const value = add(sub(relu(x), mul(x, targets)), log1p(exp(neg(abs(x)))));
    (save as GradSaveFunc)([sub(sigmoid(x), targets)]);
    return { value, gradFunc: (dy, [slope]) => mul(dy, slope!) };
  });
  return tidy(() => op(logits) as T);
}

/**
 * Computes the cross-entropy of logits [R, K] with the class of each row: [R]. The gradient is
 * softmax - one-hot.
 *
 * @param labels int32 [R], each in 0..K-1.
 */
export function softmaxCrossEntropy(logits: Tensor2D, labels: Int32Array): Tensor1D {
  const [rows, classes] = logits.shape;
  assertLength(labels, rows, "softmaxCrossEntropy", "labels");
  const onehot = new Float32Array(rows * classes);
  for (const [row, label] of labels.entries()) onehot[row * classes + label] = 1;
  const op = customGrad((input, save) => {
    const x = input as Tensor2D;
    const target = tensor2d(onehot, [rows, classes]);
    const shifted = sub(x, max(x, 1, true));
    const powers = exp(shifted);
    const total = sum(powers, 1, true);
    const value = sum(mul(target, sub(log(total), shifted)), 1);
    (save as GradSaveFunc)([sub(div(powers, total), target)]);
    return { value, gradFunc: (dy, [slope]) => mul(expandDims(dy, 1), slope!) };
  });
  return tidy(() => op(logits) as Tensor1D);
}
