import {
  add,
  addN,
  cast,
  dispose,
  gatherND,
  greater,
  keep,
  mean,
  memory,
  mul,
  registerGradient,
  reshape,
  scalar,
  split,
  square,
  sub,
  sum,
  tensor,
  tensor1d,
  tensor2d,
  tidy,
  unregisterGradient,
  variable,
  variableGrads,
} from "@tensorflow/tfjs-core";
import type { Scalar, Tensor, Tensor1D, Variable } from "@tensorflow/tfjs-core";
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

/** A variable; the tensor that it was made of is gone. */
const variableOf = (values: number[] | number): Variable => {
  const initial: Tensor = typeof values === "number" ? scalar(values) : tensor1d(values);
  const made = variable(initial);
  initial.dispose();
  return made;
};

test.each<[string, (w: Tensor1D, c: Tensor1D) => Tensor]>([
  ["one op alone", (w) => sum(w)],
  ["a variable that is used twice by one op", (w) => sum(mul(w, w))],
  ["a variable that several ops use", (w, c) => addN([sum(mul(w, c)), sum(square(w)), mean(w)])],
  [
    "an intermediate value that several ops use",
    (w) =>
      tidy(() => {
        const y = square(w);
        return sum(add(mul(y, y), y));
      }),
  ],
  ["one of several outputs", (w, c) => sum(mul(split(w, 3)[1]!, split(c, 3)[0]!))],
  [
    "a constant that comes of ops without a gradient",
    (w, c) => sum(mul(w, cast(greater(mul(c, c), c), "float32"))),
  ],
  [
    "an op without a gradient that the loss is not made of",
    (w) => {
      greater(w, w);
      return sum(square(w));
    },
  ],
])(
  "the gradient of %s is that of tf.variableGrads, and no other tensor is left when it is known",
  async (_, loss) => {
    const [w, c] = [variableOf([1, -2, 3]), tensor1d([0.5, 2, -1])];
    const before = memory().numTensors;
    const found = await onTape(
      async () => loss(w as unknown as Tensor1D, c) as Scalar,
      async ({ result, gradients }) => {
        const [gradient] = gradients(result, [w]);
        expect(memory().numTensors - before, "the loss and its gradient").toBe(2);
        return gradient!;
      },
    );
    const { grads, value } = variableGrads(() => loss(w as unknown as Tensor1D, c) as Scalar, [w]);
    await expectClose(found, grads[w.name]!, { atol: 1e-6 });
    dispose([found, grads[w.name]!, value]);
    expect(memory().numTensors).toBe(before);
    dispose([w, c]);
  },
);

test("a loss that is a variable itself has the gradient 1, and none for others", async () => {
  const [w, other] = [variableOf(3), variableOf(4)];
  const [own, none] = await onTape(
    async () => w as unknown as Scalar,
    async ({ result, gradients }) => gradients(result, [w, other]),
  );
  await expectClose(own!, [1]);
  expect(none).toBeUndefined();
  dispose([w, other, own!]);
});

test("what the forward pass returns or keeps can be read after the backward pass; the rest is gone then", async () => {
  const w = variableOf([1, 2]);
  const before = memory().numTensors;
  const made: Tensor[] = [];
  const note = <T extends Tensor>(value: T): T => (made.push(value), value);
  await onTape(
    async () => {
      const [shown, kept] = [note(square(w)), note(keep(mul(w, w)))];
      const inner = note(add(shown, kept));
      return { shown: [shown], loss: note(sum(inner)) as Scalar };
    },
    async ({ result, gradients }) => {
      const [gradient] = gradients(result.loss, [w]);
      expect(made.map(({ isDisposed }) => isDisposed)).toEqual([false, false, true, false]);
      await expectClose(result.shown[0]!, [1, 4]);
      gradient!.dispose();
    },
  );
  expect(made.map(({ isDisposed }) => isDisposed)).toEqual([true, false, true, true]);
  await expectClose(made[1]!, [1, 4]);
  dispose([...made]);
  expect(memory().numTensors).toBe(before);
  w.dispose();
});

test("a forward pass whose gradients nobody asks for leaves nothing", async () => {
  const w = variableOf([1, 2]);
  const before = memory().numTensors;
  expect(
    await onTape(
      async () => sum(mul(w, w)),
      async ({ result }) => result.shape,
    ),
  ).toEqual([]);
  expect(memory().numTensors).toBe(before);
  w.dispose();
});

test("an op that has no gradient, or none for one of its inputs, is named, and leaves nothing", async () => {
  const [w, at] = [variableOf([1, 2]), tensor2d([[1], [0]], [2, 1], "int32")];
  const before = memory().numTensors;
  const gradientOf = (forward: () => Tensor): Promise<unknown> =>
    onTape(
      async () => forward() as Scalar,
      async ({ result, gradients }) => gradients(result, [w]),
    );
  await expect(gradientOf(() => sum(gatherND(w, at)))).rejects.toMatchObject({
    code: "backend",
    message:
      'gradients: TensorFlow.js has no gradient for GatherNd. Import "@tensorflow/tfjs" once, which registers them all.',
  });
  registerGradient({ kernelName: "GatherNd", gradFunc: () => ({}) });
  try {
    await expect(gradientOf(() => sum(gatherND(w, at)))).rejects.toMatchObject({
      code: "backend",
      message: "gradients: GatherNd has no gradient for its input params.",
    });
  } finally {
    unregisterGradient("GatherNd");
  }
  expect(memory().numTensors).toBe(before);
  dispose([w, at]);
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
  await onTape(
    async () => scalar(1),
    async () => undefined,
  );
  expect(tidy(() => memory().numTensors)).toBe(before);
});

test("two steps at once are refused", async () => {
  const first = onTape(
    () => new Promise((resolve) => setTimeout(resolve, 20)),
    async () => undefined,
  );
  await expect(
    onTape(
      async () => undefined,
      async () => undefined,
    ),
  ).rejects.toMatchObject({
    code: "backend",
    message:
      "onTape: a training step is still open, and TensorFlow.js has one tape. Await the step before starting another.",
  });
  await first;
});
