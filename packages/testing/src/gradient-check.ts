/** Checks gradients against finite differences. */
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
  {
    epsilon = 1e-2,
    atol = 2e-2,
    rtol = 2e-2,
    seed = 1,
  }: { epsilon?: number; atol?: number; rtol?: number; seed?: number } = {},
): Promise<void> {
  const random = createRandom(seed);
  const shape = tidy(() => f(...inputs).shape);
  const weights = tensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.uniform() - 0.5),
    shape,
  );
  const project = (...xs: Tensor[]): Tensor => sum(mul(f(...xs), weights));
  const analytic = grads(project as never)([...inputs] as never) as Tensor[];
  for (const [i, input] of inputs.entries()) {
    const values = await input.data<"float32">();
    // Read together: on a GPU each separate read is a wait.
    const moved = [...values.keys()].flatMap((k) =>
      [epsilon, -epsilon].map((delta) =>
        tidy(() => {
          const x = tensor(values.with(k, values[k]! + delta), input.shape);
          return project(...inputs.map((old, j) => (j === i ? x : old)));
        }),
      ),
    );
    const projections = await Promise.all(moved.map((y) => y.data()));
    dispose(moved);
    const numeric = values.map(
      (_, k) => (projections[2 * k]![0]! - projections[2 * k + 1]![0]!) / (2 * epsilon),
    );
    await expectClose(analytic[i]!, numeric, { atol, rtol });
  }
  dispose([weights, ...analytic]);
}
