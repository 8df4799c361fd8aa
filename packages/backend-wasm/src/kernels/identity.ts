import type { KernelConfig } from "@tensorflow/tfjs-core";
import { builtin, kernel } from "../heap.ts";
import type { Inputs } from "../heap.ts";

/** The same values under another tensor: one more reference, where TensorFlow.js's wasm copies. */
export const identity: KernelConfig = kernel<Inputs<"x">, object>(
  "Identity",
  ({ inputs: { x }, backend }) => {
    backend.incRef(x.dataId);
    return { dataId: x.dataId, shape: x.shape, dtype: x.dtype };
  },
  builtin("Identity"),
);
