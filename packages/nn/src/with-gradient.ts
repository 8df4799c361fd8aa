/** Operations with custom gradients, a variant of TensorFlow.js's `customGrad`. */
import { engine } from "@tensorflow/tfjs-core";
import type { NamedTensorMap, Tensor } from "@tensorflow/tfjs-core";

type Save = (tensors: Tensor[]) => void;
type Runner = {
  runKernelFunc<T>(call: {
    inputs: NamedTensorMap;
    forwardFunc: (backend: unknown, save: Save) => T;
    backwardsFunc: (dy: Tensor | Tensor[], saved: Tensor[]) => Record<string, () => Tensor>;
  }): T;
};

/**
 * Runs an operation with a custom gradient, like `tf.customGrad`, with two differences that training needs:
 * each input's gradient is computed only when it is needed (the images' is not, nor a frozen layer's), and
 * there may be several outputs. Gradients are computed in the order of `inputs`.
 *
 * `runKernelFunc`, which customGrad itself calls, is private in the types.
 */
export function withGradient<T extends Tensor | Tensor[]>(
  inputs: NamedTensorMap,
  forward: (save: Save) => T,
  backward: (dy: T, saved: Tensor[]) => Record<string, () => Tensor>,
): T {
  return (engine() as unknown as Runner).runKernelFunc<T>({
    inputs,
    forwardFunc: (_, save) => forward(save),
    backwardsFunc: (dy, saved) => backward(dy as T, saved),
  });
}
