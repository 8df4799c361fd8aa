import { describe, expect, it } from "vitest";
import { add, grads, tensor2d, tensor3d } from "@tensorflow/tfjs-core";
import type { Tensor, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import { ShapeError } from "@mrcnn/core";
import type { RpnTargets } from "@mrcnn/core";
import { expectClose, expectNoLeaks, golden, seededSpread } from "@mrcnn/testing";
import { rpnLosses } from "../src/index.ts";

interface Golden {
  readonly rpn: { loss_objectness: number; loss_rpn_box_reg: number; objectness: number[]; deltas: number[] };
}

const A = 30;
const regression = seededSpread("rpn.targets", 2 * A * 4, 3);
const anchors = [...Array(2 * A).keys()].filter((i) => i % 3 !== 2);
const positive = Int32Array.from(anchors.filter((i) => i % 5 === 0));
const targets: RpnTargets = {
  positive,
  negative: Int32Array.from(anchors.filter((i) => i % 5 !== 0)),
  deltas: Float32Array.from([...positive].flatMap((i) => Array.from(regression.slice(4 * i, 4 * i + 4)))),
};
const inputs = (): [Tensor2D, Tensor3D] => [
  tensor2d(seededSpread("rpn.objectness", 2 * A, 12), [2, A]),
  tensor3d(seededSpread("rpn.deltas", 2 * A * 4, 3), [2, A, 4]),
];
const losses = (inputs: readonly Tensor[], targets: RpnTargets) =>
  rpnLosses({ objectness: inputs[0] as Tensor2D, deltas: inputs[1] as Tensor3D, levelCounts: [A] }, targets);
const gradients = (inputs: Tensor[], targets: RpnTargets): Tensor[] =>
  grads((...xs: Tensor[]) => {
    const terms = losses(xs, targets);
    return add(terms.loss_objectness, terms.loss_rpn_box_reg);
  })(inputs);

describe("rpnLosses", () => {
  it("equals torchvision's compute_loss, with its gradients", async () => {
    const { rpn } = golden<Golden>(import.meta.url, "losses");
    const terms = losses(inputs(), targets);
    await expectClose(terms.loss_objectness, [rpn.loss_objectness]);
    await expectClose(terms.loss_rpn_box_reg, [rpn.loss_rpn_box_reg]);
    const [objectness, deltas] = gradients(inputs(), targets);
    await expectClose(objectness!, rpn.objectness, { atol: 1e-7 });
    await expectClose(deltas!, rpn.deltas, { atol: 1e-7 });
  });

  it("is an exact 0 with a gradient of 0 where nothing was sampled", async () => {
    const nothing = { positive: new Int32Array(0), negative: new Int32Array(0), deltas: new Float32Array(0) };
    const terms = losses(inputs(), nothing);
    expect([...(await terms.loss_objectness.data()), ...(await terms.loss_rpn_box_reg.data())]).toEqual([
      0, 0,
    ]);
    for (const gradient of gradients(inputs(), nothing))
      expect((await gradient.data()).every((v) => v === 0)).toBe(true);

    const background = losses(inputs(), { ...nothing, negative: Int32Array.of(3, 31) });
    expect((await background.loss_objectness.data())[0]).toBeGreaterThan(0);
    expect((await background.loss_rpn_box_reg.data())[0]).toBe(0);
  });

  it("refuses deltas that are not the positives'", () => {
    expect(() => losses(inputs(), { ...targets, deltas: new Float32Array(4) })).toThrow(ShapeError);
  });

  it("leaves no tensor behind", async () => {
    const [objectness, deltas] = inputs();
    await expectNoLeaks(() => losses([objectness, deltas], targets));
    await expectNoLeaks(() => gradients([objectness, deltas], targets));
  });
});
