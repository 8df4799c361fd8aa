import type { HostArray } from "@mrcnn/core";
import { describe, expect, it } from "vitest";
import { fromDetectron1 } from "../src/detectron1.ts";
import { fromDetectron2 } from "../src/detectron2.ts";
import { fromTorch } from "../src/torch-layout.ts";
import { at, counted, detectron1Names, modelWeights } from "./fixtures.ts";

const shapes = (arrays: ReadonlyMap<string, HostArray>): Record<string, readonly number[]> =>
  Object.fromEntries(
    [...arrays].map(([name, { shape }]) => [name, shape] as const).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );

describe("fromDetectron2", () => {
  it.each(["mask", "keypoint"])("gives a %s model exactly the names and shapes of torchvision's", (model) => {
    expect(shapes(fromDetectron2(modelWeights("detectron2", model)))).toEqual(
      shapes(fromTorch(modelWeights("torchvision", model))),
    );
  });

  it("moves convolutions and dense layers as fromTorch does", () => {
    const theirs = modelWeights("detectron2", "mask");
    const ours = fromDetectron2(theirs);
    const conv = theirs.get("backbone.bottom_up.res4.2.conv2.weight")!;
    expect(at(ours.get("backbone.body.layer3.2.conv2.weight")!, 0, 2, 1, 3)).toBe(at(conv, 3, 1, 0, 2));
    const fc1 = theirs.get("roi_heads.box_head.fc1.weight")!;
    expect(fc1.shape).toEqual([16, 196]);
    // Channel 3, row 6, column 2 of 4 channels of 7 x 7.
    expect(at(ours.get("roi_heads.box_head.fc6.weight")!, (6 * 7 + 2) * 4 + 3, 5)).toBe(
      at(fc1, 5, 3 * 49 + 6 * 7 + 2),
    );
  });

  it("puts the background first: from the end of the scores, as zeros before deltas and masks", () => {
    const theirs = modelWeights("detectron2", "mask");
    const ours = fromDetectron2(theirs);
    const scores = ours.get("roi_heads.box_predictor.cls_score.bias")!.data;
    expect([scores[0], scores[1], scores[80]]).toEqual([80, 0, 79]);
    const weight = theirs.get("roi_heads.box_predictor.cls_score.weight")!;
    expect(at(ours.get("roi_heads.box_predictor.cls_score.weight")!, 7, 0)).toBe(at(weight, 80, 7));
    expect(at(ours.get("roi_heads.box_predictor.cls_score.weight")!, 7, 33)).toBe(at(weight, 32, 7));
    const deltas = ours.get("roi_heads.box_predictor.bbox_pred.bias")!;
    expect(deltas.shape).toEqual([324]);
    expect(Array.from(deltas.data.subarray(0, 6))).toEqual([0, 0, 0, 0, 0, 1]);
    const masks = ours.get("roi_heads.mask_predictor.mask_fcn_logits.weight")!;
    expect(masks.shape).toEqual([1, 1, 4, 81]);
    expect(at(masks, 0, 0, 3, 0)).toBe(0);
    expect(at(masks, 0, 0, 3, 9)).toBe(at(theirs.get("roi_heads.mask_head.predictor.weight")!, 8, 3, 0, 0));
  });

  it("knows C4 and DC5", () => {
    const c4 = fromDetectron2(modelWeights("detectron2", "c4"));
    for (const name of [
      "backbone.body.conv1.weight",
      "backbone.body.layer3.5.bn3.running_var",
      "roi_heads.layer4.0.downsample.1.bias",
      "roi_heads.layer4.2.conv3.weight",
      "roi_heads.mask_predictor.conv5_mask.weight",
    ]) {
      expect(c4.has(name), name).toBe(true);
    }
    expect([...c4.keys()].some((name) => /layer4/.test(name) && !name.startsWith("roi_heads."))).toBe(false);
    expect(c4.get("roi_heads.mask_predictor.conv5_mask.weight")!.shape).toEqual([2, 2, 4, 32]);
    // Its dense layer reads the 32 (2048) channels of the last stage.
    const theirs = modelWeights("detectron2", "dc5");
    const fc6 = fromDetectron2(theirs).get("roi_heads.box_head.fc6.weight")!;
    expect(fc6.shape).toEqual([32 * 49, 16]);
    expect(at(fc6, 5 * 32 + 9, 1)).toBe(at(theirs.get("roi_heads.box_head.fc1.weight")!, 1, 9 * 49 + 5));
  });

  it("gives group norm's heads torchvision's v2 places", () => {
    const theirs = modelWeights("detectron2", "gn");
    const ours = fromDetectron2(theirs);
    const v2 = Object.keys(shapes(fromTorch(modelWeights("torchvision", "mask_v2"))));
    // All but the statistics, and the one convolution of the RPN that v1 has.
    expect([...ours.keys()].toSorted()).toEqual(
      v2.filter((name) => !/running_|rpn\.head\.conv\.1\./.test(name)).toSorted(),
    );
    expect(at(ours.get("roi_heads.box_head.5.weight")!, (6 * 7 + 2) * 4 + 3, 5)).toBe(
      at(theirs.get("roi_heads.box_head.fc1.weight")!, 5, 3 * 49 + 6 * 7 + 2),
    );
  });

  it("refuses class-agnostic boxes, cascades and other models", () => {
    expect(() => fromDetectron2(modelWeights("detectron2", "agnostic"))).toThrow(
      "roi_heads.box_predictor.bbox_pred: must have 4 outputs for each of the 80 classes, got 4: one for all classes (class-agnostic), which this model doesn't have.",
    );
    expect(() => fromDetectron2(modelWeights("detectron2", "cascade"))).toThrow(
      /^roi_heads\.box_head\.0\.fc1\.weight: Mask, Faster and Keypoint R-CNN of detectron2 have no such weights\./,
    );
    const odd = modelWeights("detectron2", "mask").set(
      "roi_heads.mask_head.predictor.weight",
      counted(7, 4, 1, 1),
    );
    expect(() => fromDetectron2(odd)).toThrow(
      "roi_heads.mask_predictor.mask_fcn_logits: must have 1 outputs for each of the 80 classes, got 7: another number.",
    );
  });
});

describe("fromDetectron1", () => {
  // Blobs of Detectron's own names, and what detectron2's convert_c2_detectron_names and its model call them.
  const names: [string, string][] = [
    ["conv1_w", "stem.conv1.weight"],
    ["res_conv1_bn_s", "stem.conv1.norm.weight"],
    ["res2_0_branch1_w", "res2.0.shortcut.weight"],
    ["res2_0_branch1_bn_b", "res2.0.shortcut.norm.bias"],
    ["res4_22_branch2b_w", "res4.22.conv2.weight"],
    ["res5_2_branch2c_bn_s", "res5.2.conv3.norm.weight"],
  ];
  it("names the backbone, with a pyramid and without", () => {
    const blobs = new Map(names.map(([name]) => [name, counted(2)] as const));
    const c4 = [...fromDetectron1(blobs).keys()];
    for (const [, name] of names)
      expect(c4).toContain(name.startsWith("res5") ? `roi_heads.${name}` : `backbone.${name}`);
    const fpn = [...fromDetectron1(new Map([...blobs, ["fpn_res2_2_sum_w", counted(1, 1, 3, 3)]])).keys()];
    for (const [, name] of names) expect(fpn).toContain(`backbone.bottom_up.${name}`);
  });

  it("names everything else", () => {
    const others: [string, string][] = [
      ["fpn_inner_res5_2_sum_w", "backbone.fpn_lateral5.weight"],
      ["fpn_inner_res2_2_sum_lateral_b", "backbone.fpn_lateral2.bias"],
      ["fpn_inner_res3_3_sum_lateral_gn_s", "backbone.fpn_lateral3.norm.weight"],
      ["fpn_res4_22_sum_w", "backbone.fpn_output4.weight"],
      ["conv_rpn_fpn2_w", "proposal_generator.rpn_head.conv.weight"],
      ["rpn_cls_logits_fpn2_b", "proposal_generator.rpn_head.objectness_logits.bias"],
      ["rpn_bbox_pred_fpn2_w", "proposal_generator.rpn_head.anchor_deltas.weight"],
      ["fc6_w", "roi_heads.box_head.fc1.weight"],
      ["fc7_b", "roi_heads.box_head.fc2.bias"],
      ["head_conv4_gn_b", "roi_heads.box_head.conv4.norm.bias"],
      ["_[mask]_fcn3_w", "roi_heads.mask_head.mask_fcn3.weight"],
      ["conv5_mask_w", "roi_heads.mask_head.deconv.weight"],
      ["conv_fcn8_w", "roi_heads.keypoint_head.conv_fcn8.weight"],
      ["kps_score_lowres_b", "roi_heads.keypoint_head.score_lowres.bias"],
    ];
    expect([...fromDetectron1(new Map(others.map(([name]) => [name, counted(1)]))).keys()]).toEqual(
      others.map(([, name]) => name),
    );
    expect([
      ...fromDetectron1(
        new Map([
          ["conv_rpn_w", counted(1)],
          ["rpn_cls_logits_w", counted(1)],
        ]),
      ).keys(),
    ]).toEqual([
      "proposal_generator.rpn_head.conv.weight",
      "proposal_generator.rpn_head.objectness_logits.weight",
    ]);
  });

  it("agrees with detectron2's own renaming, as far as that goes", () => {
    for (const [blob, theirs] of Object.entries(detectron1Names)) {
      const [name] = fromDetectron1(new Map([[blob, counted(8)]])).keys();
      // detectron2's model looks for names that end so.
      if (name !== undefined)
        expect(name === theirs || name.endsWith(`.${theirs}`), `${blob}: ${name}, ${theirs}`).toBe(true);
      else expect(blob).toBe("conv1_b");
    }
  });

  it("drops what is left of the ImageNet classifier", () => {
    expect(
      fromDetectron1(
        new Map(["conv1_b", "res2_0_branch2a_b", "fc1000_w", "pred_b"].map((blob) => [blob, counted(1)])),
      ).size,
    ).toBe(0);
  });

  it("moves the background last and out, as detectron2 does, and gives affine channels statistics that change nothing", () => {
    const arrays = fromDetectron1(
      new Map([
        ["cls_score_b", counted(3)],
        ["bbox_pred_w", counted(12, 2)],
        ["mask_fcn_logits_b", counted(3)],
        ["res2_0_branch1_bn_s", counted(2)],
      ]),
    );
    expect([...arrays.get("roi_heads.box_predictor.cls_score.bias")!.data]).toEqual([1, 2, 0]);
    expect(arrays.get("roi_heads.box_predictor.bbox_pred.weight")).toEqual({
      shape: [8, 2],
      data: counted(12, 2).data.slice(8),
    });
    expect([...arrays.get("roi_heads.mask_head.predictor.bias")!.data]).toEqual([1, 2]);
    expect([...arrays.get("backbone.res2.0.shortcut.norm.running_mean")!.data]).toEqual([0, 0]);
    const variance = arrays.get("backbone.res2.0.shortcut.norm.running_var")!.data[0]!;
    expect(1 / Math.sqrt(variance + 1e-5)).toBeCloseTo(1, 7);
  });
});
