import { add, grads, memory, mul, scalar, tidy } from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { expectClose } from "@mrcnn/testing";
import { inSequence } from "../src/index.ts";

const steps = [1, 2, 3, 4].map(
  (n) =>
    (x: Tensor): Tensor =>
      tidy(() => mul(add(x, n), x)),
);

test("what lies between is gone as soon as it is used, x and the result are not", async () => {
  const x = scalar(2);
  const before = memory().numTensors;
  const seen: number[] = [];
  const y = inSequence<Tensor>(
    x,
    steps.map((step) => (value) => {
      seen.push(memory().numTensors - before);
      return step(value);
    }),
  );
  // x(x + 1) = 6, 6 * 8 = 48, 48 * 51 = 2448, 2448 * 2452.
  await expectClose(y, [2448 * 2452]);
  expect(seen).toEqual([0, 1, 1, 1]);
  expect(memory().numTensors - before).toBe(1);
  expect(inSequence<Tensor>(x, [(value) => value, (value) => value])).toBe(x);
  expect(x.isDisposed).toBe(false);
});

test("its gradient is that of the layers", async () => {
  // d/dx (x(x + 1))(x(x + 1) + 2) at 2: u = 6, (2u + 2)(2x + 1) = 14 * 5.
  const [dx] = grads((x: Tensor) => inSequence(x, steps.slice(0, 2)))([scalar(2)]);
  await expectClose(dx!, [70]);
});
