import { BackendError, DatasetError, WeightsError } from "@mrcnn/core";
import { afterEach, describe, expect, it, vi } from "vitest";
import { chooseBackend } from "../src/backends.ts";
import { sortFiles } from "../src/files.ts";
import { createRateMeter } from "../src/live.ts";
import { passing } from "../src/panel.ts";
import { problemOf } from "../src/problems.ts";
import type { Found } from "../src/protocol.ts";

const fileOf = (path: string, type = ""): { path: string; file: File } => ({
  path,
  file: new File([""], path.split("/").at(-1)!, { type }),
});

describe("dropped files", () => {
  it("are told apart by type, and by name where they have none", () => {
    const sorted = sortFiles([
      fileOf("a.png"),
      fileOf("b", "image/webp"),
      fileOf("c.mp4"),
      fileOf("d.safetensors"),
      fileOf("e.pth"),
      fileOf("f.txt"),
    ]);
    expect(sorted.images.map(({ name }) => name)).toEqual(["a.png", "b"]);
    expect(sorted.videos.map(({ name }) => name)).toEqual(["c.mp4"]);
    expect(sorted.model.map(({ path }) => path)).toEqual(["d.safetensors", "e.pth"]);
    expect(sorted.others.map(({ path }) => path)).toEqual(["f.txt"]);
  });

  it("are one run when they hold its config, whatever else is in the folder", () => {
    const run = [
      "run/config.json",
      "run/report.html",
      "run/overlays/a.png",
      "run/checkpoints/step-00000010/weights.safetensors",
      "run/checkpoints/step-00000010/optimizer.safetensors",
    ].map((path) => fileOf(path));
    const { images, model } = sortFiles(run);
    expect(images).toEqual([]);
    expect(model.map(({ path }) => path)).toEqual([
      "run/config.json",
      "run/checkpoints/step-00000010/weights.safetensors",
    ]);
  });
});

describe("backends", () => {
  afterEach(() => vi.unstubAllGlobals());
  const stub = (info?: object): void =>
    void vi.stubGlobal("navigator", {
      gpu: { requestAdapter: async () => (info === undefined ? null : { info, features: new Set() }) },
    });
  it("are chosen by themselves: a GPU, but no software that stands in for one", async () => {
    stub({ vendor: "acme", description: "GPU 1" });
    expect(await chooseBackend("auto")).toBe("webgpu");
    stub({ description: "SwiftShader" });
    expect(await chooseBackend("auto")).toBe("wasm");
    expect(await chooseBackend("webgpu")).toBe("webgpu");
    stub();
    expect(await chooseBackend("auto")).toBe("wasm");
    vi.stubGlobal("navigator", {});
    expect(await chooseBackend("auto")).toBe("wasm");
  });
});

describe("problems", () => {
  it.each([
    [new RangeError("Array buffer allocation failed"), "load", "Not enough memory"],
    [new Error("WebAssembly.Memory.grow(): Maximum memory size exceeded"), "detect", "Not enough memory"],
    [new DatasetError("image: the image can't be decoded"), "detect", "This image can't be read"],
    [
      new WeightsError("w.pth: the weights must be those of a Mask R-CNN"),
      "load",
      "These weights can't be used",
    ],
    [
      new WeightsError("https://x: it can't be reached (Failed to fetch)."),
      "load",
      "The weights could not be downloaded",
    ],
    [
      new WeightsError("https://x: the server sent a web page instead of weights."),
      "load",
      "That address is not a weights file",
    ],
    [new BackendError("no adapter"), "load", "This backend does not start here"],
    [new DOMException("", "NotAllowedError"), "camera", "The camera may not be used"],
    [new DOMException("", "NotFoundError"), "camera", "No camera was found"],
    ["text", "detect", "Detection failed"],
  ] as const)("%s while it %ss: %s", (error, doing, title) => {
    const problem = problemOf(error, doing);
    expect(problem.title).toBe(title);
    expect(problem.advice.length).toBeGreaterThan(10);
  });
});

it("the rate is that of the last frames", () => {
  const meter = createRateMeter(4);
  expect(meter.tick(0)).toBe(0);
  expect(meter.tick(100)).toBeCloseTo(10);
  for (const time of [150, 200, 250, 300, 350]) meter.tick(time);
  expect(meter.tick(400)).toBeCloseTo(20);
});

it("the filter goes by score, its own limit included, and by class", () => {
  const found = {
    detections: { scores: Float32Array.of(0.9, 0.5, 0.4), labels: Int32Array.of(1, 2, 1) },
  } as unknown as Found;
  expect(passing(found, { threshold: 0.5, hidden: new Set() })).toEqual([0, 1]);
  expect(passing(found, { threshold: 0, hidden: new Set([1]) })).toEqual([1]);
});
