// Holds what a model does against what its config says, where defaults would hide a setting that is passed over.
import { tensor } from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { createRandom } from "@mrcnn/core";
import type { TrainingBatch } from "@mrcnn/core";
import { golden } from "@mrcnn/testing";
import { onTape } from "@mrcnn/trainer";
import { toArrays, toTorch } from "@mrcnn/weights";
import { createMaskRcnn } from "../src/index.ts";
import type { MaskRcnnOptions } from "../src/index.ts";
import { trainingLosses } from "../src/training.ts";
import { narrowConfig } from "./narrow-model.ts";
import { batchOf, squares, tinyConfig } from "./tiny-model.ts";

const size = { height: 64, width: 64 };
const picture = squares(
  size,
  [
    [10, 20],
    [38, 8],
  ],
  18,
);
// Whatever is a candidate is sampled, so that nothing is left to chance.
const everything = { batchSize: 100_000 };
const tiny = tinyConfig();

/** The losses of a step of the tiny model; `bare` sets its box deltas to 0. */
async function losses(
  options: Partial<MaskRcnnOptions>,
  { bare = false } = {},
): Promise<Record<string, number>> {
  const model = createMaskRcnn(tinyConfig(options), createRandom(5));
  const batch: TrainingBatch = batchOf(model.config, [picture]);
  if (bare) {
    for (const [name, variable] of model.variables) {
      if (!name.includes("bbox_pred") || name.startsWith("rpn.")) continue;
      const zeros = tensor(new Float32Array(variable.size), variable.shape);
      variable.assign(zeros);
      zeros.dispose();
    }
  }
  try {
    return await onTape(
      () => trainingLosses(model, batch, createRandom(0)),
      async ({ result }) =>
        Object.fromEntries(
          await Promise.all(
            Object.entries(result).map(async ([name, loss]) => [name, (await loss.data())[0]!]),
          ),
        ),
    );
  } finally {
    model.dispose();
  }
}

test("box.weights scale what the box head is to regress", async () => {
  const at = async (k: number): Promise<number> =>
    (
      await losses(
        {
          box: {
            ...tiny.box,
            weights: [100 * k, 100 * k, 50 * k, 50 * k],
            targets: { ...everything, high: 0.05, low: 0.05 },
          },
        },
        { bare: true },
      )
    )["loss_box_reg"]!;
  const [one, two, three] = [await at(1), await at(2), await at(3)];
  // Far from 0 the loss of deltas of 0 is linear in the targets.
  expect(two - one).toBeGreaterThan(1);
  expect((three - two) / (two - one)).toBeCloseTo(1, 2);
});

test("training takes rpn.training's limits of proposals, detection rpn.detection's", async () => {
  const rpn = (training: number, detection: number): Partial<MaskRcnnOptions> => ({
    rpn: {
      ...tiny.rpn,
      training: { preNmsTopK: training, postNmsTopK: training },
      detection: { preNmsTopK: detection, postNmsTopK: detection },
      targets: everything,
    },
    box: { ...tiny.box, targets: everything, scoreThreshold: 0, maxDetections: 500 },
  });
  const few = await losses(rpn(4, 4));
  expect(await losses(rpn(4, 30))).toEqual(few);
  expect((await losses(rpn(30, 4)))["loss_classifier"]).not.toBeCloseTo(few["loss_classifier"]!, 4);

  const found = async (options: Partial<MaskRcnnOptions>): Promise<number> => {
    const model = createMaskRcnn(tinyConfig(options), createRandom(5));
    const [detections] = await model.detect([picture.image]);
    model.dispose();
    return detections!.labels.length;
  };
  // Two classes a proposal at most.
  expect(await found(rpn(30, 4))).toBeLessThanOrEqual(8);
  expect(await found(rpn(4, 30))).toBeGreaterThan(8);
});

test("fresh weights lie as far from 0 as torchvision's", async () => {
  const { seeds, parameters } = golden<{
    seeds: number;
    parameters: Record<string, [rms: number, most: number]>;
  }>(import.meta.url, "initial-weights");
  const [squared, most, counts] = [
    new Map<string, number>(),
    new Map<string, number>(),
    new Map<string, number>(),
  ];
  for (let seed = 0; seed < seeds; seed++) {
    const model = createMaskRcnn(narrowConfig, createRandom(seed));
    for (const [name, { data }] of toTorch(await toArrays(model.variables))) {
      squared.set(name, (squared.get(name) ?? 0) + (data as Float32Array).reduce((sum, v) => sum + v * v, 0));
      most.set(
        name,
        (data as Float32Array).reduce((m, v) => Math.max(m, Math.abs(v)), most.get(name) ?? 0),
      );
      counts.set(name, (counts.get(name) ?? 0) + data.length);
    }
    model.dispose();
  }
  const off: string[] = [];
  for (const [name, [rms, largest]] of Object.entries(parameters)) {
    const own = Math.sqrt(squared.get(name)! / counts.get(name)!);
    // Five deviations of the mean square of so many normal values, here and there.
    const allowed = 1 + 5 / Math.sqrt(counts.get(name)!);
    // torchvision leaves these two biases at torch's uniform default; ours begin at 0, as detectron2's.
    if (/mask_predictor.*bias/.test(name) && own === 0) continue;
    const isNear =
      rms === 0 ?
        own === 0
      : own / rms < allowed &&
        rms / own < allowed &&
        most.get(name)! / largest < 1.5 &&
        largest / most.get(name)! < 1.5;
    if (!isNear) off.push(`${name}: ${own} against ${rms}, at most ${most.get(name)} against ${largest}`);
  }
  expect(off).toEqual([]);
});
