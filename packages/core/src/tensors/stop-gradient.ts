/** Detaching tensors from the gradient tape, as torch's `detach` and `no_grad`. */
import { engine } from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";

/**
 * Returns the same values detached from the tape: no gradient flows through, and operations without a
 * gradient (comparisons, top-k) may follow. Shares memory with `x`; the caller owns the result.
 */
export function stopGradient<T extends Tensor>(x: T): T {
  const backend = engine().backend;
  backend.incRef(x.dataId);
  return engine().makeTensorFromTensorInfo({ dataId: x.dataId, shape: x.shape, dtype: x.dtype }) as T;
}

type Runner = {
  runKernelFunc<T>(call: { inputs: object; forwardFunc: () => T; backwardsFunc: () => object }): T;
};

/**
 * Returns the result of `compute` without recording it on a tape: nothing is kept for a gradient, and none
 * flows back. For layers that aren't trained and whose inputs come only from such layers.
 */
export function offTape<T extends Tensor | Tensor[]>(compute: () => T): T {
  // An operation without inputs. `runKernelFunc`, which tf.customGrad itself calls, is private in the types.
  return (engine() as unknown as Runner).runKernelFunc<T>({
    inputs: {},
    forwardFunc: compute,
    backwardsFunc: () => ({}),
  });
}
