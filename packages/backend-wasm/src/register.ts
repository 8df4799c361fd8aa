/** Registers this package's kernels with backend "wasm". */
import { getKernel, unregisterKernel } from "@tensorflow/tfjs-core";
import type { KernelConfig } from "@tensorflow/tfjs-core";
import { registerKernels } from "@mrcnn/core/tensors";
import { groupNormGradConfig } from "@mrcnn/nn/kernel";
import { roiAlignGradConfig } from "@mrcnn/roi-align/kernel";
import { conv2d, fusedConv2d } from "./kernels/conv2d.ts";
import { conv2dBackpropFilter } from "./kernels/conv2d-backprop-filter.ts";
import { conv2dBackpropInput } from "./kernels/conv2d-backprop-input.ts";
import { gather } from "./kernels/gather.ts";
import { groupNorm, groupNormGrad } from "./kernels/group-norm.ts";
import { identity } from "./kernels/identity.ts";
import { logSoftmax } from "./kernels/log-softmax.ts";
import { batchMatMul, fusedMatMul } from "./kernels/mat-mul.ts";
import { maxPoolGrad } from "./kernels/max-pool-grad.ts";
import { pad } from "./kernels/pad.ts";
import { mean, sum } from "./kernels/reduce.ts";
import { relu } from "./kernels/relu.ts";
import { reluGrad } from "./kernels/relu-grad.ts";
import { resizeNearestNeighborGrad } from "./kernels/resize-nearest-neighbor-grad.ts";
import { roiAlign, roiAlignGrad } from "./kernels/roi-align.ts";
import { unsortedSegmentSum } from "./kernels/unsorted-segment-sum.ts";

/** Replacements of slow kernels of TensorFlow.js. */
const replacements: readonly KernelConfig[] = [
  batchMatMul,
  conv2d,
  conv2dBackpropInput,
  fusedConv2d,
  fusedMatMul,
  gather,
  identity,
  maxPoolGrad,
  mean,
  pad,
  relu,
  resizeNearestNeighborGrad,
  sum,
];

/** Kernels that TensorFlow.js does not have. */
const additions: readonly KernelConfig[] = [
  conv2dBackpropFilter,
  groupNorm,
  groupNormGrad,
  logSoftmax,
  reluGrad,
  roiAlign,
  roiAlignGrad,
  unsortedSegmentSum,
];

/** All kernels that this package registers with backend "wasm". */
export const kernels: readonly KernelConfig[] = [...replacements, ...additions];

/**
 * Registers `kernels`, which replace TensorFlow.js's own where those exist; explicit and idempotent, before
 * or after the backend starts.
 */
export function registerWasmKernels(): void {
  for (const { kernelName, backendName, kernelFunc } of replacements) {
    const present = getKernel(kernelName, backendName);
    if (present !== undefined && present.kernelFunc !== kernelFunc) unregisterKernel(kernelName, backendName);
  }
  registerKernels(kernels, [groupNormGradConfig, roiAlignGradConfig]);
}
