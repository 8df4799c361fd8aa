/** Kernel of relu's gradient. */
import type { KernelConfig } from "@tensorflow/tfjs-core";
import { RELU_GRAD } from "@mrcnn/nn/kernel";
import { allocate, kernel, sizeOf } from "../heap.ts";
import type { Inputs } from "../heap.ts";
import { address, inParts } from "../simd.ts";

/** Returns dy where the output was positive, in one pass, by assembly/relu-gradient.ts. */
export const reluGrad: KernelConfig = kernel<Inputs<"dy" | "y">, object>(
  RELU_GRAD,
  ({ inputs: { dy, y }, backend }) => {
    const dx = allocate(backend, dy.shape);
    const pointers = [dy, y, dx].map((info) => address(backend, info));
    inParts(backend, "reluGradient", { total: sizeOf(dy.shape), step: 4, least: 200_000 }, (first, last) => [
      ...pointers,
      first,
      last,
    ]);
    return dx;
  },
);
