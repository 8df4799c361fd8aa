import { grad, memory, mul, square, sum, tensor1d } from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { expectClose, expectNoLeaks } from "@mrcnn/testing";
import { stopGradient } from "../src/index.ts";

test("d/dx of x² · stop(x) treats the second factor as a constant", async () => {
  const x = tensor1d([1, 2, 3]);
  const f = (x: Tensor): Tensor => sum(mul(square(x), stopGradient(x)));
  // 2x · x, not 3x².
  await expectClose(grad(f)(x), [2, 8, 18]);
});

test("shares memory and leaves nothing behind", async () => {
  const x = tensor1d([1, 2, 3]);
  const buffers = memory().numDataBuffers;
  const y = stopGradient(x);
  expect(memory().numDataBuffers).toBe(buffers);
  y.dispose();
  await expectClose(x, [1, 2, 3]);
  await expectNoLeaks(() => stopGradient(x));
});
