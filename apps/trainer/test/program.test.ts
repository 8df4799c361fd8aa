import { describe, expect, it } from "vitest";
import { mrcnn, temporaryFolder, tinyConfig, writeJson } from "./command.ts";

const folder = temporaryFolder();

describe("the command", () => {
  it.each(["train", "eval", "detect", "convert", "models", "inspect", "shapes", "doctor"])(
    "%s --help shows an example and ends with 0",
    async (name) => {
      const { code, out } = await mrcnn(name, "--help");
      expect(code).toBe(0);
      expect(out).toContain(`Example:\n  mrcnn ${name}`);
      expect(out).toContain("--backend");
    },
  );

  it.each<[string, string[], RegExp]>([
    ["no command", [], /Usage: mrcnn/],
    ["an unknown command", ["trian"], /unknown command 'trian'[\s\S]*Did you mean train/],
    [
      "an unknown option",
      ["detect", "x.png", "--model", "m", "--overlays", "d"],
      /unknown option '--overlays'[\s\S]*Did you mean --overlay/,
    ],
    ["a missing option", ["train", "c.json"], /required option '--out <dir>'/],
    ["a missing argument", ["detect", "--model", "m"], /missing required argument 'image'/],
    [
      "a number that is none",
      ["detect", "x.png", "--model", "m", "--score-threshold", "high"],
      /a number from 0 to 1/,
    ],
    ["a backend that does not exist", ["doctor", "--backend", "gpu"], /Allowed choices are auto, tensorflow/],
    ["eval of nothing", ["eval", "--annotations", "a.json"], /--model M --images DIR/],
    ["results without a type", ["eval", "--annotations", "a.json", "--results", "r.json"], /--iou-type/],
    ["a model without images", ["eval", "--annotations", "a.json", "--model", "m"], /--model needs --images/],
  ])("wrong usage ends with 2: %s", async (_, args, message) => {
    const { code, err, out } = await mrcnn(...args);
    expect(code).toBe(2);
    expect(err).toMatch(message);
    expect(out).toBe("");
  });

  it("says one line about anything else and ends with 1; --verbose adds the stack", async () => {
    const args = ["train", `${folder}/none.json`, "--out", `${folder}/run`];
    const quiet = await mrcnn(...args);
    expect(quiet.code).toBe(1);
    expect(quiet.err).toBe(`error: The config ${folder}/none.json does not exist. Check the path.`);
    const verbose = await mrcnn(...args, "--verbose");
    expect(verbose.err).toContain("readTrainingConfig");
  });

  it("has a version", async () => {
    expect(await mrcnn("--version")).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    });
  });
});

describe("a config that is wrong", () => {
  const train = (config: unknown, ...args: string[]): ReturnType<typeof mrcnn> =>
    mrcnn(
      "train",
      writeJson(folder, "config.json", config),
      "--out",
      `${folder}/run`,
      "--backend",
      "cpu",
      ...args,
    );

  it("names a misspelled key, its place and the nearest one", async () => {
    const { code, err } = await train({
      ...tinyConfig,
      optimizer: { ...tinyConfig.optimizer, warmupStep: 3 },
    });
    expect(code).toBe(1);
    expect(err).toBe(
      `error: ${folder}/config.json: optimizer.warmupStep is not a known key. Did you mean "warmupSteps"?`,
    );
  });

  it("names a misspelled key of the model", async () => {
    const { err } = await train({ ...tinyConfig, model: { backbone: { dept: 18 } } });
    expect(err).toContain('model.backbone.dept is not a known key. Did you mean "depth"?');
  });

  it("names a value of the wrong kind", async () => {
    const { err } = await train({ ...tinyConfig, training: { steps: "many" } });
    expect(err).toContain('training.steps: expected number, got "many"');
  });

  it("refuses a --set of an unknown key as wrong usage", async () => {
    const { code, err } = await train(tinyConfig, "--set", "training.step=3");
    expect(code).toBe(2);
    expect(err).toContain('training.step is not a known key. Did you mean "training.steps"?');
  });

  it("names the data that is not given", async () => {
    const { code, err } = await train({ ...tinyConfig, data: { train: {} } });
    expect(code).toBe(1);
    expect(err).toContain("data.train: images must be given");
  });

  it("names classes that the data does not have", async () => {
    const { err } = await train({ ...tinyConfig, model: { ...tinyConfig.model, classes: ["cat"] } });
    expect(err).toContain("model.classes are cat, the data has circle, rectangle, triangle");
  });
});
