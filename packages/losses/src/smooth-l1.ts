/** Smooth-L1 per value (Fast R-CNN, equation 3), as torchvision. */
import { abs, clipByValue, customGrad, div, minimum, mul, neg, sub, tidy } from "@tensorflow/tfjs-core";
import { assertShape } from "@mrcnn/core";
import type { GradSaveFunc, Tensor } from "@tensorflow/tfjs-core";

/**
 * Returns per value d² / (2 · beta) where |d| = |prediction - target| is below beta, |d| - beta / 2 beyond.
 *
 * Fast R-CNN equation 3 with torchvision's `beta` (1 in the paper, 1/9 in torchvision). Both arguments have
 * the same shape, and both get gradients.
 */
export function smoothL1<T extends Tensor>(prediction: T, target: T, beta: number): T {
  assertShape(target, prediction.shape, "smoothL1", "target");
  const op = customGrad((a, b, save) => {
    const d = sub(a as Tensor, b as Tensor);
    const size = abs(d);
    const inner = minimum(size, beta);
    // inner · (|d| - inner / 2) / beta is the parabola below beta and the line beyond it.
    const value = div(mul(inner, sub(size, div(inner, 2))), beta);
    (save as GradSaveFunc)([clipByValue(div(d, beta), -1, 1)]);
    return {
      value,
      gradFunc: (dy, [slope]) => {
        const towards = mul(dy, slope!);
        return [towards, neg(towards)];
      },
    };
  });
  return tidy(() => op(prediction, target) as T);
}
