/** Kernel of gather. */
import type { KernelConfig } from "@tensorflow/tfjs-core";
import { allocate, builtin, call, floats, ints, kernel, sizeOf } from "../heap.ts";
import type { Inputs } from "../heap.ts";

const original = builtin("GatherV2");

interface Attrs {
  readonly axis: number;
  readonly batchDims?: number;
}

/** Copies whole rows at once. Short rows, other types and invalid indices are left to TensorFlow.js. */
export const gather: KernelConfig = kernel<Inputs<"x" | "indices">, Attrs>(
  "GatherV2",
  ({ inputs: { x, indices }, attrs, backend }) => {
    const axis = attrs.axis < 0 ? attrs.axis + x.shape.length : attrs.axis;
    const width = sizeOf(x.shape.slice(axis + 1));
    const rows = x.shape[axis]!;
    const isOurs =
      (attrs.batchDims ?? 0) === 0 && x.dtype === "float32" && indices.dtype === "int32" && width >= 8;
    if (!isOurs || !ints(backend, indices).every((row) => row >= 0 && row < rows))
      return call(original, backend, { x, indices }, attrs);
    const outer = sizeOf(x.shape.slice(0, axis));
    const out = allocate(backend, [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)]);
    const [from, to, chosen] = [floats(backend, x), floats(backend, out), ints(backend, indices)];
    for (let o = 0, at = 0; o < outer; o++) {
      for (const row of chosen) {
        const start = (o * rows + row) * width;
        to.set(from.subarray(start, start + width), at);
        at += width;
      }
    }
    return out;
  },
  original,
);
