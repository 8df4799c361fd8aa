/** Kernel of log softmax. */
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import { allocate, floats, kernel } from "../heap.ts";

/** Computes log(softmax) along the last axis, after subtracting the row's maximum. */
export const logSoftmax: KernelConfig = kernel<{ logits: TensorInfo }, { axis: number }>(
  "LogSoftmax",
  ({ inputs: { logits }, backend }) => {
    const width = logits.shape.at(-1)!;
    const out = allocate(backend, logits.shape);
    const from = floats(backend, logits);
    const to = floats(backend, out);
    for (let at = 0; at < from.length; at += width) {
      let top = -Infinity;
      for (let i = 0; i < width; i++) top = Math.max(top, from[at + i]!);
      let total = 0;
      for (let i = 0; i < width; i++) total += Math.exp(from[at + i]! - top);
      const shift = top + Math.log(total);
      for (let i = 0; i < width; i++) to[at + i] = from[at + i]! - shift;
    }
    return out;
  },
);
