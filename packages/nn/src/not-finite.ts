/** The check for NaN and infinity on the device. */
import type { Tensor, Tensor1D } from "@tensorflow/tfjs-core";
import { runKernel } from "@mrcnn/core/tensors";
import { notFiniteContract } from "./kernel.ts";

/**
 * Tells on the device whether float32 `x` of any shape holds NaN or infinity: returns int32 [1], 0 where all
 * is finite, else 1, which the caller owns. Returns undefined where the backend has no kernel: read the
 * values and check them.
 */
export function notFiniteOnDevice(x: Tensor): Tensor1D | undefined {
  return runKernel<Tensor1D>(notFiniteContract, { x }, {});
}
