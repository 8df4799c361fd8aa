import type { HostArray } from "@mrcnn/core";
import { describe, expect, it } from "vitest";
import { readKerasWeights } from "../src/keras-weights.ts";
import { fromMatterport } from "../src/matterport.ts";
import { inflate, matterportFixture } from "./fixtures.ts";

const theirs = await readKerasWeights(inflate(matterportFixture.file), "mask_rcnn.h5");

const without = (layer: string): Map<string, HostArray> =>
  new Map([...theirs].filter(([path]) => !path.includes(layer)));

describe("fromMatterport", () => {
  it("gives our names, shapes and values, as numpy computes them", () => {
    const ours = fromMatterport(theirs);
    expect([...ours.keys()].toSorted()).toEqual(Object.keys(matterportFixture.sums).toSorted());
    for (const [name, { shape, sum }] of Object.entries(matterportFixture.sums)) {
      const array = ours.get(name)!;
      expect(array.shape, name).toEqual(shape);
      expect(
        Array.from(array.data).reduce((total, value, i) => total + value * Math.cos(i), 0),
        name,
      ).toBeCloseTo(sum, 4);
    }
  });

  it("makes the RPN's sigmoid the softmax of its two logits", () => {
    const ours = fromMatterport(theirs);
    const pairs = theirs.get("rpn_model/rpn_class_raw/bias:0")!.data;
    const softmax = Math.exp(pairs[3]!) / (Math.exp(pairs[2]!) + Math.exp(pairs[3]!));
    expect(1 / (1 + Math.exp(-ours.get("rpn.head.cls_logits.bias")!.data[1]!))).toBeCloseTo(softmax, 6);
  });

  it("names what is missing, too much or of another shape", () => {
    expect(() => fromMatterport(without("mrcnn_mask_deconv"))).toThrow(
      "mrcnn_mask_deconv/kernel is missing. These are not all weights of matterport's Mask R-CNN.",
    );
    const more = new Map(theirs).set("extra/extra/kernel:0", { shape: [1], data: new Float32Array(1) });
    expect(() => fromMatterport(more)).toThrow(
      "extra: matterport's Mask R-CNN has no such layer. Changed models are not read.",
    );
    const flat = new Map(theirs).set("conv1/conv1/kernel:0", { shape: [147], data: new Float32Array(147) });
    expect(() => fromMatterport(flat)).toThrow("conv1/kernel: must have 4 axes, got the shape [147].");
    const short = new Map(theirs).set("conv1/conv1/bias:0", { shape: [2], data: new Float32Array(2) });
    expect(() => fromMatterport(short)).toThrow("conv1/bias: must have 1 values, got 2.");
  });
});
