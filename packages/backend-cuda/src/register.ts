/** Registers this package's kernels with backend "tensorflow". */
import { _FusedMatMul, Conv2DBackpropFilter, FusedConv2D } from "@tensorflow/tfjs-core";
import type { KernelConfig } from "@tensorflow/tfjs-core";
import { registerKernels, replaceKernels } from "@mrcnn/core/tensors";
import { roiAlignGradConfig } from "@mrcnn/roi-align/kernel";
import { conv2dBackpropFilter, conv2dBackpropInput } from "./kernels/conv2d-backprop.ts";
import { conv2dAdd, fusedConv2d } from "./kernels/fused-conv2d.ts";
import { fusedMatMul } from "./kernels/fused-mat-mul.ts";
import { reluGrad } from "./kernels/relu-grad.ts";
import { roiAlign, roiAlignGrad } from "./kernels/roi-align.ts";
import { stridedPointGradient } from "./kernels/strided-point-gradient.ts";

/** Replacements of tfjs-node's kernels, made from the originals. */
const replacements: Readonly<Record<string, (original: KernelConfig) => KernelConfig>> = {
  [_FusedMatMul]: fusedMatMul,
  [Conv2DBackpropFilter]: stridedPointGradient,
  [FusedConv2D]: fusedConv2d,
};

/** Kernels that this package adds to backend "tensorflow". */
export const kernels: readonly KernelConfig[] = [
  conv2dAdd,
  conv2dBackpropFilter,
  conv2dBackpropInput,
  reluGrad,
  roiAlign,
  roiAlignGrad,
];

/** Registers the kernels and their gradients; explicit and idempotent. Call it after `loadTensorflow`. */
export function registerCudaKernels(): void {
  replaceKernels("tensorflow", replacements);
  registerKernels(kernels, [roiAlignGradConfig]);
}
