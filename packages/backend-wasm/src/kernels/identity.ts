/** Kernel of identity, without a copy. */
import type { KernelConfig } from "@tensorflow/tfjs-core";
import { builtin, kernel } from "../heap.ts";
import type { Inputs } from "../heap.ts";

/**
 * Returns the same values as another tensor by one more reference, where TensorFlow.js's wasm backend copies.
 */
export const identity: KernelConfig = kernel<Inputs<"x">, object>(
  "Identity",
  ({ inputs: { x }, backend }) => {
    backend.incRef(x.dataId);
    return { dataId: x.dataId, shape: x.shape, dtype: x.dtype };
  },
  builtin("Identity"),
);
