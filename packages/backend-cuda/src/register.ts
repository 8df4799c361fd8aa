import type { KernelConfig } from "@tensorflow/tfjs-core";
import { registerKernels } from "@mrcnn/core";

/** Everything this package adds to backend "tensorflow". */
export const kernels: readonly KernelConfig[] = [];

/** Registers `kernels`; explicit and idempotent. */
export function registerCudaKernels(): void {
  registerKernels(kernels);
}
