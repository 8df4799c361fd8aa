import type { Tensor, Tensor1D } from "@tensorflow/tfjs-core";
import { runKernel } from "@mrcnn/core/tensors";
import { notFiniteContract } from "./kernel.ts";

/**
 * Whether float32 `x` of any shape holds NaN or infinity, told by the device: int32 [1], 0 where all is finite, else 1. The
 * caller owns it. Undefined where the backend has no kernel: read the values and look.
 */
export function notFiniteOnDevice(x: Tensor): Tensor1D | undefined {
  return runKernel<Tensor1D>(notFiniteContract, { x }, {});
}
