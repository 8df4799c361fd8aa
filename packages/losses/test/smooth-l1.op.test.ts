import { describe, expect, it } from "vitest";
import { grads, tensor1d, tensor2d } from "@tensorflow/tfjs-core";
import { expectClose, expectGradients, expectNoLeaks, seededSpread } from "@mrcnn/testing";
import { ShapeError } from "@mrcnn/core";
import { smoothL1 } from "../src/index.ts";

describe("smoothL1", () => {
  // beta 0.5: d² up to 0.5, |d| - 0.25 beyond; both give 0.25 at 0.5.
  const differences = [0, 0.25, -0.25, 0.5, -0.5, 1, -3];
  const losses = [0, 0.0625, 0.0625, 0.25, 0.25, 0.75, 2.75];
  const slopes = [0, 0.5, -0.5, 1, -1, 1, -1];

  it("follows a table worked by hand", async () => {
    const target = tensor1d([1, 2, 3, 4, 5, 6, 7]);
    const prediction = tensor1d(differences.map((d, i) => d + i + 1));
    await expectClose(smoothL1(prediction, target, 0.5), losses);
    const [towards, away] = grads((a, b) => smoothL1(a, b, 0.5))([prediction, target]);
    await expectClose(towards!, slopes);
    await expectClose(
      away!,
      slopes.map((slope) => -slope),
    );
  });

  it("has the gradient of finite differences on both sides", async () => {
    const prediction = tensor2d(seededSpread("a", 12, 3), [3, 4]);
    const target = tensor2d(seededSpread("b", 12, 3), [3, 4]);
    await expectGradients((a, b) => smoothL1(a, b, 1 / 9), [prediction, target], { epsilon: 5e-3 });
  });

  it("refuses another shape", () => {
    expect(() => smoothL1(tensor1d([1, 2]), tensor1d([1]), 1)).toThrow(ShapeError);
  });

  it("leaves no tensor behind", async () => {
    const prediction = tensor1d([1, 2]);
    const target = tensor1d([0, 0]);
    await expectNoLeaks(() => smoothL1(prediction, target, 1));
    await expectNoLeaks(() => grads((a, b) => smoothL1(a, b, 1))([prediction, target]));
  });
});
