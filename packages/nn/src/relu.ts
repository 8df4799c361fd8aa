/** ReLU and its gradient. */
import { engine, mul, Relu, sign } from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { runKernelOr } from "@mrcnn/core/tensors";
import { reluGradContract } from "./kernel.ts";
import { withGradient } from "./with-gradient.ts";

/**
 * Returns max(x, 0). For the gradient it keeps its output, which the next layer keeps anyway, where `tf.relu`
 * would keep its input alive as well.
 */
export function relu<T extends Tensor>(x: T): T {
  return withGradient<T>(
    { x },
    (save) => {
      const y = engine().runKernel(Relu, { x }) as T;
      save([y]);
      return y;
    },
    (dy, [y]) => ({ x: () => reluGradient(dy, y!) }),
  );
}

/**
 * Returns dy where the output y of a ReLU is positive, else 0: y is never negative, so its sign is the mask.
 */
export function reluGradient<T extends Tensor>(dy: T, y: Tensor): T {
  return runKernelOr<Tensor>(reluGradContract, { dy, y }, {}, () => mul(dy, sign(y))) as T;
}
