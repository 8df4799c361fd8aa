import type { KernelConfig } from "@tensorflow/tfjs-core";
import { registerKernels } from "@mrcnn/core";
import { roiAlignGradConfig } from "@mrcnn/roi-align/kernel";
import { roiAlign, roiAlignGrad } from "./kernels/roi-align.ts";

/** Everything this package adds to backend "tensorflow". */
export const kernels: readonly KernelConfig[] = [roiAlign, roiAlignGrad];

/** Registers `kernels` and their gradients; explicit and idempotent. */
export function registerCudaKernels(): void {
  registerKernels(kernels, [roiAlignGradConfig]);
}
