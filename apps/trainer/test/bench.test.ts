// The networks that are timed are those of the catalog; the command times all it says.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "@mrcnn/core";
import { catalog, catalogEntry } from "@mrcnn/mask-rcnn";
import { createMaskRcnn } from "@mrcnn/model";
import { setBackend } from "@tensorflow/tfjs";
import { beforeAll, describe, expect, it, test } from "vitest";
import { catalogConfig } from "../src/bench-model.ts";
import { main } from "../src/main.ts";
import { mrcnn, temporaryFolder, tinyConfig, writeJson } from "./command.ts";

const folder = temporaryFolder();
const run = join(folder, "run");
const zeros: Random = {
  uniform: () => 0,
  int: () => 0,
  normal: () => 0,
  shuffle: (values) => values,
  fork: () => zeros,
  state: () => [0, 0, 0, 0],
};

beforeAll(async () => {
  await setBackend("cpu");
  const config = writeJson(folder, "config.json", {
    ...tinyConfig,
    training: { ...tinyConfig.training, steps: 1, accumulate: 1 },
  });
  expect(await mrcnn("train", config, "--out", run, "--backend", "cpu")).toMatchObject({ code: 0 });
});

// This project's own file carries its config.
const others = catalog.filter(({ source }) => source !== "mrcnn");

// Buffers are no parameters: running statistics, and all of frozen batch norm.
test.each(others.filter(({ parameters }) => parameters !== undefined).map(({ name }) => name))(
  "%s has as many parameters as its library publishes",
  (name) => {
    const entry = catalogEntry(name);
    const config = catalogConfig(entry);
    const model = createMaskRcnn(config, zeros);
    const isBuffer = (variable: string): boolean =>
      /running_(mean|var)$/.test(variable) ||
      (config.backbone.norm === "frozen_batch_norm" && /\.(bn\d|downsample\.1)\./.test(variable));
    const count = [...model.variables].reduce(
      (sum, [variable, { size }]) => sum + (isBuffer(variable) ? 0 : size),
      0,
    );
    model.dispose();
    expect(count).toBe(entry.parameters);
  },
);

test.each(others.map((entry) => [entry.name, entry] as const))("%s has a config", (_, entry) => {
  const config = catalogConfig(entry);
  expect(config).toMatchObject({
    numerics: entry.source,
    architecture: entry.network.architecture,
    mask: entry.network.mask,
  });
  expect(config.classes).toHaveLength(entry.categories.length);
});

describe("mrcnn bench", () => {
  it("times detection, its stages and training steps", async () => {
    const json = join(folder, "bench.json");
    const { code, out } = await mrcnn(
      "bench",
      "--model",
      run,
      "--size",
      "32x64",
      "--batch",
      "2",
      "--train",
      "--rounds",
      "2",
      "--backend",
      "cpu",
      "--json",
      json,
    );
    expect(code).toBe(0);
    expect(out).toMatch(/2 images of 32x64, medians of 2; /);
    for (const line of [
      "detection, s",
      "  layer3, s",
      "  proposals, s",
      "training step, s",
      "peak memory, MB",
    ])
      expect(out).toMatch(new RegExp(`^${line} +[\\d.e-]+$`, "m"));
    const { results } = JSON.parse(readFileSync(json, "utf8")) as {
      results: { backend: string; detect: number[]; train: number[]; stages: Record<string, number[]> }[];
    };
    expect(results).toHaveLength(1);
    const [{ backend, detect, train, stages }] = results as [(typeof results)[0]];
    expect(backend).toBe("cpu");
    for (const times of [detect, train, ...Object.values(stages)]) {
      expect(times).toHaveLength(2);
      expect(Math.min(...times)).toBeGreaterThan(0);
    }
  });

  it.each([
    [["--size", "0x64"], "It must be HEIGHTxWIDTH in pixels, or one side, from 32 up."],
    [["--all-backends", "--backend", "cpu"], "--all-backends: leave --backend cpu out."],
    [["--rounds", "0"], "a whole number from 1 up"],
  ])("%s is wrong usage", async (args, message) => {
    const { code, err } = await mrcnn("bench", ...args);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });

  it("stops after a round when told to", async () => {
    const said: string[] = [];
    const note = (line: string): void => {
      said.push(line);
      if (line.includes("round 2 of")) process.emit("SIGINT");
    };
    const code = await main(["bench", "--model", run, "--size", "64", "--rounds", "9", "--backend", "cpu"], {
      out: (line) => said.push(line),
      note,
      interactive: false,
    });
    expect(code).toBe(130);
    expect(said.join("\n")).toContain("Stopping after this round.");
    expect(said.join("\n")).toMatch(/^detection, s +[\d.]+$/m);
  });
});
