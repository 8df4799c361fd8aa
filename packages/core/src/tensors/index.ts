/**
 * The public names of @mrcnn/core/tensors, which need TensorFlow.js: kernels and their contracts, the
 * gradient tape, and records of tensors.
 */
export { hasKernel, registerKernels, replaceKernels, runKernel, runKernelOr } from "./kernel.ts";
export type { KernelContract, PartialKernelFunc } from "./kernel.ts";
export { offTape, stopGradient } from "./stop-gradient.ts";
export type * from "./types.ts";
