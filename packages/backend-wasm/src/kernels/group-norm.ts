import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import { GROUP_NORM, GROUP_NORM_GRAD, groupNormBackward, groupNormForward } from "@mrcnn/nn/kernel";
import type { GroupNormAttrs, GroupNormGradAttrs } from "@mrcnn/nn/kernel";
import { allocate, floats, kernel } from "../heap.ts";
import type { Inputs } from "../heap.ts";

type Shape4D = readonly [number, number, number, number];

/** Group normalization by the package's own loop, on the heap. */
export const groupNorm: KernelConfig = kernel<Inputs<"x" | "weight" | "bias">, GroupNormAttrs>(
  GROUP_NORM,
  ({ inputs: { x, weight, bias }, attrs, backend }) => {
    const shape = x.shape as unknown as Shape4D;
    const y = allocate(backend, shape);
    const mean = allocate(backend, [shape[0], attrs.groups]);
    const rstd = allocate(backend, [shape[0], attrs.groups]);
    const at = (info: TensorInfo): Float32Array => floats(backend, info);
    groupNormForward(at(x), shape, at(weight), at(bias), attrs, at(y), at(mean), at(rstd));
    return [y, mean, rstd];
  },
);

export const groupNormGrad: KernelConfig = kernel<Inputs<"dy" | "x" | "weight" | "mean" | "rstd">, GroupNormGradAttrs>(
  GROUP_NORM_GRAD,
  ({ inputs: { dy, x, weight, mean, rstd }, attrs, backend }) => {
    const shape = x.shape as unknown as Shape4D;
    const dx = allocate(backend, shape);
    const dweight = allocate(backend, weight.shape);
    const dbias = allocate(backend, weight.shape);
    const at = (info: TensorInfo): Float32Array => floats(backend, info);
    groupNormBackward(at(dy), at(x), shape, at(weight), at(mean), at(rstd), attrs, at(dx), at(dweight), at(dbias));
    return [dx, dweight, dbias];
  },
);
