/** Kernel of relu's gradient. */
import type { KernelConfig } from "@tensorflow/tfjs-core";
import { RELU_GRAD } from "@mrcnn/nn/kernel";
import { kernel, opAttrs } from "../tensorflow-backend.ts";

/** Computes `RELU_GRAD` in one pass. */
export const reluGrad: KernelConfig = kernel<"dy" | "y", object>(
  RELU_GRAD,
  ({ inputs: { dy, y }, backend }) => backend.executeSingleOutput("ReluGrad", opAttrs(backend, {}), [dy, y]),
);
