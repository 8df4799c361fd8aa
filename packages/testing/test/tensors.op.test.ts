// The checks that need a device: each must catch what it is for.
import {
  customGrad,
  dispose,
  mul,
  square,
  sum,
  tensor1d,
  tensor2d,
  variable,
  zeros,
} from "@tensorflow/tfjs-core";
import type { Scalar, Tensor } from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import {
  expectClose,
  expectGradients,
  expectNoLeaks,
  expectSummary,
  gradientsOf,
  seededInput,
  seededWeight,
  seedVariables,
} from "../src/index.ts";

test("expectClose compares tensors with their shapes", async () => {
  const [row, column] = [tensor2d([[1, 2]]), tensor2d([[1], [2]])];
  await expectClose(row, [1, 2]);
  await expectClose(row, row);
  await expect(expectClose(row, column)).rejects.toThrow();
  dispose([row, column]);
});

test("expectNoLeaks lets a result go and catches what is kept beside it", async () => {
  const x = tensor1d([1, 2]);
  await expectNoLeaks(() => square(x));
  await expectNoLeaks(async () => [square(x), square(x)]);
  const kept: Tensor[] = [];
  const leaking = (): Tensor => {
    kept.push(square(x));
    return square(x);
  };
  await expect(expectNoLeaks(leaking)).rejects.toThrow("tensors left behind");
  dispose([x, ...kept]);
});

test("expectGradients passes a right gradient and catches a wrong one", async () => {
  const x = tensor1d([0.5, -1, 2]);
  await expectGradients((x) => square(x!), [x]);
  // x² with the gradient of x.
  const wrong = customGrad(((x: Tensor) => ({
    value: square(x),
    gradFunc: (dy: Tensor) => mul(dy, 1),
  })) as never) as (x: Tensor) => Tensor;
  await expect(expectGradients((x) => wrong(x!), [x])).rejects.toThrow(/value \d/);
  const y = tensor1d([1, 2, 3]);
  await expectGradients((a, b) => mul(a!, b!), [x, y]);
  dispose([x, y]);
});

test("expectSummary catches another value, sign and order", async () => {
  // The signs of "three", by tools/golden/seeded.py: (- + +), (+ + -), (- - -), (+ - +).
  const summary = { shape: [3], norm: Math.sqrt(14), projections: [4, 0, -6, 2] };
  const [right, off, turned, shaped] = [
    tensor1d([1, 2, 3]),
    tensor1d([1, 2, 3.01]),
    tensor1d([3, 2, 1]),
    tensor2d([[1, 2, 3]]),
  ];
  await expectSummary(right, summary, "three");
  await expect(expectSummary(off, summary, "three")).rejects.toThrow("norm of three");
  await expect(expectSummary(turned, summary, "three")).rejects.toThrow("of three");
  await expect(expectSummary(shaped, summary, "three")).rejects.toThrow("three");
  dispose([right, off, turned, shaped]);
});

test("seedVariables fills by name, gradientsOf names the gradients", async () => {
  const start = zeros([2, 3]);
  const w = variable(start);
  const variables = new Map([["w", w]]);
  seedVariables(variables);
  const expected = seededWeight("w", [2, 3]);
  await expectClose(w, expected);
  const gradients = gradientsOf(() => sum(square(w)) as Scalar, variables);
  const twice = mul(expected, 2);
  await expectClose(gradients.get("w")!, twice);
  dispose([start, w, expected, twice, ...gradients.values()]);
});

test("seededInput spans ± 1 around the offset", async () => {
  const [centred, shifted] = [seededInput("x", [50]), seededInput("x", [50], 0)];
  const [a, b] = [await centred.data(), await shifted.data()];
  expect(Math.min(...a)).toBeGreaterThanOrEqual(-1);
  expect(Math.max(...a)).toBeLessThan(1);
  for (const [i, value] of a.entries()) expect(b[i]! - value).toBeCloseTo(1, 5);
  dispose([centred, shifted]);
});
