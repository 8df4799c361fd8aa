/** Comparison of tensors and arrays within a tolerance. */
import { expect } from "vitest";
import type { Tensor } from "@tensorflow/tfjs-core";

type Values = Tensor | ArrayLike<number>;
const isTensor = (x: Values): x is Tensor => "dataSync" in x;

/**
 * Asserts that every value of `actual` is within `atol + rtol * |expected|`, and reports the largest
 * violation. NaN equals NaN only.
 */
export async function expectClose(
  actual: Values,
  expected: Values,
  { atol = 1e-5, rtol = 1e-5 }: { atol?: number; rtol?: number } = {},
): Promise<void> {
  const a = isTensor(actual) ? await actual.data() : actual;
  const b = isTensor(expected) ? await expected.data() : expected;
  if (isTensor(actual) && isTensor(expected)) expect(actual.shape).toEqual(expected.shape);
  expect(a.length, "number of values").toBe(b.length);
  let worst = -1;
  let excess = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i]!;
    const y = b[i]!;
    if (Object.is(x, y)) continue;
    const over = Math.abs(x - y) - (atol + rtol * Math.abs(y));
    if (!(over <= excess)) {
      excess = Number.isNaN(over) ? Infinity : over;
      worst = i;
    }
  }
  if (worst >= 0)
    expect.fail(`value ${worst}: got ${a[worst]}, expected ${b[worst]} (atol ${atol}, rtol ${rtol})`);
}
