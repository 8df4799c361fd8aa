// The table of `mrcnn bench`, worked by hand: the model, its stages, the training step and the clock are stand-ins.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { mrcnn, temporaryFolder, writeJson } from "./command.ts";

interface Machine {
  cpus: { model: string }[];
  /** Milliseconds. */
  now: number;
  /** Seconds that detections take, one after the other; then 9. */
  detections: number[];
  /** Seconds of the stages, a round each; then none. */
  stages: [string, number][][];
  /** Seconds of training steps; then 9. */
  steps: number[];
  /** Labels found on each image. */
  found: number[][];
  /** Scores found on each image, of a model of random weights. */
  scores: number[][];
  calls: unknown[][];
  fails: Record<string, string>;
  /** Called with the number of a detection before it. */
  onDetect: (count: number) => void;
}
const here = vi.hoisted(() => ({}) as Machine);
const standIn = vi.hoisted(() => (name: string) => {
  let count = 0;
  return {
    name,
    config: {
      classes: ["a", "b"],
      image: { channelOrder: "rgb", range: 255, mean: [0, 0, 0], std: [1, 1, 1], divisor: 32 },
    },
    async detect(images: readonly unknown[], options: { scoreThreshold?: number }) {
      here.calls.push(["detect", images.length, options]);
      if (options.scoreThreshold === 0)
        return here.scores.map((scores) => ({ scores: Float64Array.from(scores) }));
      here.onDetect(count++);
      here.now += 1000 * (here.detections.shift() ?? 9);
      return here.found.map((labels) => ({ labels }));
    },
    dispose: () => here.calls.push(["dispose", name]),
  };
});
vi.mock("node:os", async (original) => ({
  ...(await original<object>()),
  cpus: () => here.cpus,
  availableParallelism: () => 8,
}));
vi.mock("../src/backend.ts", async (original) => ({
  ...(await original<object>()),
  chooseBackend: async ({ backend }: { backend: string }) => {
    if (here.fails[backend] !== undefined) throw new Error(here.fails[backend]);
    return backend === "auto" ? "wasm" : backend;
  },
}));
vi.mock("../src/memory-meter.ts", () => ({
  createMemoryMeter: ({ usesGpu }: { usesGpu: boolean }) => ({
    read: () => ({ memoryMb: 1, peakMemoryMb: usesGpu ? 0 : 345 }),
  }),
}));
vi.mock("../src/model-source.ts", () => ({
  loadModel: async (name: string, options: object) => {
    here.calls.push(["load", name, options]);
    return { model: standIn(name) };
  },
}));
vi.mock("../src/bench-model.ts", () => ({
  catalogConfig: ({ name }: { name: string }) => name,
  randomModel: (name: string, random: { uniform: () => number }) => {
    here.calls.push(["random", name, random.uniform()]);
    return standIn(name);
  },
}));
vi.mock("@mrcnn/model/profile", () => ({
  profileDetect: async (_model: unknown, images: readonly unknown[], options: object) => {
    here.calls.push(["profile", images.length, options]);
    return { seconds: here.stages.shift() ?? [] };
  },
}));
vi.mock("@mrcnn/model/training", () => ({
  trainingModel: (model: { name: string }) => `learner ${model.name}`,
}));
vi.mock("@mrcnn/trainer", () => ({
  sgd: () => "sgd",
  trainStep: async (...args: unknown[]) => {
    here.calls.push(["train", ...args]);
    return { seconds: here.steps.shift() ?? 9 };
  },
}));

beforeEach(() => {
  Object.assign(here, {
    cpus: [{ model: " A processor " }],
    now: 0,
    detections: [],
    stages: [],
    steps: [],
    found: [],
    scores: [],
    calls: [],
    fails: {},
    onDetect: () => {},
  } satisfies Machine);
  vi.spyOn(performance, "now").mockImplementation(() => here.now);
});
afterEach(() => void vi.restoreAllMocks());

const folder = temporaryFolder();
const calls = (name: string): unknown[][] =>
  here.calls.filter(([one]) => one === name).map(([, ...rest]) => rest);

const smallest = ["bench", "--model", "runs/a", "--size", "32"];

describe("bench", () => {
  it("gives the medians of the rounds after two that warm up, by stage and of training steps", async () => {
    here.detections = [7, 8, 0.5, 0.25, 1];
    here.stages = [
      [["resize", 70]],
      [["resize", 80]],
      [
        ["resize", 0.3],
        ["boxes", 0.01],
      ],
      [
        ["resize", 0.1],
        ["boxes", 0.03],
      ],
      [
        ["resize", 0.2],
        ["boxes", 0.02],
      ],
    ];
    here.steps = [70, 80, 2, 4, 3];
    here.found = [[1, 2], [1]];
    const json = join(folder, "bench.json");
    const { code, out, err } = await mrcnn(
      ...smallest,
      "--size=32x64",
      "--batch=2",
      "--train",
      "--json",
      json,
    );
    expect({ code, out: out.split("\n") }).toEqual({
      code: 0,
      out: [
        "runs/a, its weights, 2 images of 32x64, medians of 3; A processor, 8 processors",
        "                            wasm",
        "detection, s               0.500",
        "fastest, s                 0.250",
        "images per second           4.00",
        "objects found                  3",
        "  resize, s               0.2000",
        "  boxes, s                0.0200",
        "training step, s            3.00",
        "images per second          0.667",
        "peak memory, MB              345",
      ],
    });
    expect(err.split("\n")).toEqual([
      "wasm: round 1 of 3, detection 0.500 s, training step 2.00 s",
      "wasm: round 2 of 3, detection 0.250 s, training step 4.00 s",
      "wasm: round 3 of 3, detection 1.00 s, training step 3.00 s",
    ]);
    const text = readFileSync(json, "utf8");
    expect(text).toMatch(/^\{\n {2}"model".*\}\n$/s);
    expect(JSON.parse(text)).toEqual({
      model: "runs/a",
      size: { height: 32, width: 64 },
      batch: 2,
      rounds: 3,
      processor: "A processor, 8 processors",
      results: [
        {
          backend: "wasm",
          detect: [0.5, 0.25, 1],
          objects: 3,
          stages: { resize: [0.3, 0.1, 0.2], boxes: [0.01, 0.03, 0.02] },
          train: [2, 4, 3],
          peakMemoryMb: 345,
        },
      ],
    });
  });

  it("runs the model on whole pictures, not resized, and lets go of it", async () => {
    await mrcnn("bench", "--model", "runs/a", "--weights", "w.pth", "--size", "64x32", "--rounds", "1");
    const settings = { minSize: 32, maxSize: 64 };
    expect(calls("detect")).toEqual(Array(3).fill([1, settings]));
    expect(calls("profile")).toEqual(Array(3).fill([1, settings]));
    expect(calls("load")).toEqual([["runs/a", { weights: "w.pth", quiet: true }]]);
    expect(calls("dispose")).toEqual([["runs/a"]]);
    expect(calls("train")).toEqual([]);
  });

  it("steps on one batch, with labels that the model has, so slowly that the weights stay", async () => {
    await mrcnn("bench", "--model", "runs/a", "--size", "64", "--batch", "2", "--rounds", "1", "--train");
    const steps = calls("train") as [
      string,
      [{ groundTruth: { labels: Iterable<number> & { length: number } }[] }],
      string,
      object,
    ][];
    expect(steps).toHaveLength(3);
    for (const [learner, batches, optimizer, how] of steps) {
      expect([learner, optimizer]).toEqual(["learner runs/a", "sgd"]);
      expect(how).toMatchObject({ step: 0, rate: 1e-9 });
      expect(batches).toEqual(steps[0]![1]);
      const labels = batches[0].groundTruth.flatMap((one) => [...one.labels]);
      expect(batches[0].groundTruth.map((one) => one.labels.length)).toEqual([8, 8]);
      expect(new Set(labels)).toEqual(new Set([1, 2]));
    }
  });

  it("gives a model of the catalog random weights, of the seed, and takes as many objects as it is sure of one on each image", async () => {
    here.scores = [[0.9, 0.6, 0.2], [], [0.8]];
    const { out } = await mrcnn("bench", "--rounds", "1", "--size", "32", "--seed", "3");
    expect(out.split("\n")[0]).toBe(
      "maskrcnn_resnet50_fpn, random weights, 1 image of 32x32, medians of 1; A processor, 8 processors",
    );
    expect(calls("detect")).toEqual([
      [1, { minSize: 32, maxSize: 32, scoreThreshold: 0 }],
      ...Array<unknown>(3).fill([1, { minSize: 32, maxSize: 32, scoreThreshold: 0.2 * 0.999 }]),
    ]);
    // At most a half.
    here.scores = [[0.9, 0.6], []];
    await mrcnn("bench", "--rounds", "1", "--size", "32");
    expect(calls("detect").at(-1)).toEqual([1, { minSize: 32, maxSize: 32, scoreThreshold: 0.5 * 0.999 }]);
    const drawn = calls("random").map(([, value]) => value);
    await mrcnn("bench", "--rounds", "1", "--size", "32", "--seed", "0");
    expect(calls("random").at(-1)).toEqual(["maskrcnn_resnet50_fpn", drawn[1]]);
    expect(drawn[0]).not.toBe(drawn[1]);
    expect(calls("load")).toEqual([]);
  });

  it("loads a model of the catalog when there are weights for it, and this project's own at any time", async () => {
    const { out } = await mrcnn("bench", "--rounds", "1", "--size", "32", "--weights", "w.pth");
    expect(out).toMatch(/^maskrcnn_resnet50_fpn, w\.pth, 1 image of 32x32, medians of 1; /);
    const own = await mrcnn("bench", "--rounds", "1", "--size", "32", "--model", "nuclei");
    expect(own.out).toMatch(/^nuclei, its weights, 1 image of 32x32, medians of 1; /);
    expect(calls("load").map(([name]) => name)).toEqual(["maskrcnn_resnet50_fpn", "nuclei"]);
    expect(calls("random")).toEqual([]);
  });

  it("lists all backends side by side, and why one is left out", async () => {
    here.detections = [9, 9, 2, 9, 9, 4];
    here.stages = [[], [], [["resize", 1]], [], [], [["boxes", 2]]];
    const both = await mrcnn("bench", "--model", "runs/a", "--size", "32", "--rounds", "1", "--all-backends");
    expect({ code: both.code, out: both.out.split("\n").slice(1) }).toEqual({
      code: 0,
      out: [
        "                      tensorflow        wasm",
        "detection, s                2.00        4.00",
        "fastest, s                  2.00        4.00",
        "images per second          0.500       0.250",
        "objects found                  0           0",
        "  resize, s               1.0000            ",
        "  boxes, s                            2.0000",
        "peak memory, MB              345         345",
      ],
    });
    here.fails = { tensorflow: "it is not here.\nRun something." };
    const json = join(folder, "one.json");
    const one = await mrcnn(...smallest, "--rounds=1", "--all-backends", "--json", json);
    expect(one.code).toBe(0);
    expect(one.out.split("\n").at(-1)).toBe("tensorflow is left out: it is not here. Run something.");
    const { results } = JSON.parse(readFileSync(json, "utf8")) as { results: object[] };
    expect(results).toMatchObject([
      { backend: "tensorflow", problem: "it is not here. Run something." },
      { backend: "wasm", detect: [9] },
    ]);
    here.fails = { tensorflow: "not here", wasm: "nor this" };
    expect(
      await mrcnn("bench", "--model", "runs/a", "--size", "32", "--rounds", "1", "--all-backends"),
    ).toEqual({ code: 1, out: "tensorflow is left out: not here\nwasm is left out: nor this", err: "" });
  });

  it("ends with what is wrong where one backend is meant", async () => {
    here.fails = { wasm: "it is not here." };
    expect(await mrcnn("bench", "--backend", "wasm")).toEqual({
      code: 1,
      out: "",
      err: "error: it is not here.",
    });
    expect(await mrcnn("bench", "--all-backends", "--backend", "cpu")).toEqual({
      code: 2,
      out: "",
      err: "error: --all-backends: leave --backend cpu out.",
    });
    const weights = writeJson(folder, "w.json", {});
    expect(await mrcnn("bench", "--weights", weights, "--json", weights)).toEqual({
      code: 2,
      out: "",
      err: `error: --json "${weights}" would overwrite what is read: ${weights}. Name another file.`,
    });
  });

  it("stops after the round when told to, with what it has, and tries no further backend", async () => {
    here.onDetect = (count) => {
      if (count === 2) process.emit("SIGINT");
    };
    const args = ["bench", "--model", "runs/a", "--size", "32", "--all-backends"];
    const { code, out, err } = await mrcnn(...args);
    expect(code).toBe(130);
    expect(err.split("\n").slice(-3)).toEqual([
      "",
      "Stopping after this round. Ctrl-C again quits at once.",
      "tensorflow: round 1 of 3, detection 9.00 s",
    ]);
    expect(out.split("\n").slice(1, 3)).toEqual([
      "                      tensorflow",
      "detection, s                9.00",
    ]);
    // Nothing was measured yet.
    here.onDetect = () => process.emit("SIGINT");
    expect(await mrcnn(...args)).toEqual({
      code: 130,
      out: "",
      err: "\nStopping after this round. Ctrl-C again quits at once.",
    });
    expect(calls("dispose")).toHaveLength(2);
    expect(process.listenerCount("SIGINT")).toBe(0);
  });

  it("names no processor where the system does not", async () => {
    here.cpus = [];
    expect((await mrcnn("bench", "--model", "runs/a", "--rounds", "1", "--size", "32")).out).toMatch(
      /; unknown, 8 processors\n/,
    );
  });
});
