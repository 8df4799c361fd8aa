import { add, dispose, mean, square, tidy } from "@tensorflow/tfjs-core";
import type { Scalar, Tensor4D } from "@tensorflow/tfjs-core";
import { createRandom } from "@mrcnn/core";
import { disposeParams, flattenParams } from "@mrcnn/nn";
import {
  expectNoLeaks,
  expectSummary,
  golden,
  gradientsOf,
  seedVariables,
  seededInput,
} from "@mrcnn/testing";
import type { Summary } from "@mrcnn/testing";
import { afterAll, describe, expect, it } from "vitest";
import { applyResnet, applyResnetStage, initResnet, initResnetStage, resnetChannels } from "../src/index.ts";
import type { ResnetConfig } from "../src/index.ts";

interface ResnetCase {
  readonly names: string[];
  readonly maps: Readonly<Record<string, Summary>>;
  readonly gradients: Readonly<Record<string, Summary>>;
  readonly running: Readonly<Record<string, Summary>>;
}
const fixture = golden<{ input: number[]; even: number[]; cases: Record<string, ResnetCase> }>(
  import.meta.url,
  "resnet",
);

const configs: Readonly<Record<string, ResnetConfig>> = {
  resnet18_group_norm: { depth: 18, norm: "group_norm", width: 8, groups: 4 },
  resnet18_batch_norm: { depth: 18, norm: "batch_norm", width: 8 },
  resnet50_frozen_batch_norm: { depth: 50, norm: "frozen_batch_norm", width: 8 },
  resnext50_4x32d: { depth: 50, norm: "frozen_batch_norm", width: 8, cardinality: 4, widthPerGroup: 32 },
  resnet50_caffe2_dc5: {
    depth: 50,
    norm: "frozen_batch_norm",
    width: 8,
    strideIn1x1: true,
    stemPool: "same",
    dilateLayer4: true,
  },
};

for (const [name, config] of Object.entries(configs)) {
  describe(`${name} of width 8`, () => {
    const c = fixture.cases[name]!;
    const x = seededInput("image4", config.stemPool === "same" ? fixture.even : fixture.input) as Tensor4D;
    const params = initResnet(config, createRandom(1));
    const variables = flattenParams(params);

    const apply = (): ReadonlyMap<string, Tensor4D> =>
      applyResnet(params, config, x, { statistics: "batch" });
    const loss = (): Scalar =>
      [...apply().values()].map((map) => mean(square(map))).reduce((a, b) => add(a, b)) as Scalar;
    afterAll(() => {
      disposeParams(params);
      x.dispose();
    });

    it("has torchvision's names", () => {
      expect([...variables.keys()].toSorted()).toEqual(c.names);
    });

    it("gives torchvision's features", async () => {
      seedVariables(variables);
      const maps = apply();
      expect([...maps.keys()]).toEqual(["c2", "c3", "c4", "c5"]);
      expect([...maps.values()].map((map) => map.shape[3])).toEqual(resnetChannels(config));
      for (const [level, map] of maps) await expectSummary(map, c.maps[level]!, level, 2e-5);
      for (const [statistic, expected] of Object.entries(c.running))
        await expectSummary(variables.get(statistic)!, expected, statistic, 2e-5);
      dispose([...maps.values()]);
    });

    it("gives torchvision's gradients", async () => {
      seedVariables(variables);
      const asked = new Map(Object.keys(c.gradients).map((key) => [key, variables.get(key)!]));
      const gradients = gradientsOf(loss, asked);
      for (const [key, expected] of Object.entries(c.gradients))
        await expectSummary(gradients.get(key)!, expected, key, 5e-5);
      dispose([...gradients.values()]);
    });

    it("leaks nothing", async () => {
      await expectNoLeaks(() => [...apply().values()]);
      await expectNoLeaks(() => [
        ...gradientsOf(loss, new Map([["conv1.weight", variables.get("conv1.weight")!]])).values(),
      ]);
    });
  });
}

describe("initResnet", () => {
  const trained = (config: ResnetConfig): string[] => {
    const params = initResnet(config, createRandom(1));
    const tops = [...flattenParams(params)]
      .filter(([, v]) => v.trainable)
      .map(([name]) => name.split(".")[0]!);
    disposeParams(params);
    return [...new Set(tops)];
  };
  it("trains the deepest layers asked for", () => {
    const config = { depth: 18, norm: "batch_norm", width: 8 } as const;
    expect(trained(config)).toEqual(["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"]);
    expect(trained({ ...config, trainableLayers: 4 })).toEqual(["layer1", "layer2", "layer3", "layer4"]);
    expect(trained({ ...config, trainableLayers: 3 })).toEqual(["layer2", "layer3", "layer4"]);
    expect(trained({ ...config, trainableLayers: 0 })).toEqual([]);
  });

  it("has the paper's sizes", () => {
    // torchvision's resnet18 has 11,689,512 parameters, 513,000 of them in the classifier.
    const count = (config: ResnetConfig): number => {
      const params = initResnet(config, createRandom(1));
      const total = [...flattenParams(params)]
        .filter(([, v]) => v.trainable)
        .reduce((sum, [, v]) => sum + v.size, 0);
      disposeParams(params);
      return total;
    };
    expect(count({ depth: 18, norm: "batch_norm" })).toBe(11_689_512 - 513_000);
    expect(resnetChannels({ depth: 50 })).toEqual([256, 512, 1024, 2048]);
    expect(resnetChannels({ depth: 34, width: 32 })).toEqual([32, 64, 128, 256]);
  });

  it("leaves layer4 out for C4, whose head is that stage", () => {
    const config = { depth: 50, norm: "frozen_batch_norm", width: 4, stages: 3 } as const;
    const params = initResnet(config, createRandom(1));
    const stage = initResnetStage(config, 3, createRandom(1));
    const [maps, after] = tidy(() => {
      const found = applyResnet(params, config, seededInput("image", [1, 32, 48, 3]) as Tensor4D);
      return [
        [...found].map(([name, map]) => [name, map.shape]),
        applyResnetStage(stage, config, 3, found.get("c4")!).shape,
      ];
    }) as never as [unknown, unknown];
    expect(maps).toEqual([
      ["c2", [1, 8, 12, 16]],
      ["c3", [1, 4, 6, 32]],
      ["c4", [1, 2, 3, 64]],
    ]);
    expect(after).toEqual([1, 1, 2, 128]);
    disposeParams(params);
    disposeParams(stage);
  });

  it("says what is wrong with a config", () => {
    expect(() => initResnet({ depth: 18, norm: "batch_norm", cardinality: 32 }, createRandom(1))).toThrow(
      "initResnet: cardinality and widthPerGroup need bottlenecks, a depth of 50 or more, got depth 18.",
    );
    expect(() => initResnet({ depth: 20 as 18, norm: "batch_norm" }, createRandom(1))).toThrow(
      "initResnet: depth must be one of 18, 34, 50, 101, 152, got 20.",
    );
    expect(() => initResnet({ depth: 18, norm: "group_norm", width: 16 }, createRandom(1))).toThrow(
      "initResnet: groups must divide the width 16, got 32.",
    );
  });
});
