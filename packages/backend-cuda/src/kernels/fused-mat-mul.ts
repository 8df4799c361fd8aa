/** Kernel of a matrix product with bias and activation, through oneDNN on the CPU. */
import { reshape, tidy } from "@tensorflow/tfjs-core";
import type { _FusedMatMulAttrs, KernelConfig, KernelFunc, Tensor, Tensor3D } from "@tensorflow/tfjs-core";
import { runFusedConv2d } from "../fused-op.ts";
import { fusesOnHost } from "../host.ts";
import type { KernelArgs } from "../tensorflow-backend.ts";

/** Number of terms per sum up to which oneDNN's 1x1 convolution is as fast as its matrix product. */
const MOST_TERMS = 2048;

/**
 * Runs _FusedMatMul of one matrix on the CPU as a 1x1 convolution, which includes the bias. All other
 * products go to `original`, tfjs-node's kernel.
 */
export function fusedMatMul(original: KernelConfig): KernelConfig {
  const call = original.kernelFunc as unknown as (args: object) => Tensor;
  const kernelFunc = ({ inputs, attrs, backend }: KernelArgs<"a" | "b", _FusedMatMulAttrs>): Tensor => {
    const { a, b, bias } = inputs as { a: Tensor3D; b: Tensor3D; bias?: Tensor };
    const { transposeA, transposeB, activation } = attrs;
    const [matrices, rows, terms] = a.shape;
    const columns = b.shape[2];
    const isPlain =
      matrices === 1 &&
      b.shape[0] === 1 &&
      !transposeA &&
      !transposeB &&
      (activation === "linear" || activation === "relu");
    const isBias = bias?.shape.length === 1 && bias.size === columns;
    if (!isPlain || !isBias || terms > MOST_TERMS || a.size * b.size === 0 || !fusesOnHost(backend))
      return call({ inputs, attrs, backend });
    return tidy(() => {
      const y = runFusedConv2d(backend, {
        x: reshape(a, [1, 1, rows, terms]),
        filter: reshape(b, [1, 1, terms, columns]),
        args: [bias],
        strides: [1, 1],
        dilations: [1, 1],
        paddings: [0, 0, 0, 0],
        relu: activation === "relu",
      });
      return reshape(y, [1, rows, columns]);
    });
  };
  return { ...original, kernelFunc: kernelFunc as unknown as KernelFunc };
}
