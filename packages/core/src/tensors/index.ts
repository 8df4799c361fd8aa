/** The half of core that needs TensorFlow.js: kernels and their contracts, the tape, and records of tensors. */
export { hasKernel, registerKernels, replaceKernels, runKernel, runKernelOr } from "./kernel.ts";
export type { KernelContract, PartialKernelFunc } from "./kernel.ts";
export { offTape, stopGradient } from "./stop-gradient.ts";
export type * from "./types.ts";
