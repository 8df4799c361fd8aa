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
