import { matMul, ones, reshape, tidy } from "@tensorflow/tfjs-core";
import type { Tensor, Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";

/**
 * Sums over every axis but the last, as a product with ones: a sum over outer axes makes wasm
 * transpose the whole tensor first.
 */
export function columnSums(x: Tensor): Tensor1D {
  return tidy(() => {
    const channels = x.shape.at(-1)!;
    const rows = x.size / channels;
    return reshape(matMul(ones([1, rows]), reshape(x, [rows, channels]) as Tensor2D), [channels]) as Tensor1D;
  });
}
