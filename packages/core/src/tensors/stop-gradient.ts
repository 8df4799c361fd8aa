import { engine } from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";

/**
 * The same values, cut from the tape: no gradient flows through, and ops without a gradient
 * (comparisons, top-k) may follow. Shares memory with `x`; the caller owns the result.
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
 * What `compute` returns, none of it recorded on a tape: nothing is kept for a gradient, and none flows
 * back. For layers that aren't trained and see only such layers' outputs.
 */
export function offTape<T extends Tensor | Tensor[]>(compute: () => T): T {
  // An op without inputs; `runKernelFunc` is private in the types, and what tf.customGrad itself calls.
  return (engine() as unknown as Runner).runKernelFunc<T>({
    inputs: {},
    forwardFunc: compute,
    backwardsFunc: () => ({}),
  });
}
