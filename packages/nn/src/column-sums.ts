/** Column sums: the gradient of a layer's bias. */
import { matMul, ones, reshape, tidy } from "@tensorflow/tfjs-core";
import type { Tensor, Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import { runKernelOr } from "@mrcnn/core/tensors";
import { columnSumsContract } from "./kernel.ts";

/**
 * Sums `x` [..., C] over every axis but the last, to [C]. Without a kernel it is a matrix product with ones,
 * since a sum over outer axes makes the wasm backend transpose the whole tensor first. Not differentiable.
 */
export function columnSums(x: Tensor): Tensor1D {
  return runKernelOr<Tensor>(columnSumsContract, { x }, {}, () =>
    tidy(() => {
      const channels = x.shape.at(-1)!;
      const rows = x.size / channels;
      return reshape(matMul(ones([1, rows]), reshape(x, [rows, channels]) as Tensor2D), [channels]);
    }),
  ) as Tensor1D;
}
