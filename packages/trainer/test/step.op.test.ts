import {
  addN,
  dispose,
  div,
  memory,
  mul,
  square,
  sum,
  tensor1d,
  tidy,
  variable,
} from "@tensorflow/tfjs-core";
import type { Scalar, Variable } from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { createRandom } from "@mrcnn/core";
import type { TrainingBatch } from "@mrcnn/core";
import type { TrainableModel } from "@mrcnn/core/tensors";
import { expectClose } from "@mrcnn/testing";
import { sgd, trainStep } from "../src/index.ts";
import { slowToy, toyBatch, toyModel } from "./toy-model.ts";

const options = { step: 7, rate: 0.1 };
const plain = { momentum: 0, weightDecay: 0 };

test("one plain update of bias is w - rate · 2w, and the report says what happened", async () => {
  const model = toyModel();
  const report = await trainStep(model, [toyBatch(1)], sgd(plain), { ...options, random: createRandom(0) });
  await expectClose(model.variables.get("bias")!, [0.4, -1.6], { atol: 1e-6 });
  await expectClose(model.variables.get("unused")!, [3]);
  expect(report).toMatchObject({ step: 7, rate: 0.1, images: 2 });
  expect(report.losses["loss_size"]).toBeCloseTo(4.25, 5);
  expect(report.loss).toBeCloseTo(report.losses["loss_fit"]! + 4.25, 5);
  expect(report).not.toHaveProperty("gradientNorm");
});

test("a step's time is in seconds, and of the step alone", async () => {
  const start = performance.now();
  const { seconds } = await trainStep(slowToy(60), [toyBatch(1)], sgd(plain), {
    ...options,
    random: createRandom(0),
  });
  expect(seconds).toBeGreaterThan(0.05);
  expect(seconds).toBeLessThanOrEqual((performance.now() - start) / 1000);
});

test("two accumulated micro-batches give the mean gradient of both", async () => {
  // loss_fit is a mean over pixels, so two batches of one image equal one batch of two.
  const whole = toyBatch(1);
  const half = (i: number): TrainingBatch => ({
    images: {
      ...whole.images,
      data: whole.images.data.slice(i * 12, i * 12 + 12),
      imageSizes: [whole.images.imageSizes[i]!],
    },
    groundTruth: [whole.groundTruth[i]!],
    names: [whole.names[i]!],
  });
  const [a, b] = [toyModel(), toyModel()];
  await trainStep(a, [whole], sgd(plain), { ...options, random: createRandom(0) });
  await trainStep(b, [half(0), half(1)], sgd(plain), { ...options, random: createRandom(0) });
  await expectClose(b.variables.get("weight")!, a.variables.get("weight")!, { atol: 1e-6 });
});

test("the losses of two micro-batches are the means of both, their images are counted together, and nothing is left of either", async () => {
  const model = toyModel();
  const optimizer = sgd(plain);
  const fitOf = async (batches: TrainingBatch[]): Promise<number> => {
    const { losses, images } = await trainStep(model, batches, optimizer, {
      ...options,
      rate: 0,
      random: createRandom(0),
    });
    expect(images).toBe(2 * batches.length);
    return losses["loss_fit"]!;
  };
  const [one, other] = [await fitOf([toyBatch(1)]), await fitOf([toyBatch(2)])];
  const before = memory().numTensors;
  expect(await fitOf([toyBatch(1), toyBatch(2)])).toBeCloseTo((one + other) / 2, 5);
  expect(one).not.toBeCloseTo(other, 2);
  expect(memory().numTensors).toBe(before);
  optimizer.dispose();
});

test("a step that fails puts back the statistics that its forward pass has changed, and keeps no tensor; one that ends well keeps them", async () => {
  const toy = toyModel();
  const running = toy.variables.get("running_mean")!;
  let fails = true;
  const model: TrainableModel = {
    ...toy,
    statistics: ["running_mean"],
    async losses(batch, random) {
      tidy(() => running.assign(running.add(1)));
      const terms = await toy.losses(batch, random);
      if (fails && batch.names[0] === "late.png") throw new Error("no memory");
      return terms;
    },
  };
  const optimizer = sgd(plain);
  const step = (batches: TrainingBatch[]): Promise<unknown> =>
    trainStep(model, batches, optimizer, { ...options, random: createRandom(0) });
  const broken = toyBatch(0);
  broken.images.data[13] = Infinity;
  // Makes the velocities, which a device that decides by itself keeps even of a first step that is none.
  await step([toyBatch(5)]);
  const tensors = memory().numTensors;
  // In the second micro-batch; then by a loss that is not finite, for whose blame single images are passed again.
  await expect(step([toyBatch(5), toyBatch(1, ["late.png"])])).rejects.toThrow("no memory");
  await expect(step([broken])).rejects.toThrow("loss_fit");
  await expectClose(running, [8]);
  expect(memory().numTensors).toBe(tensors);
  fails = false;
  await step([toyBatch(5), toyBatch(1)]);
  await expectClose(running, [10]);
  optimizer.dispose();
});

test("clipping scales the whole gradient to the given norm", async () => {
  const model = toyModel();
  const before = await model.variables.get("bias")!.data();
  const report = await trainStep(model, [toyBatch(1)], sgd(plain), {
    ...options,
    rate: 1,
    clipNorm: 0.5,
    random: createRandom(0),
  });
  const after = await model.variables.get("bias")!.data();
  // bias's own gradient is (1, -4); the update is that times 0.5 / norm.
  const scale = 0.5 / report.gradientNorm!;
  expect(before[1]! - after[1]!).toBeCloseTo(-4 * scale, 5);
  expect(report.gradientNorm).toBeGreaterThan(Math.hypot(1, 4));
});

test("a tiny gradient is clipped by torch's rule, which adds 1e-6 to the norm", async () => {
  const w = tidy(() => variable(tensor1d([0]))) as Variable;
  const model: TrainableModel = {
    variables: new Map([["w", w]]),
    trainable: ["w"],
    losses: async () => ({ loss: tidy(() => sum(mul(w, 3e-6))) as Scalar }),
  };
  const optimizer = sgd(plain);
  await trainStep(model, [toyBatch(0)], optimizer, {
    ...options,
    rate: 1e6,
    clipNorm: 1e-6,
    random: createRandom(0),
  });
  // 3e-6 times 1e-6 / (3e-6 + 1e-6), at the rate 1e6.
  await expectClose(w, [-0.75], { atol: 1e-4 });
  optimizer.dispose();
  w.dispose();
});

test("the norm is that of all gradients together, whatever their sizes", async () => {
  // The gradient of half the sum of squares is the variable.
  const values = [3, 70_001, 1].map((size, k) =>
    Float32Array.from({ length: size }, (_, i) => Math.sin(i + k)),
  );
  const variables = new Map(
    values.map((data, k) => [`w${k}`, tidy(() => variable(tensor1d(data))) as Variable]),
  );
  const model: TrainableModel = {
    variables,
    trainable: [...variables.keys()],
    losses: async () => ({
      loss: tidy(() => addN([...variables.values()].map((w) => div(sum(square(w)), 2)))) as Scalar,
    }),
  };
  const norm = Math.sqrt(values.reduce((n, data) => n + data.reduce((m, v) => m + v * v, 0), 0));
  const optimizer = sgd(plain);
  const report = await trainStep(model, [toyBatch(0)], optimizer, {
    ...options,
    rate: 0.5,
    clipNorm: norm / 4,
    random: createRandom(0),
  });
  expect(report.gradientNorm! / norm).toBeCloseTo(1, 5);
  // A quarter of the gradient, at half the rate.
  for (const [k, data] of values.entries())
    await expectClose(
      variables.get(`w${k}`)!,
      data.map((v) => v * 0.875),
      { atol: 1e-5 },
    );
  optimizer.dispose();
  dispose([...variables.values()]);
});

test("a loss that is not finite stops the step, naming the image and the term, and changes nothing", async () => {
  const model = toyModel();
  const batch = toyBatch(1, ["fine.png", "broken.png"]);
  batch.images.data[13] = NaN;
  const before = [...(await model.variables.get("bias")!.data())];
  await expect(
    trainStep(model, [batch], sgd(plain), { ...options, random: createRandom(0) }),
  ).rejects.toThrow(/step 7: loss_fit is NaN on broken\.png\. .*clipNorm/);
  await expectClose(model.variables.get("bias")!, before);
});

test("to find the image that is to blame, each is passed alone, with its own annotations and as it was drawn before", async () => {
  const toy = toyModel();
  const passed: object[] = [];
  const drawn: number[] = [];
  const model: TrainableModel = {
    ...toy,
    async losses({ names, groundTruth, images }, random) {
      const labels = groundTruth.map((one) => one!.labels[0]!);
      passed.push({
        names,
        labels,
        heights: images.imageSizes.map(({ height }) => height),
        first: images.data[0]!,
      });
      drawn.push(random.uniform());
      return {
        loss_toy: tidy(() => mul(sum(toy.variables.get("bias")!), labels.includes(8) ? NaN : 1)) as Scalar,
      };
    },
  };
  const batch = toyBatch(1, ["a.png", "b.png", "c.png"]);
  const sizes = [1, 2, 2].map((height) => ({ height, width: 2 }));
  const labelled = {
    ...batch,
    images: { ...batch.images, imageSizes: sizes },
    groundTruth: batch.groundTruth.map((one, i) => ({ ...one!, labels: Int32Array.of(7 + i) })),
  };
  await expect(
    trainStep(model, [labelled], sgd(plain), { ...options, random: createRandom(0) }),
  ).rejects.toThrow(
    "step 7: loss_toy is NaN on b.png. Lower the learning rate or lengthen the warm-up, set gradient clipping (optimizer.clipNorm), and look at this image with `mrcnn inspect`.",
  );
  const { data } = batch.images;
  expect(passed).toEqual([
    { names: ["a.png", "b.png", "c.png"], labels: [7, 8, 9], heights: [1, 2, 2], first: data[0] },
    { names: ["a.png"], labels: [7], heights: [1], first: data[0] },
    { names: ["b.png"], labels: [8], heights: [2], first: data[12] },
  ]);
  expect(drawn[1]).toBe(drawn[0]);
});

test("where no image alone is to blame, all of them are named", async () => {
  const toy = toyModel();
  const passed: string[] = [];
  const model: TrainableModel = {
    ...toy,
    async losses({ names }) {
      passed.push(names.join(" "));
      return {
        loss_toy: tidy(() => mul(sum(toy.variables.get("bias")!), names.length > 1 ? NaN : 1)) as Scalar,
      };
    },
  };
  await expect(
    trainStep(model, [toyBatch(1)], sgd(plain), { ...options, random: createRandom(0) }),
  ).rejects.toThrow("step 7: loss_toy is NaN on a.png, b.png. Lower");
  expect(passed).toEqual(["a.png b.png", "a.png", "b.png"]);
});

test("no tensor is left over 50 steps", async () => {
  const model = toyModel();
  const optimizer = sgd();
  const run = (): Promise<unknown> =>
    trainStep(model, [toyBatch(3)], optimizer, { step: 0, rate: 1e-3, clipNorm: 1, random: createRandom(0) });
  await run();
  const before = memory().numTensors;
  for (let i = 0; i < 50; i++) await run();
  expect(memory().numTensors).toBe(before);
});

test("a variable may be replaced between steps", async () => {
  const model = toyModel();
  (model.variables.get("bias") as Variable).assign(tensor1d([0, 0]));
  const report = await trainStep(model, [toyBatch(1)], sgd(plain), { ...options, random: createRandom(0) });
  expect(report.losses["loss_size"]).toBe(0);
});
