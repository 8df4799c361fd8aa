import type { KernelConfig } from "@tensorflow/tfjs-core";
import { registerKernels } from "@mrcnn/core";

/** Everything this package adds to backend "wasm". */
export const kernels: readonly KernelConfig[] = [];

/** Registers `kernels`; explicit and idempotent. */
export function registerWasmKernels(): void {
  registerKernels(kernels);
}
