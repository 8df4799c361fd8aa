import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseMaskRcnnConfig } from "@mrcnn/model";
import { describe, expect, it } from "vitest";
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
  it("counts ResNet-50-FPN's parameters as torchvision does, and grows with the batch", async () => {
    const of = (batchSize: number): ReturnType<typeof estimateMemory> =>
      estimateMemory(readTrainingConfig(`${configs}/coco-resnet50-fpn.json`, [`training.batchSize=${batchSize}`]), Array.from({ length: 90 }, (_, i) => `c${i}`), { width: 640, height: 480 });
    await startBackend("cpu");
    // torchvision's maskrcnn_resnet50_fpn has 44,401,393 parameters, and as buffers the four vectors of its
    // frozen batch norms, 26,560 channels in all.
    const { parameters, totalBytes } = of(1);
    expect(parameters).toBe(44_401_393 + 4 * 26_560);
    expect(of(2).totalBytes).toBeGreaterThan(1.5 * (totalBytes - 300e6));
  });
});
