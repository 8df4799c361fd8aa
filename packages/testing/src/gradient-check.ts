import { dispose, grads, sum, tensor, mul, tidy } from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { createRandom } from "@mrcnn/core";
import { expectClose } from "./close.ts";

/**
 * Compares the analytic gradient of a random projection of `f(...inputs)` with central differences
 * of step `epsilon`, for every value of every input.
 */
export async function expectGradients(
  f: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  { epsilon = 1e-2, atol = 2e-2, rtol = 2e-2, seed = 1 }: { epsilon?: number; atol?: number; rtol?: number; seed?: number } = {},
): Promise<void> {
  const random = createRandom(seed);
  const shape = tidy(() => f(...inputs).shape);
  const weights = tensor(Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.uniform() - 0.5), shape);
  const project = (...xs: Tensor[]): Tensor => sum(mul(f(...xs), weights));
  const analytic = grads(project as never)([...inputs] as never) as Tensor[];
  for (const [i, input] of inputs.entries()) {
    const values = await input.data();
    const numeric = new Float32Array(values.length);
    for (let k = 0; k < values.length; k++) {
      const at = async (delta: number): Promise<number> => {
        const moved = Float32Array.from(values);
        moved[k] = moved[k]! + delta;
        const x = tensor(moved, input.shape);
        const y = tidy(() => project(...inputs.map((old, j) => (j === i ? x : old))));
        const value = (await y.data())[0]!;
        dispose([x, y]);
        return value;
      };
      numeric[k] = ((await at(epsilon)) - (await at(-epsilon))) / (2 * epsilon);
    }
    await expectClose(analytic[i]!, numeric, { atol, rtol });
  }
  dispose([weights, ...analytic]);
}
