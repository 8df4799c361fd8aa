import { memory, ones } from "@tensorflow/tfjs-core";
import { createRandom } from "@mrcnn/core";
import { describe, expect, it } from "vitest";
import {
  disposeParams,
  flattenParams,
  initConv2d,
  initConv2dTranspose,
  initDense,
  initNorm,
  isStatistic,
  toVariable,
} from "../src/index.ts";
import type { ParamTree } from "../src/index.ts";

const make = (): ParamTree => ({
  conv1: { weight: toVariable(ones([1])) },
  layer1: [{ bn1: initNorm("batch_norm", 2) }, {}],
  absent: undefined,
});

describe("flattenParams", () => {
  it("names variables by their path", () => {
    const tree = make();
    expect([...flattenParams(tree).keys()]).toEqual([
      "conv1.weight",
      "layer1.0.bn1.weight",
      "layer1.0.bn1.bias",
      "layer1.0.bn1.running_mean",
      "layer1.0.bn1.running_var",
    ]);
    expect([...flattenParams(tree, "backbone.body").keys()][0]).toBe("backbone.body.conv1.weight");
    disposeParams(tree);
  });

  it("keeps the places of a list with gaps, as of layers without norms", () => {
    const weight = toVariable(ones([1]));
    expect([
      ...flattenParams({
        layers: [
          [{ weight }, undefined],
          [undefined, { weight }],
        ],
      }).keys(),
    ]).toEqual(["layers.0.0.weight", "layers.1.1.weight"]);
    weight.dispose();
  });

  it("refuses a leaf that is no variable", () => {
    expect(() => flattenParams({ a: { b: 3 as never } })).toThrow(
      "flattenParams: a.b must be a variable, a record or an array, got 3.",
    );
  });
});

it("disposes every variable", () => {
  const before = memory().numTensors;
  const tree = make();
  expect(memory().numTensors).toBeGreaterThan(before);
  disposeParams(tree);
  expect(memory().numTensors).toBe(before);
});

it("trains neither statistics nor what is frozen", () => {
  const trained = (tree: ParamTree): string[] => {
    const names = [...flattenParams(tree)].filter(([, v]) => v.trainable).map(([name]) => name);
    disposeParams(tree);
    return names;
  };
  expect(trained(initNorm("frozen_batch_norm", 2))).toEqual([]);
  expect(trained(initNorm("batch_norm", 2))).toEqual(["weight", "bias"]);
  expect(trained(initNorm("group_norm", 2))).toEqual(["weight", "bias"]);
  expect(trained(initNorm("group_norm", 2, { trainable: false }))).toEqual([]);
  expect(isStatistic("layer1.0.bn1.running_mean")).toBe(true);
  expect(isStatistic("layer1.0.bn1.weight")).toBe(false);
});

it("begins with torch's distributions", async () => {
  const random = createRandom(7);
  const moments = async (tree: {
    weight: { data(): Promise<unknown> };
  }): Promise<{ mean: number; std: number; max: number }> => {
    const values = (await tree.weight.data()) as Float32Array;
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
    const max = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    disposeParams(tree as never);
    return { mean, std: Math.sqrt(variance), max };
  };
  const shape = { size: 3, inChannels: 16, outChannels: 32 };
  const within = (value: number, expected: number): void =>
    expect(Math.abs(value / expected - 1)).toBeLessThan(0.05);
  // 4608 draws: the standard deviation is known to about 1 %.
  within(
    (await moments(initConv2d(shape, random, { init: "kaiming_normal_fan_out" }))).std,
    Math.sqrt(2 / (9 * 32)),
  );
  within((await moments(initConv2d(shape, random, { init: { std: 0.01 } }))).std, 0.01);
  const uniform = await moments(initConv2d(shape, random, { init: "kaiming_uniform_fan_in" }));
  within(uniform.max, Math.sqrt(3 / (9 * 16)));
  within(uniform.std, Math.sqrt(1 / (9 * 16)));
  within(
    (await moments(initDense({ inChannels: 50, outChannels: 80 }, random, { init: "torch_default" }))).max,
    1 / Math.sqrt(50),
  );
  // torch takes [in, out, h, w] for [out, in, h, w]: fan out is in * h * w.
  within(
    (await moments(initConv2dTranspose({ ...shape, size: 2 }, random, { init: "kaiming_normal_fan_out" })))
      .std,
    Math.sqrt(2 / (4 * 16)),
  );
});

it("gives the same weights for the same seed", async () => {
  const init = (): ReturnType<typeof initDense> =>
    initDense({ inChannels: 3, outChannels: 2 }, createRandom(3), { init: "torch_default" });
  const [a, b] = [init(), init()];
  expect(await a.weight.data()).toEqual(await b.weight.data());
  expect(await a.bias!.data()).toEqual(await b.bias!.data());
  disposeParams(a);
  disposeParams(b);
});
