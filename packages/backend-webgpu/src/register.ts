/** Registers this package's kernels with backend "webgpu". */
import {
  _FusedMatMul,
  AddN,
  BatchMatMul,
  Conv2D,
  Conv2DBackpropFilter,
  Conv2DBackpropInput,
  FusedConv2D,
} from "@tensorflow/tfjs-core";
import type { GradConfig, KernelConfig } from "@tensorflow/tfjs-core";
import { registerKernels, replaceKernels } from "@mrcnn/core/tensors";
import { foldBiasGradConfig, foldFilterGradConfig, groupNormGradConfig } from "@mrcnn/nn/kernel";
import { roiAlignGradConfig, roiAlignPyramidGradConfig } from "@mrcnn/roi-align/kernel";
import { addN } from "./kernels/add-n.ts";
import { columnSums } from "./kernels/column-sums.ts";
import { conv2dBackpropFilter, mrcnnConv2dBackpropFilter } from "./kernels/conv2d-backprop-filter.ts";
import { conv2dBackpropInput, mrcnnConv2dBackpropInput } from "./kernels/conv2d-backprop-input.ts";
import { conv2d, conv2dAdd, fusedConv2d } from "./kernels/conv2d.ts";
import { decodeKeypoints } from "./kernels/decode-keypoints.ts";
import { foldBias, foldFilter } from "./kernels/fold-norm.ts";
import { groupNorm, groupNormGrad } from "./kernels/group-norm.ts";
import { batchMatMul, fusedMatMul } from "./kernels/mat-mul.ts";
import { notFinite } from "./kernels/not-finite.ts";
import { pasteMasks } from "./kernels/paste-masks.ts";
import { reluGrad } from "./kernels/relu-grad.ts";
import { roiAlign, roiAlignGrad, roiAlignPyramid, roiAlignPyramidGrad } from "./kernels/roi-align.ts";
import { selectDetections } from "./kernels/select-detections.ts";
import { selectProposals } from "./kernels/select-proposals.ts";
import { sgd } from "./kernels/sgd.ts";
import { stepScale } from "./kernels/step-scale.ts";
import { upsampleAdd } from "./kernels/upsample-add.ts";

/** Replacements of TensorFlow.js's kernels, made from the originals. */
const replacements: Readonly<Record<string, (original: KernelConfig) => KernelConfig>> = {
  [AddN]: addN,
  [BatchMatMul]: batchMatMul,
  [Conv2D]: conv2d,
  [Conv2DBackpropFilter]: conv2dBackpropFilter,
  [Conv2DBackpropInput]: conv2dBackpropInput,
  [FusedConv2D]: fusedConv2d,
  [_FusedMatMul]: fusedMatMul,
};

/** Kernels that this package adds to backend "webgpu". */
export const kernels: readonly KernelConfig[] = [
  columnSums,
  conv2dAdd,
  decodeKeypoints,
  foldBias,
  foldFilter,
  groupNorm,
  groupNormGrad,
  mrcnnConv2dBackpropFilter,
  mrcnnConv2dBackpropInput,
  notFinite,
  pasteMasks,
  reluGrad,
  roiAlign,
  roiAlignGrad,
  roiAlignPyramid,
  roiAlignPyramidGrad,
  selectDetections,
  selectProposals,
  sgd,
  stepScale,
  upsampleAdd,
];

const gradients: readonly GradConfig[] = [
  foldBiasGradConfig,
  foldFilterGradConfig,
  groupNormGradConfig,
  roiAlignGradConfig,
  roiAlignPyramidGradConfig,
];

/** Registers the kernels and their gradients; explicit and idempotent. `startWebgpu` calls it. */
export function registerWebgpuKernels(): void {
  replaceKernels("webgpu", replacements);
  registerKernels(kernels, gradients);
}
