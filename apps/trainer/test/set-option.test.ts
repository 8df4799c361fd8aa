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

  it("says all that a user needs: what was typed, the key, and the keys there are or the nearest one", () => {
    const message = (assignment: string, example?: string): string => {
      try {
        setOption({}, assignment, trainingConfigSchema, example);
      } catch (error) {
        return (error as Error).message;
      }
      return "";
    };
    expect(message("training.steps")).toBe(
      "--set training.steps: write it as path=value, for example training.steps=1000.",
    );
    expect(message("eps", "backbone.eps=1e-5")).toBe(
      "--set eps: write it as path=value, for example backbone.eps=1e-5.",
    );
    expect(message("data.trian.images=a")).toBe(
      '--set data.trian.images=a: data.trian is not a known key. Did you mean "data.train"?',
    );
    expect(message("data.zzzz.images=a")).toBe(
      "--set data.zzzz.images=a: data.zzzz is not a known key. Known keys: train, validation, fingerprint, categories.",
    );
  });

  it("takes any key where the schema names none", () => {
    expect(setOption({ a: 1 }, "b.c=2", undefined)).toEqual({ a: 1, b: { c: 2 } });
    expect(setOption({ a: 1 }, "a.b=2", { entries: { a: { type: "number" } } })).toEqual({ a: { b: 2 } });
    expect(setOption({}, "a.b.c=2", { entries: { a: undefined } })).toEqual({ a: { b: { c: 2 } } });
    // What no object is gives way to one.
    expect(setOption("text", "a=null", undefined)).toEqual({ a: null });
  });

  it("finds keys within what is optional or lazy", () => {
    const inner = { entries: { b: {} } };
    for (const a of [{ wrapped: inner }, { getter: () => inner }, { wrapped: { getter: () => inner } }]) {
      const schema = { entries: { a } };
      expect(setOption({}, "a.b=2", schema)).toEqual({ a: { b: 2 } });
      expect(() => setOption({}, "a.xyz=2", schema)).toThrow("a.xyz is not a known key. Known keys: b.");
    }
  });
});
