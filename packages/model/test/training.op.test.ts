import { memory } from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { createRandom } from "@mrcnn/core";
import type { TrainingBatch } from "@mrcnn/core";
import { sgd, trainStep } from "@mrcnn/trainer";
import type { StepReport } from "@mrcnn/trainer";
import { toArrays } from "@mrcnn/weights";
import { createMaskRcnn } from "../src/index.ts";
import type { MaskRcnn } from "../src/index.ts";
import { trainingLosses, trainingModel } from "../src/training.ts";
import { batchOf, squares, tinyConfig } from "./tiny-model.ts";

const size = { height: 64, width: 64 };
const one = squares(size, [[10, 20]]);
const empty = squares(size, []);

async function trained(
  model: MaskRcnn,
  batch: TrainingBatch,
  steps: number,
  each: (report: StepReport) => void = () => {},
): Promise<void> {
  const trainable = trainingModel(model);
  const optimizer = sgd();
  for (let step = 0; step < steps; step++) {
    each(
      await trainStep(trainable, [batch], optimizer, {
        step,
        rate: 0.02,
        clipNorm: 5,
        random: createRandom(1).fork(step),
      }),
    );
  }
  optimizer.dispose();
}

test.each([
  ["matterport's arithmetic", { numerics: "matterport" as const }, "got matterport with 0 keypoints"],
  ["keypoints", { keypoints: ["head", "tail"] }, "got torchvision with 2 keypoints"],
])("a model with %s is not trained: that is said, and no step begins", async (_, options, words) => {
  const model = createMaskRcnn(tinyConfig({ backbone: { depth: 18, width: 4 }, ...options }));
  await expect(trainingLosses(model, batchOf(model.config, [one]), createRandom(1))).rejects.toThrow(
    `trainingLosses: models of numerics "matterport" and models with keypoints detect only, ${words}. Train with numerics "torchvision" or "detectron2" and without keypoints.`,
  );
  model.dispose();
});

test.each<[string, Parameters<typeof tinyConfig>[0], boolean]>([
  ["frozen norms alone", { backbone: { depth: 18, width: 4 } }, false],
  ["norms of groups alone", {}, false],
  ["norms of batches in the backbone", { backbone: { depth: 18, width: 4, norm: "batch_norm" } }, true],
  ["norms of batches in the pyramid", { fpn: { channels: 8, norm: "batch_norm" } }, true],
  [
    "norms of batches in the mask head",
    { maskHead: { poolSize: 7, layers: [8], channels: 8, norm: "batch_norm" } },
    true,
  ],
])("the statistics that follow the batches are told of a model with %s", (_, options, follows) => {
  const model = createMaskRcnn(tinyConfig(options));
  const { statistics, variables } = trainingModel(model);
  const running = [...variables.keys()].filter((name) => /\.running_(mean|var)$/.test(name));
  expect(statistics).toEqual(follows ? running : []);
  if (follows) expect(running.length).toBeGreaterThan(0);
  model.dispose();
});

// Many steps: a page runs the single ones below.
test("fifty steps on one image lower its loss and leave nothing on the device", async () => {
  const model = createMaskRcnn(tinyConfig());
  const batch = batchOf(model.config, [one]);
  await trained(model, batch, 1);
  const before = memory().numTensors;
  const losses: number[] = [];
  await trained(model, batch, 50, ({ loss }) => losses.push(loss));
  expect(memory().numTensors).toBe(before);
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
  expect(mean(losses.slice(-5))).toBeLessThan(0.6 * mean(losses.slice(0, 5)));
  model.dispose();
});

test("steps on batches of ever other sizes and numbers of objects hold as many tensors and bytes after each as after the first", async () => {
  const model = createMaskRcnn(tinyConfig());
  const trainable = trainingModel(model);
  const optimizer = sgd();
  const held: string[] = [];
  for (let step = 0; step < 24; step++) {
    const edge = { height: 32 + 16 * (step % 4), width: 32 + 16 * (step % 3) };
    const corners = Array.from({ length: (step + 1) % 5 }, (_, i) => [i, 11 - 2 * i] as const);
    const batch = batchOf(
      model.config,
      Array.from({ length: 1 + (step % 2) }, () => squares(edge, corners)),
    );
    await trainStep(trainable, [batch], optimizer, {
      step,
      rate: 0.001,
      clipNorm: 5,
      random: createRandom(1).fork(step),
    });
    const { numTensors, numBytes } = memory();
    held.push(`${numTensors} tensors, ${numBytes} bytes`);
  }
  expect(new Set(held)).toEqual(new Set([held[0]]));
  optimizer.dispose();
  model.dispose();
});

test("Faster R-CNN trains without a mask term, and on data without masks", async () => {
  const model = createMaskRcnn(tinyConfig({ mask: false }));
  const { image, groundTruth } = one;
  await trained(
    model,
    batchOf(model.config, [{ image, groundTruth: { ...groundTruth, masks: [] } }]),
    1,
    ({ losses }) => {
      expect(Object.keys(losses).toSorted()).toEqual([
        "loss_box_reg",
        "loss_classifier",
        "loss_objectness",
        "loss_rpn_box_reg",
      ]);
      for (const value of Object.values(losses)) expect(value).toBeGreaterThan(0);
    },
  );
  model.dispose();
});

test("data without masks is refused by a model with a mask head, saying what to do", async () => {
  const model = createMaskRcnn(tinyConfig());
  const { image, groundTruth } = one;
  const batch = batchOf(model.config, [{ image, groundTruth: { ...groundTruth, masks: [] } }]);
  const before = memory().numTensors;
  await expect(trained(model, batch, 1)).rejects.toThrow(
    "Train without a mask head, or add masks to the data.",
  );
  expect(memory().numTensors).toBe(before);
  model.dispose();
});

test("an image without objects trains the objectness and the classifier only", async () => {
  const model = createMaskRcnn(tinyConfig());
  await trained(model, batchOf(model.config, [empty]), 1, ({ losses }) => {
    expect(losses).toMatchObject({ loss_rpn_box_reg: 0, loss_box_reg: 0, loss_mask: 0 });
    expect(losses["loss_objectness"]).toBeGreaterThan(0);
    expect(losses["loss_classifier"]).toBeGreaterThan(0);
  });
  await trained(model, batchOf(model.config, [empty, one]), 1, ({ losses }) => {
    for (const [name, value] of Object.entries(losses))
      expect(Number.isFinite(value) && value > 0, `${name} is ${value}`).toBe(true);
  });
  for (const [name, { data }] of await toArrays(model.variables))
    expect(data.every(Number.isFinite), name).toBe(true);
  model.dispose();
});

test("more objects than are sampled fit", async () => {
  const corners = Array.from({ length: 49 }, (_, i) => [1 + 9 * (i % 7), 1 + 9 * Math.trunc(i / 7)] as const);
  const crowded = squares(size, corners, 8);
  const model = createMaskRcnn(
    tinyConfig({
      rpn: { targets: { batchSize: 6 } },
      box: { representation: 16, targets: { batchSize: 5 } },
    }),
  );
  await trained(model, batchOf(model.config, [crowded]), 1, ({ losses }) => {
    for (const [name, value] of Object.entries(losses))
      expect(Number.isFinite(value) && value > 0, `${name} is ${value}`).toBe(true);
  });
  model.dispose();
});

const changed = async (model: MaskRcnn, work: () => Promise<unknown>): Promise<string[]> => {
  const before = await toArrays(model.variables);
  await work();
  const after = await toArrays(model.variables);
  return [...before]
    .filter(([name, { data }]) => data.some((value, i) => value !== after.get(name)!.data[i]))
    .map(([name]) => name);
};

test("batch norm's running statistics move in training, not in detection", async () => {
  const model = createMaskRcnn(
    tinyConfig({ backbone: { depth: 18, width: 4, norm: "batch_norm", trainableLayers: 5 } }),
  );
  const statistics = [...model.variables.keys()].filter((name) => /running_(mean|var)$/.test(name));
  expect(statistics).toHaveLength(40);
  expect(model.trainable.filter((name) => statistics.includes(name))).toEqual([]);
  const moved = await changed(model, () => trained(model, batchOf(model.config, [one]), 1));
  expect(statistics.filter((name) => !moved.includes(name))).toEqual([]);
  expect(await changed(model, () => model.detect([one.image]))).toEqual([]);
  model.dispose();
});

test("frozen stages stay as they are", async () => {
  const model = createMaskRcnn(
    tinyConfig({ backbone: { depth: 18, width: 4, norm: "frozen_batch_norm", trainableLayers: 2 } }),
  );
  const moved = await changed(model, () => trained(model, batchOf(model.config, [one]), 1));
  const stages = new Set(
    moved.filter((name) => name.startsWith("backbone.body.")).map((name) => name.split(".")[2]),
  );
  expect([...stages].toSorted()).toEqual(["layer3", "layer4"]);
  expect(moved.filter((name) => name.includes("bn"))).toEqual([]);
  expect(
    moved.some((name) => name.startsWith("backbone.fpn.")) && moved.some((name) => name.startsWith("rpn.")),
  ).toBe(true);
  model.dispose();
});
