import { dispose, memory, ones, variable, zeros } from "@tensorflow/tfjs-core";
import type { Variable } from "@tensorflow/tfjs-core";
import type { HostArray } from "@mrcnn/core";
import { expectNoLeaks } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";
import { assignWeights, toArrays } from "../src/assign.ts";

function make(): Map<string, Variable> {
  const initial = [ones([2]), zeros([2, 1])];
  const variables = new Map([
    ["bias", variable(initial[0]!)],
    ["weight", variable(initial[1]!)],
  ]);
  dispose(initial);
  return variables;
}
const array = (shape: number[], ...values: number[]): HostArray => ({
  shape,
  data: new Float32Array(values),
});
const value = async (variables: Map<string, Variable>, name: string): Promise<number[]> => [
  ...(await variables.get(name)!.data()),
];

describe("assignWeights", () => {
  it("copies arrays into the variables of their names", async () => {
    const variables = make();
    const report = assignWeights(
      variables,
      new Map([
        ["weight", array([2, 1], 3, 4)],
        ["bias", array([2], 5, 6)],
      ]),
    );
    expect(report).toEqual({ assigned: ["bias", "weight"], missing: [], unexpected: [] });
    expect(await value(variables, "weight")).toEqual([3, 4]);
    expect(await value(variables, "bias")).toEqual([5, 6]);
    dispose([...variables.values()]);
  });

  it("lists everything wrong at once and changes nothing", async () => {
    const variables = make();
    const arrays = new Map([
      ["weight", array([1, 2], 3, 4)],
      ["fc.weight", array([1], 1)],
    ]);
    expect(() => assignWeights(variables, arrays)).toThrow(
      "assignWeights: the weights must fit the model's 2 variables: missing bias; unexpected fc.weight; " +
        "of the wrong shape weight (needs [2, 1], got [1, 2]). This is a checkpoint of another architecture; use the configuration it was trained with.",
    );
    const half = new Map([
      ["bias", array([2], 7, 8)],
      ["weight", array([1], 3)],
    ]);
    expect(() => assignWeights(variables, half, { strict: false })).toThrow(
      expect.objectContaining({ code: "weights" }),
    );
    expect(await value(variables, "bias")).toEqual([1, 1]);
    dispose([...variables.values()]);
  });

  it("takes what fits when not strict, and says what doesn't", async () => {
    const variables = make();
    const report = assignWeights(
      variables,
      new Map([
        ["bias", array([2], 5, 6)],
        ["fc.weight", array([1], 1)],
      ]),
      { strict: false },
    );
    expect(report).toEqual({ assigned: ["bias"], missing: ["weight"], unexpected: ["fc.weight"] });
    expect(await value(variables, "bias")).toEqual([5, 6]);
    expect(await value(variables, "weight")).toEqual([0, 0]);
    dispose([...variables.values()]);
  });

  it("shortens long lists", () => {
    const arrays = new Map(Array.from({ length: 8 }, (_, i) => [`extra${i}`, array([1], 0)] as const));
    expect(() => assignWeights(new Map(), arrays)).toThrow(
      "unexpected extra0, extra1, extra2, extra3, extra4 and 3 more",
    );
  });

  it("leaks nothing", async () => {
    const variables = make();
    await expectNoLeaks(() => {
      assignWeights(
        variables,
        new Map([
          ["weight", array([2, 1], 3, 4)],
          ["bias", array([2], 5, 6)],
        ]),
      );
      return [];
    });
    dispose([...variables.values()]);
  });
});

it("toArrays copies variables out", async () => {
  const before = memory().numTensors;
  const variables = make();
  const arrays = await toArrays(variables);
  assignWeights(variables, new Map([["weight", array([2, 1], 3, 4)]]), { strict: false });
  expect(arrays.get("bias")).toEqual(array([2], 1, 1));
  expect(arrays.get("weight")).toEqual(array([2, 1], 0, 0));
  dispose([...variables.values()]);
  expect(memory().numTensors).toBe(before);
});
