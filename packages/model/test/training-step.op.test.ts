import type { Scalar, Variable } from "@tensorflow/tfjs-core";
import { addN, dispose, memory } from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { createRandom } from "@mrcnn/core";
import type { TrainingBatch } from "@mrcnn/core";
import { golden, seededUniform } from "@mrcnn/testing";
import { onTape } from "@mrcnn/trainer";
import { batchImages, normalizeImage } from "@mrcnn/transforms";
import { toTorch } from "@mrcnn/weights";
import { trainingLosses, trainingModel } from "../src/training.ts";
import { narrowConfig, narrowGroundTruth, narrowImage, narrowModel } from "./narrow-model.ts";

interface Golden {
  readonly sizes: readonly [number, number][];
  readonly projections: number;
  readonly losses: Record<string, number>;
  readonly gradients: Record<string, number[]>;
  readonly detections: { boxes: number[][]; labels: number[]; scores: number[]; areas: number[] }[];
}
const expected = golden<Golden>(import.meta.url, "training-step");
const sizes = expected.sizes.map(([height, width]) => ({ height, width }));
const images = sizes.map((size, i) => narrowImage(i, size));
const batch: TrainingBatch = {
  images: batchImages(
    images.map((image) => normalizeImage(image, narrowConfig.image)),
    { divisor: 32 },
  ),
  groundTruth: sizes.map((size, i) => narrowGroundTruth(i, size)),
  names: ["first", "second"],
};

async function step(): Promise<{ losses: Record<string, number>; gradients: Map<string, Float32Array> }> {
  const model = narrowModel();
  try {
    return await onTape(
      () => trainingLosses(model, batch, createRandom(0)),
      async ({ result, gradients }) => {
        const losses: Record<string, number> = {};
        for (const [name, loss] of Object.entries(result)) losses[name] = (await loss.data())[0]!;
        const names = model.trainable;
        const grads = gradients(
          addN(Object.values(result)) as Scalar,
          names.map((name) => model.variables.get(name) as Variable),
        );
        const arrays = new Map<string, { shape: number[]; data: Float32Array }>();
        for (const [i, name] of names.entries()) {
          arrays.set(name, { shape: grads[i]!.shape, data: (await grads[i]!.data()) as Float32Array });
        }
        dispose(grads as never);
        return {
          losses,
          gradients: new Map([...toTorch(arrays)].map(([name, { data }]) => [name, data as Float32Array])),
        };
      },
    );
  } finally {
    model.dispose();
  }
}

let first: Awaited<ReturnType<typeof step>>;
beforeAll(async () => {
  first = await step();
});

test("each loss and each parameter's gradient equal torchvision's", async () => {
  const { losses, gradients } = first;
  expect(Object.keys(losses).toSorted()).toEqual(Object.keys(expected.losses).toSorted());
  for (const [name, value] of Object.entries(expected.losses)) {
    expect(Math.abs(losses[name]! - value) / value, `${name}: ${losses[name]} against ${value}`).toBeLessThan(
      1e-4,
    );
  }
  expect([...gradients.keys()].toSorted()).toEqual(Object.keys(expected.gradients).toSorted());
  const off: string[] = [];
  for (const [name, [norm, ...projections]] of Object.entries(expected.gradients)) {
    const g = gradients.get(name)!;
    const signs = seededUniform(`signs ${name}`, projections.length * g.length);
    // Random signs r have E[(r·d)²] = ‖d‖², so the mean over the projections estimates ‖g - g_ref‖².
    let squares = 0;
    for (const [p, value] of projections.entries()) {
      let dot = 0;
      for (let i = 0; i < g.length; i++) dot += (signs[p * g.length + i]! < 0.5 ? -1 : 1) * g[i]!;
      squares += (dot - value) ** 2;
    }
    const relative = Math.sqrt(squares / projections.length) / norm!;
    const own = Math.hypot(...(g.length > 50_000 ? [Math.sqrt(g.reduce((s, v) => s + v * v, 0))] : g));
    if (!(relative <= 1e-3) || !(Math.abs(own - norm!) <= 1e-3 * norm!))
      off.push(`${name}: difference ${relative}, norm ${own} against ${norm}`);
  }
  expect(off).toEqual([]);
});

test("a training step leaves nothing on the device", async () => {
  // The first step warmed up; training.op.test.ts takes many more, of a smaller model.
  const before = memory().numTensors;
  await step();
  expect(memory().numTensors).toBe(before);
});

test("detections equal torchvision's", async () => {
  const model = narrowModel();
  const found = await model.detect(images);
  model.dispose();
  for (const [i, { boxes, labels, scores, areas }] of expected.detections.entries()) {
    const own = found[i]!;
    expect([...own.labels]).toEqual(labels);
    for (const [k, score] of scores.entries()) {
      expect(Math.abs(own.scores[k]! - score)).toBeLessThan(1e-4);
      for (let c = 0; c < 4; c++) expect(Math.abs(own.boxes[k * 4 + c]! - boxes[k]![c]!)).toBeLessThan(0.01);
      const area = own.masks![k]!.counts.reduce((sum, run, r) => sum + (r % 2 === 1 ? run : 0), 0);
      expect(Math.abs(area - areas[k]!)).toBeLessThanOrEqual(Math.max(1, areas[k]! * 1e-3));
    }
  }
});

test("the trainable names are the parameters, not the statistics", () => {
  const model = narrowModel();
  expect(trainingModel(model).trainable.toSorted()).toEqual(Object.keys(expected.gradients).toSorted());
  model.dispose();
});
