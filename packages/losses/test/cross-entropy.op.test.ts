import { describe, expect, it } from "vitest";
import { grad, ones, tensor1d, tensor2d } from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import { ShapeError } from "@mrcnn/core";
import { expectClose, expectGradients, expectNoLeaks, seededSpread } from "@mrcnn/testing";
import { sigmoidCrossEntropy, softmaxCrossEntropy } from "../src/index.ts";

describe("sigmoidCrossEntropy", () => {
  it("follows a table worked by hand, far out on both sides", async () => {
    const logits = tensor1d([0, 0, 0, 200, 200, -200, -200, Math.log(3)]);
    const targets = tensor1d([0, 1, 0.25, 1, 0, 0, 1, 0]);
    // At ln 3 the sigmoid is 3/4, so the loss of a negative is ln 4.
    const ln2 = Math.LN2;
    await expectClose(sigmoidCrossEntropy(logits, targets), [ln2, ln2, ln2, 0, 200, 0, 200, 2 * ln2]);
    const slopes = grad((x) => sigmoidCrossEntropy(x, targets))(logits);
    await expectClose(slopes, [0.5, -0.5, 0.25, 0, 1, 0, -1, 0.75]);
  });

  it("has the gradient of finite differences", async () => {
    const targets = tensor1d([0, 1, 0.3, 0.9, 0, 1]);
    await expectGradients((x) => sigmoidCrossEntropy(x, targets), [tensor1d(seededSpread("x", 6, 6))]);
  });

  it("refuses another shape", () => {
    expect(() => sigmoidCrossEntropy(tensor1d([1, 2]), tensor1d([1]))).toThrow(ShapeError);
  });

  it("leaves no tensor behind", async () => {
    const logits = tensor1d([1, 2]);
    const targets = tensor1d([0, 1]);
    await expectNoLeaks(() => sigmoidCrossEntropy(logits, targets));
    await expectNoLeaks(() => grad((x) => sigmoidCrossEntropy(x, targets))(logits));
  });
});

describe("softmaxCrossEntropy", () => {
  it("follows a table worked by hand, with logits that overflow exp", async () => {
    const logits = tensor2d([0, 0, 1000, 0, 1000, 0, Math.log(3), 0], [4, 2]);
    const labels = Int32Array.of(1, 0, 1, 0);
    // Row 3: the first class has probability 3/4.
    await expectClose(softmaxCrossEntropy(logits, labels), [Math.LN2, 0, 1000, Math.log(4 / 3)]);
    const slopes = grad((x) => softmaxCrossEntropy(x as Tensor2D, labels))(logits);
    await expectClose(slopes, [0.5, -0.5, 0, 0, 1, -1, -0.25, 0.25]);
  });

  it("has the gradient of finite differences", async () => {
    const labels = Int32Array.of(3, 0, 2);
    await expectGradients(
      (x) => softmaxCrossEntropy(x as Tensor2D, labels),
      [tensor2d(seededSpread("y", 12, 6), [3, 4])],
    );
  });

  it("refuses another number of labels", () => {
    expect(() => softmaxCrossEntropy(ones([2, 3]), Int32Array.of(1))).toThrow(ShapeError);
  });

  it("leaves no tensor behind", async () => {
    const logits = tensor2d([1, 2, 3, 4], [2, 2]);
    const labels = Int32Array.of(0, 1);
    await expectNoLeaks(() => softmaxCrossEntropy(logits, labels));
    await expectNoLeaks(() => grad((x) => softmaxCrossEntropy(x as Tensor2D, labels))(logits));
  });
});
