import { dispose, memory, scalar, square, tensor1d, tidy, variableGrads } from "@tensorflow/tfjs-core";
import { addN, mul, reshape, sub, mean, sum, tensor } from "@tensorflow/tfjs-core";
import type { Scalar, Variable } from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { createRandom } from "@mrcnn/core";
import { expectClose } from "@mrcnn/testing";
import { onTape } from "../src/index.ts";
import { toyBatch, toyModel } from "./toy-model.ts";

const names = ["weight", "bias", "unused"] as const;

test("gradients across an await equal tf.variableGrads of the same function", async () => {
  const model = toyModel();
  const xs = names.map((name) => model.variables.get(name) as Variable);
  const batch = toyBatch(1);
  const found = await onTape(
    () => model.losses(batch, createRandom(0)),
    async ({ result, gradients }) => gradients(addN(Object.values(result)) as Scalar, xs),
  );
  const { grads } = variableGrads(() => {
    const x = tensor(batch.images.data, [8, 3, 1]);
    const fit = mean(square(sub(sum(mul(reshape(x, [8, 3, 1]), xs[0]!), 1), 1)));
    return addN([fit, sum(square(xs[1]!))]) as Scalar;
  }, [xs[0]!, xs[1]!]);
  await expectClose(found[0]!, grads[xs[0]!.name]!, { atol: 1e-6 });
  await expectClose(found[1]!, grads[xs[1]!.name]!, { atol: 1e-6 });
  expect(found[2], "a variable the loss does not depend on").toBeUndefined();
});

test("the backward pass is not recorded and nothing is left behind", async () => {
  const model = toyModel();
  const xs = names.map((name) => model.variables.get(name) as Variable);
  const run = (): Promise<void> =>
    onTape(
      () => model.losses(toyBatch(2), createRandom(0)),
      async ({ result, gradients }) => dispose(gradients(addN(Object.values(result)) as Scalar, xs) as never),
    );
  await run();
  const before = memory().numTensors;
  for (let i = 0; i < 5; i++) await run();
  expect(memory().numTensors).toBe(before);
});

test("a forward that throws closes the tape and frees what it made", async () => {
  const before = memory().numTensors;
  const x = tensor1d([1, 2, 3]);
  const failing = onTape(
    async () => {
      square(x);
      await Promise.resolve();
      throw new Error("the reader failed");
    },
    async () => undefined,
  );
  await expect(failing).rejects.toThrow("the reader failed");
  x.dispose();
  expect(memory().numTensors).toBe(before);
  // The engine is free for the next step.
  await onTape(async () => scalar(1), async () => undefined);
  expect(tidy(() => memory().numTensors)).toBe(before);
});

test("two steps at once are refused", async () => {
  const first = onTape(
    () => new Promise((resolve) => setTimeout(resolve, 20)),
    async () => undefined,
  );
  await expect(onTape(async () => undefined, async () => undefined)).rejects.toMatchObject({ code: "backend" });
  await first;
});
