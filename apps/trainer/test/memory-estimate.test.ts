// The estimate of a training's memory: whose size the batch has, worked by hand, and what follows from it.
import { createRandom } from "@mrcnn/core";
import { createMaskRcnn, parseMaskRcnnConfig } from "@mrcnn/model";
import { trainingValues } from "@mrcnn/model/training";
import { setBackend } from "@tensorflow/tfjs";
import { beforeAll, describe, expect, it } from "vitest";
import type { TrainingConfig } from "../src/config.ts";
import { estimateMemory, leastImageSize } from "../src/memory-estimate.ts";
import { tinyConfig } from "./command.ts";

beforeAll(async () => void (await setBackend("cpu")));

const configOf = (augment: TrainingConfig["augment"], more: object = {}): TrainingConfig =>
  ({ ...tinyConfig, augment, ...more }) as unknown as TrainingConfig;

const classes = ["nut", "bolt"];
const model = parseMaskRcnnConfig({ ...tinyConfig.model, classes }, "model");
const activations = (height: number, width: number, batchSize: number): number =>
  // What the forward pass keeps, in float32, and half as much again for the way back.
  trainingValues(model, height * width) * batchSize * 4 * 1.5;

describe("estimateMemory", () => {
  it("counts weights, their gradients and momenta, each a float32", () => {
    const net = createMaskRcnn(model, createRandom(0));
    const parameters = [...net.variables.values()].reduce(
      (sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1),
      0,
    );
    net.dispose();
    const estimate = estimateMemory(configOf({}), classes, [{ height: 64, width: 64 }]);
    expect(estimate).toEqual({
      parameters,
      weightBytes: 12 * parameters,
      activationBytes: activations(64, 64, 1),
      totalBytes: 12 * parameters + activations(64, 64, 1) + 700e6,
    });
  });

  const wide = { height: 60, width: 100 };
  const tall = { height: 90, width: 40 };
  const small = { height: 20, width: 20 };
  it.each<[string, TrainingConfig["augment"], number, [number, number]]>([
    // Sides are rounded up to whole strides of the coarsest level: 32.
    ["the largest image's, of one image at a time", {}, 1, [64, 128]],
    ["as high as the highest and as wide as the widest, of several", {}, 2, [96, 128]],
    ["the crop's", { crop: { height: 50, width: 33 }, minSizes: [600], rotate90: 1 }, 2, [64, 64]],
    // Shorter edges 60, 40, 20 become 120: 120 x 200, 270 x 120, 120 x 120.
    ["at the greatest of the sizes drawn", { minSizes: [80, 120] }, 2, [288, 224]],
    // 270 is cut to 150, and its 120 with it to 67; 200 to 150 and 120 to 90.
    ["within the longest edge", { minSizes: [120], maxSize: 150 }, 2, [160, 160]],
    ["a square's when images are turned", { rotate90: 0.5 }, 2, [128, 128]],
    ["of one turned image no more than it is", { rotate90: 0.5 }, 1, [64, 128]],
    ["not turned with no probability", { rotate90: 0 }, 2, [96, 128]],
  ])("the batch's size is %s", (_, augment, batchSize, [height, width]) => {
    const config = configOf(augment, { training: { ...tinyConfig.training, batchSize } });
    const { activationBytes } = estimateMemory(config, classes, [small, wide, tall]);
    expect(activationBytes).toBe(activations(height, width, batchSize));
  });
});

describe("leastImageSize", () => {
  const shapes = { format: "shapes", shapes: { size: { height: 60, width: 100 } } };
  const of = (augment: TrainingConfig["augment"], train: object): unknown =>
    leastImageSize(configOf(augment, { data: { train } }));
  it("is the crop's, whatever the data", () =>
    expect(of({ crop: { height: 5, width: 7 }, minSizes: [9] }, { format: "coco" })).toEqual({
      height: 5,
      width: 7,
    }));
  it("is that of generated shapes, at the least of the sizes drawn and within the longest edge", () => {
    expect(of({}, shapes)).toEqual({ height: 60, width: 100 });
    expect(of({ minSizes: [120, 90] }, shapes)).toEqual({ height: 90, width: 150 });
    expect(of({ minSizes: [120, 90], maxSize: 50 }, shapes)).toEqual({ height: 30, width: 50 });
  });
  it("is the data's where the config does not say it", () => {
    expect(of({ minSizes: [90] }, { format: "coco", shapes: shapes.shapes })).toBeUndefined();
    expect(of({}, { format: "shapes", shapes: {} })).toBeUndefined();
    expect(of({}, { format: "shapes" })).toBeUndefined();
  });
});
