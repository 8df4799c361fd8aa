import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseMaskRcnnConfig } from "@mrcnn/model";
import { beforeAll, describe, expect, it } from "vitest";
import { startBackend } from "../src/backend.ts";
import { readTrainingConfig } from "../src/read-config.ts";
import { effectNotes } from "../src/config-effects.ts";
import { estimateMemory } from "../src/memory-estimate.ts";
import { temporaryFolder, writeJson } from "./command.ts";

const configs = fileURLToPath(new URL("../../../configs", import.meta.url));
const folder = temporaryFolder();

describe("configs/", () => {
  it.each(readdirSync(configs).filter((name) => name.endsWith(".json")))(
    "%s is a config, with a description",
    (name) => {
      const config = readTrainingConfig(`${configs}/${name}`);
      expect(config.description).toBeTruthy();
      expect(() => parseMaskRcnnConfig({ ...config.model, classes: ["a"] }, name)).not.toThrow();
      expect(config.optimizer.milestones.every((step) => step < config.training.steps)).toBe(true);
    },
  );
});

describe("readTrainingConfig", () => {
  const file = writeJson(folder, "small.json", {
    data: { train: { format: "shapes", shapes: { count: 1 } } },
    training: { steps: 5 },
  });

  it("fills in the defaults of the paper's schedule", () => {
    const { optimizer, training, evaluation, augment } = readTrainingConfig(file);
    expect(optimizer).toMatchObject({ rate: 0.02, momentum: 0.9, weightDecay: 1e-4, gamma: 0.1 });
    expect(training).toMatchObject({ steps: 5, batchSize: 2, accumulate: 1, seed: 0 });
    expect(evaluation).toMatchObject({ maxDetections: 100, scoreThreshold: 0.05 });
    expect(augment).toEqual({ flip: 0.5 });
  });

  it("lets --set win, the last one last", () => {
    expect(readTrainingConfig(file, ["training.steps=7", "training.steps=9"]).training.steps).toBe(9);
  });
});

describe("settings that would do nothing", () => {
  const shapes = { format: "shapes", shapes: { count: 2 } };
  const coco = { images: "i", annotations: "a.json" };
  const written = (value: object): string =>
    writeJson(folder, "idle.json", { data: { train: coco }, training: { steps: 5 }, ...value });

  it("paths given to a config of generated shapes are refused, with what to set instead", () => {
    const start = `${configs}/start.json`;
    expect(() =>
      readTrainingConfig(start, ["data.train.images=photos", "data.train.annotations=photos.json"]),
    ).toThrow(
      `data.train.images and data.train.annotations would do nothing with format "shapes", which generates its images. Set data.train.format=coco and leave out data.train.shapes: --set 'data.train={"images":"photos","annotations":"photos.json"}'.`,
    );
    expect(
      readTrainingConfig(start, ['data.train={"images":"photos","annotations":"photos.json"}']).data.train,
    ).toEqual({ format: "coco", images: "photos", annotations: "photos.json" });
    expect(() => readTrainingConfig(start, ["data.validation.folder=cells"])).toThrow(
      `Set data.validation.format=folders and leave out data.validation.shapes: --set 'data.validation={"format":"folders","folder":"cells"}'.`,
    );
  });

  it.each<[string, object, RegExp]>([
    [
      "a folder of COCO's format",
      { data: { train: { folder: "cells" } } },
      /data\.train\.folder would do nothing with format "coco"\. Set data\.train\.format=folders: --set 'data\.train=\{"format":"folders","folder":"cells"\}'/,
    ],
    [
      "shapes of COCO's format",
      { data: { train: { shapes: { count: 2 } } } },
      /data\.train\.shapes would do nothing with format "coco"\. Set data\.train\.format=shapes/,
    ],
    [
      "shapes beside paths",
      { data: { train: { ...coco, shapes: { count: 2 } } } },
      /data\.train\.shapes would do nothing with format "coco"\. Leave that out: --set 'data\.train=\{"images":"i","annotations":"a\.json"\}'/,
    ],
    [
      "annotations of folders",
      { data: { train: { format: "folders", folder: "f", annotations: "a.json" } } },
      /data\.train\.annotations would do nothing with format "folders"/,
    ],
    [
      "degenerate for folders",
      { data: { train: { format: "folders", folder: "f", degenerate: "drop" } } },
      /data\.train\.degenerate would do nothing/,
    ],
    [
      "a class name for COCO",
      { data: { train: { ...coco, className: "cell" } } },
      /data\.train\.className would do nothing/,
    ],
    [
      "masks beside a folder",
      { data: { train: { format: "folders", folder: "f", images: "i", masks: "m" } } },
      /data\.train\.images and masks would do nothing beside data\.train\.folder/,
    ],
    [
      "paths of a validation set of shapes",
      { data: { train: coco, validation: { ...shapes, ...coco } } },
      /data\.validation\.images and data\.validation\.annotations would do nothing/,
    ],
    [
      "evaluation without validation data",
      { training: { steps: 5, evaluateEvery: 2 } },
      /training\.evaluateEvery=2 does nothing without data\.validation/,
    ],
    [
      "a limit without validation data",
      { evaluation: { limit: 3 } },
      /evaluation\.limit=3 does nothing without data\.validation/,
    ],
    [
      "a size beside the native one",
      { evaluation: { nativeSize: true, minSize: 300 } },
      /evaluation\.minSize would do nothing with evaluation\.nativeSize/,
    ],
    [
      "sizes that contradict",
      { evaluation: { minSize: 300, maxSize: 200 } },
      /evaluation\.minSize must be at most evaluation\.maxSize, got 300 and 200/,
    ],
    [
      "a longest edge of images that keep their size",
      { augment: { maxSize: 640 } },
      /augment\.maxSize=640 does nothing without augment\.minSizes/,
    ],
    [
      "an edge longer than the longest",
      { augment: { minSizes: [320, 800], maxSize: 640 } },
      /augment\.minSizes must be at most augment\.maxSize, got 800 and 640/,
    ],
    [
      "gamma without milestones",
      { optimizer: { gamma: 0.5 } },
      /optimizer\.gamma=0\.5 does nothing without optimizer\.milestones/,
    ],
    [
      "a factor without a warm-up",
      { optimizer: { warmupSteps: 0, warmupFactor: 0.1 } },
      /optimizer\.warmupFactor=0\.1 does nothing/,
    ],
    [
      "norms that don't decay where nothing does",
      { optimizer: { weightDecay: 0, decayNorms: false } },
      /optimizer\.decayNorms=false does nothing/,
    ],
    [
      "milestones that do not ascend",
      { optimizer: { milestones: [5, 3] } },
      /optimizer\.milestones must ascend, got \[5,3\]/,
    ],
    [
      "a thousand threads",
      { training: { steps: 3, workers: 1000 } },
      /training\.workers: expected <=64, got 1000/,
    ],
    [
      "a batch of a million images",
      { training: { steps: 3, batchSize: 1e6 } },
      /training\.batchSize: expected <=1024, got 1000000/,
    ],
  ])("%s is refused", (_, value, message) =>
    expect(() => readTrainingConfig(written(value))).toThrow(message),
  );

  it("a config as training has written it is taken", () => {
    const config = readTrainingConfig(`${configs}/nuclei.json`);
    expect(readTrainingConfig(writeJson(folder, "resolved.json", config))).toEqual(config);
  });

  const notesOf = (value: object): string[] => effectNotes(readTrainingConfig(written(value)));

  it("a warm-up longer than the run is said, with the rate that is reached", () => {
    // Step 5 of 5 has the rate after 4 of 1000 steps: 0.02 (0.001 + 0.999 · 4/1000).
    const five = { model: { backbone: { trainableLayers: 5 } } };
    expect(notesOf(five)).toEqual([
      "The warm-up (optimizer.warmupSteps=1000) is longer than the run (training.steps=5): the rate ends at 0.0000999, 0 % of optimizer.rate=0.02.",
    ]);
    expect(notesOf({ ...five, optimizer: { warmupSteps: 8, warmupFactor: 0 } })[0]).toContain(
      "the rate ends at 0.01, 50 % of optimizer.rate=0.02",
    );
    expect(notesOf({ ...five, optimizer: { warmupSteps: 4 } })).toEqual([]);
  });

  it("milestones and evaluations beyond the end are said, and layers that stay random", () => {
    const quick = { model: { backbone: { trainableLayers: 5 } }, optimizer: { warmupSteps: 0 } };
    expect(notesOf({ ...quick, optimizer: { warmupSteps: 0, milestones: [3, 5, 60] } })).toEqual([
      "optimizer.milestones 5 and 60 are beyond the run's 5 steps: the rate is not lowered there.",
    ]);
    expect(
      notesOf({
        ...quick,
        data: { train: coco, validation: coco },
        training: { steps: 5, evaluateEvery: 10 },
      }),
    ).toEqual([
      "training.evaluateEvery=10 is beyond the run's 5 steps: the model is evaluated at the end only.",
    ]);
    expect(notesOf({ ...quick, model: {} })).toEqual([
      "No training.initialWeights are given, and model.backbone.trainableLayers=3 does not train the stem and layer1: the random values they begin with stay. Set it to 5.",
    ]);
    expect(notesOf({ ...quick, model: {}, training: { steps: 5, initialWeights: "x" } })).toEqual([]);
  });
});

describe("estimateMemory", () => {
  const landscape = { width: 640, height: 480 };
  const portrait = { width: 480, height: 640 };
  const of = (
    batchSize: number,
    images = [landscape],
    more: readonly string[] = [],
  ): ReturnType<typeof estimateMemory> =>
    estimateMemory(
      readTrainingConfig(`${configs}/coco-resnet50-fpn.json`, [`training.batchSize=${batchSize}`, ...more]),
      Array.from({ length: 90 }, (_, i) => `c${i}`),
      images,
    );
  beforeAll(() => startBackend("cpu"));

  it("counts ResNet-50-FPN's parameters as torchvision does, and grows with the batch", () => {
    // torchvision's maskrcnn_resnet50_fpn has 44,401,393 parameters, and as buffers the four vectors of its
    // frozen batch norms, 26,560 channels in all.
    const { parameters, totalBytes } = of(1);
    expect(parameters).toBe(44_401_393 + 4 * 26_560);
    expect(of(2).activationBytes).toBe(2 * of(1).activationBytes);
    expect(totalBytes).toBeGreaterThan(4 * 3 * parameters);
  });

  it("takes the widest batch there may be: portraits beside landscapes make a square", () => {
    const narrow = (batchSize: number, images: (typeof landscape)[], ...more: string[]): number =>
      of(batchSize, images, [
        "model.backbone.width=8",
        "model.fpn.channels=8",
        "model.box.representation=8",
        ...more,
      ]).activationBytes;
    expect(narrow(1, [portrait, landscape])).toBe(narrow(1, [landscape]));
    // 480x640 and 640x480 at 800 fill 1088x1088 (1066 rounded up to 32) instead of 800x1088.
    const square = narrow(2, [{ width: 1088, height: 1088 }], "augment.minSizes=[1088]");
    expect(narrow(2, [portrait, landscape])).toBe(square);
    expect(narrow(2, [landscape], "augment.rotate90=0.5")).toBe(square);
    expect(narrow(2, [landscape])).toBeLessThan(square);
    expect(narrow(2, [portrait, landscape], 'augment.crop={"height":256,"width":256}')).toBe(
      narrow(2, [{ width: 256, height: 256 }], "augment.minSizes=[256]"),
    );
  });

  it("is within a half of peaks that were measured", () => {
    // Peaks of `mrcnn train` on backend tensorflow, two cores of an Intel Xeon, 2026-11-25; 2 COCO photos (6 steps at 800, 8 at 400) or
    // 4 pictures of shapes a step (400 steps).
    const half = (bytes: number, measured: number): void =>
      expect(Math.abs(bytes / measured - 1), `${bytes} against ${measured}`).toBeLessThan(0.5);
    half(of(2, [portrait, landscape]).totalBytes, 5.6e9);
    half(of(2, [portrait, landscape], ["augment.minSizes=[400]", "augment.maxSize=640"]).totalBytes, 2.6e9);
    half(
      estimateMemory(
        readTrainingConfig(`${configs}/start.json`),
        ["a", "b", "c"],
        [{ height: 128, width: 128 }],
      ).totalBytes,
      1.0e9,
    );
  });
});
