/** Compares large arrays with golden ones by their norm and projections. */
import { dispose, variableGrads } from "@tensorflow/tfjs-core";
import type { Scalar, Tensor, Variable } from "@tensorflow/tfjs-core";
import { expect } from "vitest";
import { seededUniform } from "./seeded.ts";
import { seededWeight } from "./seeded-params.ts";

/**
 * Summary of an array, as `summary` of tools/golden/nn.py computes it: its norm and its projections on seeded
 * signs.
 */
export interface Summary {
  readonly shape: number[];
  readonly norm: number;
  readonly projections: number[];
}

/** Fills variables with the seeded values of their names. */
export function seedVariables(variables: ReadonlyMap<string, Variable>): void {
  for (const [name, variable] of variables) {
    const value = seededWeight(name, variable.shape);
    variable.assign(value);
    dispose(value);
  }
}

/** Asserts that norm and projections equal the golden ones within `tolerance` of the norm. */
export async function expectSummary(
  actual: Tensor,
  expected: Summary,
  name: string,
  tolerance = 1e-4,
): Promise<void> {
  expect(actual.shape, name).toEqual(expected.shape);
  const values = await actual.data();
  const signs = seededUniform(`signs ${name}`, values.length * expected.projections.length);
  const near = (got: number, wanted: number, what: string): void =>
    expect(
      Math.abs(got - wanted) / expected.norm,
      `${what} of ${name}: got ${got}, expected ${wanted}`,
    ).toBeLessThan(tolerance);
  near(Math.sqrt((values as Float32Array).reduce((sum, v) => sum + v * v, 0)), expected.norm, "norm");
  for (const [p, wanted] of expected.projections.entries()) {
    let sum = 0;
    for (let i = 0; i < values.length; i++)
      sum += signs[p * values.length + i]! < 0.5 ? -values[i]! : values[i]!;
    near(sum, wanted, `projection ${p}`);
  }
}

/** Returns the gradients of a scalar with respect to the named variables. Disposes the scalar. */
export function gradientsOf(
  loss: () => Scalar,
  variables: ReadonlyMap<string, Variable>,
): Map<string, Tensor> {
  const { value, grads } = variableGrads(loss, [...variables.values()]);
  value.dispose();
  return new Map([...variables].map(([name, { name: registered }]) => [name, grads[registered]!]));
}
