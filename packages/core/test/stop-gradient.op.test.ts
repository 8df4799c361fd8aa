import { grad, memory, mul, square, sum, tensor1d } from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { expectClose, expectNoLeaks } from "@mrcnn/testing";
import { offTape, stopGradient } from "../src/tensors/index.ts";

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

test("what is computed off the tape is a constant, and keeps nothing for a gradient", async () => {
  const x = tensor1d([1, 2, 3]);
  const f = (x: Tensor): Tensor =>
    sum(
      mul(
        x,
        offTape(() => square(square(x))),
      ),
    );
  // x⁴, not 5x⁴.
  await expectClose(grad(f)(x), [1, 16, 81]);
  await expectNoLeaks(() => offTape(() => square(x)));
});
