import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseMaskRcnnConfig } from "@mrcnn/model";
import { beforeAll, describe, expect, it } from "vitest";
import { startBackend } from "../src/backend.ts";
import { readTrainingConfig } from "../src/config.ts";
import { estimateMemory } from "../src/memory-estimate.ts";
import { temporaryFolder, writeJson } from "./command.ts";

const configs = fileURLToPath(new URL("../../../configs", import.meta.url));
const folder = temporaryFolder();

describe("configs/", () => {
  it.each(readdirSync(configs).filter((name) => name.endsWith(".json")))("%s is a config, with a description", (name) => {
    const config = readTrainingConfig(`${configs}/${name}`);
    expect(config.description).toBeTruthy();
    expect(() => parseMaskRcnnConfig({ ...config.model, classes: ["a"] }, name)).not.toThrow();
    expect(config.optimizer.milestones.every((step) => step < config.training.steps)).toBe(true);
  });
});

describe("readTrainingConfig", () => {
  const file = writeJson(folder, "small.json", { data: { train: { format: "shapes", shapes: { count: 1 } } }, training: { steps: 5 } });

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

describe("estimateMemory", () => {
  const landscape = { width: 640, height: 480 };
  const portrait = { width: 480, height: 640 };
  const of = (batchSize: number, images = [landscape], more: readonly string[] = []): ReturnType<typeof estimateMemory> =>
    estimateMemory(readTrainingConfig(`${configs}/coco-resnet50-fpn.json`, [`training.batchSize=${batchSize}`, ...more]), Array.from({ length: 90 }, (_, i) => `c${i}`), images);
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
      of(batchSize, images, ["model.backbone.width=8", "model.fpn.channels=8", "model.box.representation=8", ...more]).activationBytes;
    expect(narrow(1, [portrait, landscape])).toBe(narrow(1, [landscape]));
    // 480x640 and 640x480 at 800 fill 1088x1088 (1066 rounded up to 32) instead of 800x1088.
    const square = narrow(2, [{ width: 1088, height: 1088 }], "augment.minSizes=[1088]");
    expect(narrow(2, [portrait, landscape])).toBe(square);
    expect(narrow(2, [landscape], "augment.rotate90=0.5")).toBe(square);
    expect(narrow(2, [landscape])).toBeLessThan(square);
    expect(narrow(2, [portrait, landscape], 'augment.crop={"height":256,"width":256}')).toBe(narrow(2, [{ width: 256, height: 256 }], "augment.minSizes=[256]"));
  });

  it("is within a half of peaks that were measured", () => {
    // Peaks of `mrcnn train` on backend tensorflow, two cores of an Intel Xeon, 2026-11-25; 2 COCO photos (6 steps at 800, 8 at 400) or
    // 4 pictures of shapes a step (400 steps).
    const half = (bytes: number, measured: number): void => expect(Math.abs(bytes / measured - 1), `${bytes} against ${measured}`).toBeLessThan(0.5);
    half(of(2, [portrait, landscape]).totalBytes, 5.6e9);
    half(of(2, [portrait, landscape], ["augment.minSizes=[400]", "augment.maxSize=640"]).totalBytes, 2.6e9);
    half(estimateMemory(readTrainingConfig(`${configs}/start.json`), ["a", "b", "c"], [{ height: 128, width: 128 }]).totalBytes, 1.0e9);
  });
});
