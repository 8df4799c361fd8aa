/** Fully connected layer, as torch.nn.Linear. */
import { _FusedMatMul, engine, matMul, reshape } from "@tensorflow/tfjs-core";
import type { NamedAttrMap, Tensor, Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import { assertShape } from "@mrcnn/core";
import { columnSums } from "./column-sums.ts";
import type { DenseParams } from "./params.ts";
import { reluGradient } from "./relu.ts";
import { withGradient } from "./with-gradient.ts";

/**
 * Multiplies `x` [N, in] by `weight` [in, out], adds `bias` and applies the activation; returns [N, out].
 *
 * @throws ShapeError when x is not [N, in].
 */
export function dense(
  params: DenseParams,
  x: Tensor2D,
  { activation }: { activation?: "relu" } = {},
): Tensor2D {
  assertShape(x, [null, params.weight.shape[0]], "dense", "x");
  return affine(x, params.weight, params.bias, activation);
}

/** Computes `dense` from tensors instead of parameters. */
export function affine(
  x: Tensor2D,
  weight: Tensor2D,
  bias: Tensor1D | undefined,
  activation: "relu" | undefined,
): Tensor2D {
  const inputs = bias === undefined ? { x, weight } : { x, bias, weight };
  return withGradient<Tensor2D>(
    inputs,
    (save) => {
      const batched = (t: Tensor2D): Tensor => reshape(t, [1, ...t.shape]);
      const operands = { a: batched(x), b: batched(weight), ...(bias && { bias }) };
      const attrs = { transposeA: false, transposeB: false, activation: activation ?? "linear" };
      const y = reshape(engine().runKernel(_FusedMatMul, operands, attrs as NamedAttrMap) as Tensor, [
        x.shape[0],
        weight.shape[1],
      ]) as Tensor2D;
      save(activation === undefined ? [x, weight] : [x, weight, y]);
      return y;
    },
    (dy, [x, weight, y]) => {
      const g = y === undefined ? dy : reluGradient(dy, y);
      return {
        x: () => matMul(g, weight as Tensor2D, false, true),
        bias: () => columnSums(g),
        // Computed last, so the g that all three share can be disposed here.
        weight: () => {
          const dw = matMul(x as Tensor2D, g, true, false);
          if (g !== dy) g.dispose();
          return dw;
        },
      };
    },
  );
}
