// Where WebAssembly's memory ends: what can't fit is refused before it begins, what turns out not to fit is an error, and the next model works.
import { engine } from "@tensorflow/tfjs-core";
import { startWasm, stopWasm } from "@mrcnn/backend-wasm";
import { createRandom } from "@mrcnn/core";
import type { TrainingBatch } from "@mrcnn/core";
import { createMaskRcnn, maskRcnnConfig } from "@mrcnn/model";
import type { MaskRcnnOptions } from "@mrcnn/model";
import { observeDetect } from "@mrcnn/model/profile";
import { trainingLosses } from "@mrcnn/model/training";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { detectionValues } from "../../model/src/memory.ts";
import { loadMaskRcnn } from "../src/load-node.ts";
import type { MaskRcnnDetector } from "../src/load-node.ts";
import { noise } from "./narrow.ts";

interface Module {
  readonly asm?: { readonly memory?: WebAssembly.Memory };
  readonly wasmMemory?: WebAssembly.Memory;
  _malloc(bytes: number): number;
  _free(pointer: number): void;
}
const module = (): Module => (engine().backend as unknown as { readonly wasm: Module }).wasm;
const megabytes = (): number => process.memoryUsage().rss / 2 ** 20;

const load = (): Promise<MaskRcnnDetector> =>
  loadMaskRcnn({ weights: "nuclei", backend: "wasm", minSize: 256, maxSize: 256 });
const image = noise(200, 160);

beforeAll(async () => {
  await stopWasm();
  await startWasm({ threads: 2 });
});
afterAll(stopWasm);

describe("detect", () => {
  it.each([
    [6000, "6016 x 6016", "4.34"],
    [20_000, "20000 x 20000", "48.00"],
    [50_016, "50016 x 50016", "300.19"],
  ])("refuses at once what can't fit: a side of %i", async (side, size, need) => {
    const detector = await load();
    const expected = await detector.detect(image);
    const before = megabytes();
    const start = performance.now();
    const square = { width: 100, height: 100, data: new Uint8Array(30_000) };
    await expect(detector.detect(square, { minSize: side, maxSize: side })).rejects.toMatchObject({
      code: "memory",
      message: `detect: an image of ${size} pixels at the network's input needs at least ${need} GB of memory with this model, and the backend's ends at 4.29 GB. Use smaller images (minSize, maxSize), fewer at a time, or a backend without that limit.`,
    });
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(megabytes() - before).toBeLessThan(200);
    expect(await detector.detect(image)).toEqual(expected);
    detector.dispose();
  });

  it("goes on after it has run out of memory, and so does the next model", async () => {
    const detector = await load();
    const expected = await detector.detect(image);
    const memory = (module().asm?.memory ?? module().wasmMemory)!;
    const limit = memory.buffer.byteLength + 100 * 2 ** 20;
    memory.grow = (pages) => {
      if (memory.buffer.byteLength + pages * 2 ** 16 > limit) throw new RangeError("the limit of this test");
      return WebAssembly.Memory.prototype.grow.call(memory, pages);
    };
    const tensors = engine().memory().numTensors;
    for (const side of [1600, 1500]) {
      await expect(detector.detect(image, { minSize: side, maxSize: side })).rejects.toThrow(
        /^Backend wasm is out of memory: [\d,]+ MB more were needed/,
      );
      expect(engine().memory().numTensors).toBe(tensors);
    }
    expect(await detector.detect(image)).toEqual(expected);
    detector.dispose();
    const next = await load();
    expect(await next.detect(image)).toEqual(expected);
    next.dispose();
    // And with a memory of its own again, what did not fit fits.
    await stopWasm();
    const anew = await load();
    expect(await anew.detect(image)).toEqual(expected);
    expect((await anew.detect(image, { minSize: 800, maxSize: 1600 })).objects).toBeInstanceOf(Array);
    anew.dispose();
  });
});

it("a training step that is far from fitting is refused before its forward pass", async () => {
  await startWasm();
  const model = createMaskRcnn(
    maskRcnnConfig({ classes: ["a"], backbone: { depth: 18, width: 32 }, fpn: { channels: 32 } }),
    createRandom(0),
  );
  const size = { height: 1536, width: 1536 };
  const batch = (count: number): TrainingBatch => ({
    images: { data: new Float32Array(0), size, imageSizes: Array.from({ length: count }, () => size) },
    groundTruth: [],
    names: [],
  });
  await expect(trainingLosses(model, batch(64), createRandom(0))).rejects.toThrow(
    /^training: 64 images of 1536 x 1536 pixels at the network's input need at least [\d.]+ GB of memory with this model, and the backend's ends at 4\.29 GB\./,
  );
  // Here it is the missing pixels that stop it.
  await expect(trainingLosses(model, batch(2), createRandom(0))).rejects.toThrow(/shape|values/i);
  model.dispose();
});

// A refusal must be right: what is called the least that is needed may not be more than what is used.
describe("what detection is said to need at the least", () => {
  const classes = ["a"];
  it.each<[string, MaskRcnnOptions]>([
    [
      "ResNet-18 with group norm",
      { classes, backbone: { depth: 18, width: 32, norm: "group_norm", groups: 16 }, fpn: { channels: 64 } },
    ],
    ["ResNet-18", { classes, backbone: { depth: 18 }, fpn: { channels: 256 } }],
    ["ResNet-50", { classes }],
    ["ResNet-50 with group norm", { classes, backbone: { norm: "group_norm" }, fpn: { norm: "group_norm" } }],
    ["matterport's", { classes, numerics: "matterport" }],
    [
      "a narrow one with a wide pyramid",
      { classes, backbone: { depth: 18, width: 8 }, fpn: { channels: 128 } },
    ],
    ["C4", { classes, architecture: "c4", numerics: "detectron2" }],
  ])("is used, and not much less than all: %s", async (_, options) => {
    await startWasm();
    const config = maskRcnnConfig(options);
    const model = createMaskRcnn(config);
    const side = 384;
    const wasm = module();
    const { _malloc: malloc, _free: free } = wasm;
    const sizes = new Map<number, number>();
    let [live, peak] = [0, 0];
    wasm._malloc = (bytes) => {
      const pointer = malloc(bytes);
      sizes.set(pointer, bytes);
      live += bytes;
      peak = Math.max(peak, live);
      return pointer;
    };
    wasm._free = (pointer) => {
      live -= sizes.get(pointer) ?? 0;
      sizes.delete(pointer);
      free(pointer);
    };
    const last = config.architecture === "fpn" ? "fpn" : "layer3";
    const enough = new Error("enough");
    const look = observeDetect(
      model,
      [noise(side, side)],
      (stage) => {
        if (stage === last) throw enough;
      },
      { minSize: side, maxSize: side },
    );
    await expect(look).rejects.toBe(enough);
    Object.assign(wasm, { _malloc: malloc, _free: free });
    model.dispose();
    const used = peak / 4 / side ** 2;
    // The gap that the input's padded copy leaves is counted, and is no allocation that lives.
    expect(detectionValues(config)).toBeLessThanOrEqual(used + 3.1);
    expect(detectionValues(config)).toBeGreaterThan(0.7 * used);
  });
});
