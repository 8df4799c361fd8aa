/** Kernel of relu that propagates NaN. */
import type { KernelConfig } from "@tensorflow/tfjs-core";
import { allocate, builtin, call, kernel, sizeOf } from "../heap.ts";
import type { Inputs } from "../heap.ts";
import { address, inParts } from "../simd.ts";

const original = builtin("Relu");

/**
 * Computes max(x, 0) by assembly/relu.ts. TensorFlow.js's own kernel, XNNPACK's, compares bits as integers,
 * so that it returns 0 for a NaN whose sign is set, as x86 processors produce from inf - inf and 0 * inf:
 * broken values would look sound.
 */
export const relu: KernelConfig = kernel<Inputs<"x">, object>(
  "Relu",
  ({ inputs: { x }, attrs, backend }) => {
    if (x.dtype !== "float32") return call(original, backend, { x }, attrs);
    const y = allocate(backend, x.shape);
    const pointers = [x, y].map((info) => address(backend, info));
    inParts(backend, "relu", { total: sizeOf(x.shape), step: 4, least: 200_000 }, (first, last) => [
      ...pointers,
      first,
      last,
    ]);
    return y;
  },
  original,
);
