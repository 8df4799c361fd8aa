import type { HostArray, NamedArrays } from "@mrcnn/core";
import { describe, expect, it } from "vitest";
import { fromTorch, toTorch } from "../src/torch-layout.ts";
import { at, counted, modelWeights } from "./fixtures.ts";

const of = (arrays: NamedArrays, name: string): HostArray => arrays.get(name)!;

// A pyramid of 3 channels, a box head on 2 x 2 pooled maps, and what else needs moving.
const torch = new Map<string, HostArray>([
  ["backbone.fpn.layer_blocks.0.0.weight", counted(3, 3, 1, 2)],
  ["backbone.body.bn1.running_mean", counted(4)],
  ["backbone.body.bn1.num_batches_tracked", { shape: [], data: new Int32Array(1) }],
  ["roi_heads.box_head.fc6.weight", counted(5, 12)],
  ["roi_heads.box_head.fc7.weight", counted(2, 3)],
  ["roi_heads.mask_predictor.conv5_mask.weight", counted(3, 4, 2, 2)],
]);

describe("fromTorch", () => {
  const ours = fromTorch(torch);

  it("turns OIHW into HWIO", () => {
    const name = "backbone.fpn.layer_blocks.0.0.weight";
    expect(of(ours, name).shape).toEqual([1, 2, 3, 3]);
    for (let o = 0; o < 3; o++)
      for (let i = 0; i < 3; i++)
        for (let w = 0; w < 2; w++) {
          expect(at(of(ours, name), 0, w, i, o)).toBe(at(of(torch, name), o, i, 0, w));
        }
  });

  it("turns a transposed convolution's [in, out, h, w] into [h, w, out, in]", () => {
    const name = "roi_heads.mask_predictor.conv5_mask.weight";
    expect(of(ours, name).shape).toEqual([2, 2, 4, 3]);
    for (let i = 0; i < 3; i++)
      for (let o = 0; o < 4; o++)
        for (let h = 0; h < 2; h++)
          for (let w = 0; w < 2; w++) {
            expect(at(of(ours, name), h, w, o, i)).toBe(at(of(torch, name), i, o, h, w));
          }
  });

  it("turns linear weights over", () => {
    expect([...of(ours, "roi_heads.box_head.fc7.weight").data]).toEqual([0, 3, 1, 4, 2, 5]);
  });

  it("reads fc6's inputs rows, columns, channels instead of channels first", () => {
    const name = "roi_heads.box_head.fc6.weight";
    expect(of(ours, name).shape).toEqual([12, 5]);
    for (let o = 0; o < 5; o++)
      for (let c = 0; c < 3; c++)
        for (let h = 0; h < 2; h++)
          for (let w = 0; w < 2; w++) {
            expect(at(of(ours, name), (h * 2 + w) * 3 + c, o)).toBe(
              at(of(torch, name), o, (c * 2 + h) * 2 + w),
            );
          }
  });

  it("keeps vectors and drops num_batches_tracked", () => {
    expect([...of(ours, "backbone.body.bn1.running_mean").data]).toEqual([0, 1, 2, 3]);
    expect(ours.has("backbone.body.bn1.num_batches_tracked")).toBe(false);
  });

  it("knows torchvision's older names", () => {
    const old = new Map([
      ["backbone.fpn.inner_blocks.2.bias", counted(1)],
      ["rpn.head.conv.weight", counted(1, 1, 1, 1)],
      ["roi_heads.mask_head.mask_fcn3.bias", counted(1)],
      ["roi_heads.mask_predictor.mask_fcn_logits.bias", counted(1)],
    ]);
    expect([...fromTorch(old).keys()]).toEqual([
      "backbone.fpn.inner_blocks.2.0.bias",
      "rpn.head.conv.0.0.weight",
      "roi_heads.mask_head.2.0.bias",
      "roi_heads.mask_predictor.mask_fcn_logits.bias",
    ]);
  });

  it("wants the channels of fc6 when no pyramid tells them", () => {
    const alone = new Map([["fc6.weight", counted(5, 12)]]);
    expect(() => fromTorch(alone)).toThrow(
      "fc6.weight: its 12 inputs must be a square of the pooled channels, got no pyramid to read them from. Give the channels as `pooledChannels`.",
    );
    expect(() => fromTorch(alone, { pooledChannels: 5 })).toThrow(
      "fc6.weight: its 12 inputs must be a square of the pooled channels, got 5.",
    );
    expect(of(fromTorch(alone, { pooledChannels: 3 }), "fc6.weight")).toEqual(
      of(ours, "roi_heads.box_head.fc6.weight"),
    );
  });
});

describe("torchvision's models", () => {
  const v2 = modelWeights("torchvision", "mask_v2");
  const ours = fromTorch(v2);

  it("keep their names, but for the count of batches", () => {
    expect([...ours.keys()]).toEqual([...v2.keys()].filter((name) => !name.endsWith("num_batches_tracked")));
    const keypoint = modelWeights("torchvision", "keypoint");
    expect([...fromTorch(keypoint).keys()]).toEqual([...keypoint.keys()]);
  });

  it("of version 2 flatten what their box head's convolutions give", () => {
    const name = "roi_heads.box_head.5.weight";
    expect(of(v2, name).shape).toEqual([16, 196]);
    // Channel 3, row 6, column 2 of 4 channels of 7 x 7.
    expect(at(of(ours, name), (6 * 7 + 2) * 4 + 3, 5)).toBe(at(of(v2, name), 5, 3 * 49 + 6 * 7 + 2));
  });

  it("have transposed convolutions for keypoints as for masks", () => {
    const keypoint = modelWeights("torchvision", "keypoint");
    const name = "roi_heads.keypoint_predictor.kps_score_lowres.weight";
    expect(of(fromTorch(keypoint), name).shape).toEqual([4, 4, 17, 8]);
    expect(at(of(fromTorch(keypoint), name), 1, 2, 16, 7)).toBe(at(of(keypoint, name), 7, 16, 1, 2));
  });

  it.each(["mask", "mask_v2", "keypoint"])("come back from ours (%s)", (model) => {
    const theirs = modelWeights("torchvision", model);
    expect(toTorch(fromTorch(theirs))).toEqual(
      new Map([...theirs].filter(([name]) => !name.endsWith("num_batches_tracked"))),
    );
  });

  it("tell the channels that fc6 reads by the RPN where there is no pyramid", () => {
    const alone = new Map([
      ["rpn.head.conv.0.0.weight", counted(2, 3, 3, 3)],
      ["roi_heads.box_head.fc6.weight", counted(5, 12)],
    ]);
    expect(of(fromTorch(alone), "roi_heads.box_head.fc6.weight").shape).toEqual([12, 5]);
    expect(toTorch(fromTorch(alone))).toEqual(alone);
  });
});

it("toTorch undoes fromTorch", () => {
  const expected = new Map(torch);
  expected.delete("backbone.body.bn1.num_batches_tracked");
  expect(toTorch(fromTorch(torch))).toEqual(expected);
});
