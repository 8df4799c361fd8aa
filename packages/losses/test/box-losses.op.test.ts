import { describe, expect, it } from "vitest";
import { add, grads, tensor2d } from "@tensorflow/tfjs-core";
import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import { ShapeError } from "@mrcnn/core";
import type { RoiTargets } from "@mrcnn/core";
import { expectClose, expectNoLeaks, golden, seededSpread } from "@mrcnn/testing";
import { boxLosses } from "../src/index.ts";

interface Golden {
  readonly box: { loss_classifier: number; loss_box_reg: number; logits: number[]; deltas: number[] };
}

const R = 12;
const K = 5;
const labels = Int32Array.from({ length: R }, (_, i) => i % K);
const positive = Int32Array.from(labels.keys()).filter((i) => labels[i]! > 0);
const regression = seededSpread("box.targets", R * 4, 3);
const targets: RoiTargets = {
  rois: { boxes: new Float32Array(4 * R), imageIndex: new Int32Array(R) },
  labels,
  positive,
  matchedGt: new Int32Array(positive.length),
  deltas: Float32Array.from([...positive].flatMap((i) => Array.from(regression.slice(4 * i, 4 * i + 4)))),
};
const inputs = (): [Tensor2D, Tensor2D] => [
  tensor2d(seededSpread("box.logits", R * K, 12), [R, K]),
  tensor2d(seededSpread("box.deltas", R * K * 4, 3), [R, K * 4]),
];
const losses = (inputs: readonly Tensor[], targets: RoiTargets) =>
  boxLosses({ classLogits: inputs[0] as Tensor2D, deltas: inputs[1] as Tensor2D }, targets);
const gradients = (inputs: Tensor[], targets: RoiTargets): Tensor[] =>
  grads((...xs: Tensor[]) => {
    const terms = losses(xs, targets);
    return add(terms.loss_classifier, terms.loss_box_reg);
  })(inputs);
const noPositives = {
  ...targets,
  positive: new Int32Array(0),
  matchedGt: new Int32Array(0),
  deltas: new Float32Array(0),
};

describe("boxLosses", () => {
  it("equals torchvision's fastrcnn_loss, with its gradients", async () => {
    const { box } = golden<Golden>(import.meta.url, "losses");
    const terms = losses(inputs(), targets);
    await expectClose(terms.loss_classifier, [box.loss_classifier]);
    await expectClose(terms.loss_box_reg, [box.loss_box_reg]);
    const [logits, deltas] = gradients(inputs(), targets);
    await expectClose(logits!, box.logits, { atol: 1e-7 });
    await expectClose(deltas!, box.deltas, { atol: 1e-7 });
  });

  it("has an exact 0 for the boxes of background only, with a gradient of 0", async () => {
    const background = { ...noPositives, labels: new Int32Array(R) };
    const terms = losses(inputs(), background);
    expect((await terms.loss_classifier.data())[0]).toBeGreaterThan(0);
    expect((await terms.loss_box_reg.data())[0]).toBe(0);
    const [, deltas] = gradients(inputs(), background);
    expect((await deltas!.data()).every((v) => v === 0)).toBe(true);
  });

  it("is 0 without RoIs", async () => {
    const empty = { ...noPositives, labels: new Int32Array(0) };
    const terms = losses([tensor2d([], [0, K]), tensor2d([], [0, 4 * K])], empty);
    expect([...(await terms.loss_classifier.data()), ...(await terms.loss_box_reg.data())]).toEqual([0, 0]);
  });

  it("refuses targets of other RoIs", () => {
    expect(() => losses(inputs(), { ...targets, labels: new Int32Array(3) })).toThrow(ShapeError);
    expect(() => losses(inputs(), { ...targets, deltas: new Float32Array(3) })).toThrow(ShapeError);
  });

  it("leaves no tensor behind", async () => {
    const [logits, deltas] = inputs();
    await expectNoLeaks(() => losses([logits, deltas], targets));
    await expectNoLeaks(() => gradients([logits, deltas], targets));
  });
});
