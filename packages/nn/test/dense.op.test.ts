import { tensor2d, tidy } from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { golden, seededInput, seededWeight } from "@mrcnn/testing";
import { dense } from "../src/index.ts";
import type { DenseParams } from "../src/index.ts";
import { expectGolden } from "./expect-golden.ts";
import type { GoldenRun } from "./expect-golden.ts";

const fixture = golden<{ case: GoldenRun }>(import.meta.url, "dense");

it("equals torch's linear layer with relu", async () => {
  const inputs = {
    x: seededInput("dense.x", [3, 5]),
    weight: seededWeight("dense.weight", [5, 4]),
    bias: seededWeight("dense.bias", [4]),
  };
  await expectGolden(fixture.case, "dense", inputs, (x, weight, bias) =>
    dense({ weight, bias } as unknown as DenseParams, x as Tensor2D, { activation: "relu" }),
  );
});

it("names the shape it needs", () => {
  tidy(() => {
    const weight = seededWeight("w", [5, 4]);
    expect(() => dense({ weight } as unknown as DenseParams, tensor2d([1, 2], [1, 2]))).toThrow(
      "dense: x must have shape [*, 5], got [1, 2].",
    );
  });
});
