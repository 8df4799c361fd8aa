import { describe, expect, it } from "vitest";
import { grad, tensor4d } from "@tensorflow/tfjs-core";
import type { Tensor4D } from "@tensorflow/tfjs-core";
import { ShapeError } from "@mrcnn/core";
import { expectClose, expectNoLeaks, golden, seededSpread, seededUniform } from "@mrcnn/testing";
import { maskLoss } from "../src/index.ts";

interface Golden {
  readonly mask: { loss_mask: number; logits: number[] };
}

const labels = Int32Array.of(2, 4, 1);
const targets = Float32Array.from(seededUniform("mask.targets", 3 * 4 * 4));
const logits = (): Tensor4D => tensor4d(seededSpread("mask.logits", 3 * 4 * 4 * 5, 12), [3, 4, 4, 5]);
const gradient = (logits: Tensor4D) => grad((x) => maskLoss(x as Tensor4D, labels, targets))(logits);

describe("maskLoss", () => {
  it("equals torchvision's maskrcnn_loss, with its gradient", async () => {
    const { mask } = golden<Golden>(import.meta.url, "losses");
    await expectClose(maskLoss(logits(), labels, targets), [mask.loss_mask]);
    await expectClose(gradient(logits()), mask.logits, { atol: 1e-7 });
  });

  it("is an exact 0 without positives, and still has a gradient", async () => {
    const none = tensor4d([], [0, 4, 4, 5]);
    const nothing = (x: Tensor4D) => maskLoss(x, new Int32Array(0), new Float32Array(0));
    expect([...(await nothing(none).data())]).toEqual([0]);
    expect(grad((x) => nothing(x as Tensor4D))(none).shape).toEqual([0, 4, 4, 5]);
  });

  it("refuses targets of other RoIs", () => {
    expect(() => maskLoss(logits(), Int32Array.of(1), targets)).toThrow(ShapeError);
    expect(() => maskLoss(logits(), labels, new Float32Array(3))).toThrow(ShapeError);
  });

  it("leaves no tensor behind", async () => {
    const x = logits();
    await expectNoLeaks(() => maskLoss(x, labels, targets));
    await expectNoLeaks(() => gradient(x));
  });
});
