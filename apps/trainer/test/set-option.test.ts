import { describe, expect, it } from "vitest";
import { trainingConfigSchema } from "../src/read-config.ts";
import { UsageError } from "../src/errors.ts";
import { setOption } from "../src/set-option.ts";

const set = (assignment: string, config: unknown = {}): unknown =>
  setOption(config, assignment, trainingConfigSchema);

describe("setOption", () => {
  it.each<[string, unknown]>([
    ["training.steps=30", { training: { steps: 30 } }],
    ["model.mask=false", { model: { mask: false } }],
    ["optimizer.milestones=[10,20]", { optimizer: { milestones: [10, 20] } }],
    ['augment.crop={"height":64,"width":64}', { augment: { crop: { height: 64, width: 64 } } }],
    ["data.train.images=../a b/train", { data: { train: { images: "../a b/train" } } }],
    ['data.train.images="2018"', { data: { train: { images: "2018" } } }],
    ["description=a=b", { description: "a=b" }],
    ["data.train.shapes.size.width=64", { data: { train: { shapes: { size: { width: 64 } } } } }],
  ])("reads %s", (assignment, expected) => expect(set(assignment)).toEqual(expected));

  it("keeps what stands beside the key and does not change its argument", () => {
    const config = { training: { steps: 10, batchSize: 3 }, model: {} };
    expect(set("training.steps=30", config)).toEqual({ training: { steps: 30, batchSize: 3 }, model: {} });
    expect(config.training.steps).toBe(10);
  });

  it.each<[string, RegExp]>([
    ["training.steps", /write it as path=value/],
    ["=3", /write it as path=value/],
    ["trainng.steps=3", /Did you mean "training"/],
    ["model.backbone.widht=3", /Did you mean "model.backbone.width"/],
    ["evaluation.zzz=3", /evaluation.zzz is not a known key. Known keys: maxDetections/],
  ])("refuses %s", (assignment, message) => {
    expect(() => set(assignment)).toThrow(UsageError);
    expect(() => set(assignment)).toThrow(message);
  });
});
