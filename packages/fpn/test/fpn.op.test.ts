import { add, dispose, mean, square } from "@tensorflow/tfjs-core";
import type { Scalar, Tensor4D, Variable } from "@tensorflow/tfjs-core";
import { createRandom } from "@mrcnn/core";
import type { FeatureMaps } from "@mrcnn/core/tensors";
import { disposeParams, flattenParams, isStatistic, toVariable } from "@mrcnn/nn";
import {
  expectNoLeaks,
  expectSummary,
  golden,
  gradientsOf,
  seedVariables,
  seededInput,
} from "@mrcnn/testing";
import type { Summary } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";
import { applyFpn, initFpn } from "../src/index.ts";

interface FpnCase {
  readonly inputs: number[][];
  readonly maps: Readonly<Record<string, Summary>>;
  readonly gradients: Readonly<Record<string, Summary>>;
}
const fixture = golden<{ channels: number; cases: Record<string, FpnCase>; norm: FpnCase }>(
  import.meta.url,
  "fpn",
);

describe("applyFpn", () => {
  const cases = [
    ...Object.entries(fixture.cases).map(([name, c]) => [name, c, {}] as const),
    ["odd", fixture.norm, { norm: "batch_norm" }] as const,
  ];
  for (const [name, c, norm] of cases) {
    it(`equals torchvision's pyramid${"norm" in norm ? " with batch norm" : ""} and its gradients on maps of ${name} sizes`, async () => {
      const params = initFpn(
        { inChannels: c.inputs.map((shape) => shape[3]!), outChannels: fixture.channels, ...norm },
        createRandom(1),
      );
      const variables = flattenParams(params);
      seedVariables(variables);
      // Inputs as variables too, to ask for their gradients alike.
      const inputs = new Map<string, Variable>(
        c.inputs.map((shape, i) => [`c${i + 2}`, toVariable(seededInput(`c${i + 2}`, shape))]),
      );
      const apply = (): FeatureMaps => applyFpn(params, inputs as unknown as FeatureMaps, norm);
      const maps = apply();
      expect([...maps.keys()]).toEqual(["p2", "p3", "p4", "p5", "p6"]);
      for (const [level, map] of maps) await expectSummary(map, c.maps[level]!, level, 2e-5);

      const loss = (): Scalar =>
        [...apply().values()].map((map) => mean(square(map))).reduce((a, b) => add(a, b)) as Scalar;
      const gradients = gradientsOf(
        loss,
        new Map([...inputs, ...variables].filter(([key]) => !isStatistic(key))),
      );
      expect([...gradients.keys()].toSorted()).toEqual(Object.keys(c.gradients).toSorted());
      for (const [key, gradient] of gradients) await expectSummary(gradient, c.gradients[key]!, key, 2e-5);

      await expectNoLeaks(() => [...apply().values()]);
      dispose([...maps.values(), ...gradients.values(), ...inputs.values()]);
      disposeParams(params);
    });
  }

  it("names how many maps it needs", () => {
    const params = initFpn({ inChannels: [2, 3], outChannels: 2 }, createRandom(1));
    const map = seededInput("c2", [1, 2, 2, 2]) as Tensor4D;
    expect(() => applyFpn(params, new Map([["c2", map]]))).toThrow(
      "applyFpn: features must hold 2 maps, got 1.",
    );
    map.dispose();
    disposeParams(params);
  });
});
