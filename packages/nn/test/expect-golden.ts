import { dispose, grads } from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { expect } from "vitest";
import { expectClose, expectNoLeaks, seededInput } from "@mrcnn/testing";

export interface GoldenRun {
  readonly shape: number[];
  readonly y: number[];
  readonly gradients: Readonly<Record<string, number[]>>;
}

type Fn = (...inputs: Tensor[]) => Tensor;

/**
 * Compares `f` of the named inputs, and each input's gradient of sum(y * dy), with a golden run: alone,
 * and on the tape, where other code runs. Also that neither leaks. Disposes the inputs.
 */
export async function expectGolden(
  run: GoldenRun,
  name: string,
  inputs: Readonly<Record<string, Tensor>>,
  f: Fn,
  tolerance = 1e-5,
): Promise<void> {
  const values = Object.values(inputs);
  const close = { atol: tolerance, rtol: tolerance };
  const y = f(...values);
  expect(y.shape).toEqual(run.shape);
  await expectClose(y, run.y, close);
  const dy = seededInput(`${name}.dy`, run.shape);
  const gradients = grads(f as never)(values as never, dy as never) as Tensor[];
  for (const [i, key] of Object.keys(inputs).entries()) {
    expect(gradients[i]!.shape).toEqual(values[i]!.shape);
    await expectClose(gradients[i]!, run.gradients[key]!, close);
  }
  await expectNoLeaks(() => f(...values));
  await expectNoLeaks(() => grads(f as never)(values as never, dy as never) as Tensor[]);
  dispose([y, dy, ...gradients, ...values]);
}
