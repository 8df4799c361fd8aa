// Every stage of the pipeline against the library whose weights it runs, on narrow models.
import { dispose, tensor, tensor4d } from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { applyResnet } from "@mrcnn/backbones";
import type { FeatureMaps } from "@mrcnn/core";
import { applyKeypointHead, selectDetections } from "@mrcnn/heads";
import { selectProposals } from "@mrcnn/rpn";
import { expectClose, expectNoLeaks, expectSummary } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";
import { detectionConfig, prepareInput } from "../src/detect.ts";
import { resnetConfig } from "../src/params.ts";
import {
  applyBoxBranch,
  applyDense,
  applyMaskBranchOfLabels,
  modelAnchors,
  poolRois,
  proposalConfig,
} from "../src/stages.ts";
import { picture, stageCase, stageModel } from "./stage-model.ts";

// float32 alone: what two orders of summation differ by.
const TOLERANCE = 1e-4;

const variants = {
  torchvision: ["", "-v2", "-keypoint"],
  detectron2: ["", "-c4", "-dc5", "-resnext", "-keypoint"],
  matterport: ["", "-portrait"],
};
const cases = Object.entries(variants).flatMap(([source, kinds]) => kinds.map((kind) => source + kind));

describe.each(cases)("%s", (name) => {
  const { image, stages, ...want } = stageCase(name);
  const photo = picture({ height: image[0], width: image[1] });

  it("equals the library stage by stage", async () => {
    const model = stageModel({ image, stages, ...want });
    const { config, params } = model;
    const held: Tensor[] = [];
    const hold = <T extends Tensor>(t: T): T => {
      held.push(t);
      return t;
    };
    const check = async (stage: string, value: Tensor): Promise<void> =>
      expectSummary(hold(value), stages[stage]!, stage, TOLERANCE);
    // Not every library hands out every map.
    const checkMaps = async (maps: FeatureMaps): Promise<void> => {
      for (const [level, map] of maps) {
        if (level in stages) await check(level, map);
        else hold(map);
      }
    };

    const input = prepareInput(config, [photo]);
    const { batch } = input;
    const x = tensor4d(batch.data, [1, batch.size.height, batch.size.width, 3]);
    await check("input", x);
    await checkMaps(applyResnet(params.backbone.body, resnetConfig(config), x));
    const dense = applyDense(config, params, batch, "running");
    await checkMaps(dense.features);
    await check("objectness", dense.rpn.objectness);
    await check("deltas", dense.rpn.deltas);

    const anchors = modelAnchors(config, dense.grids, batch.size);
    const proposals = await selectProposals(
      dense.rpn,
      anchors,
      input.limits,
      proposalConfig(config, config.rpn.detection),
    );
    // The fixtures have pixels, less one for those whose boxes are fractions.
    const unit = input.limits[0]!.width === 1 ? batch.size.width - 1 : 1;
    const inPixels = (boxes: Float32Array): Float32Array => boxes.map((v) => v * unit);
    await expectClose(inPixels(proposals.boxes), want.proposals, { atol: 1e-3, rtol: TOLERANCE });
    const pooled = poolRois(config, dense.features, proposals, config.box.poolSize, batch.size);
    await check("pooled", pooled);
    const boxes = applyBoxBranch(config, params, pooled, "running");
    await check("classLogits", boxes.classLogits);
    await check("boxDeltas", boxes.deltas);
    const [found] = await selectDetections(boxes, proposals, input.limits, detectionConfig(config, input));
    await expectClose(inPixels(found!.boxes), want.detections, { atol: 1e-3, rtol: TOLERANCE });

    const rois = { boxes: found!.boxes, imageIndex: new Int32Array(found!.labels.length) };
    if (config.mask) {
      const seen = poolRois(config, dense.features, rois, config.maskHead.poolSize, batch.size);
      await check("maskPooled", seen);
      await check("maskLogits", applyMaskBranchOfLabels(config, params, seen, found!.labels));
    }
    const { keypoint_head, keypoint_predictor } = params.roi_heads;
    if (keypoint_head !== undefined && keypoint_predictor !== undefined) {
      const seen = poolRois(config, dense.features, rois, config.keypointHead.poolSize, batch.size);
      await check("keypointPooled", seen);
      await check("heatmaps", applyKeypointHead({ keypoint_head, keypoint_predictor }, seen));
    }
    dispose(held);
    model.dispose();
  });

  it("answers as the library", async () => {
    const model = stageModel({ image, stages, ...want });
    const [found] = await model.detect([photo]);
    const { answer } = want;
    expect([...found!.labels]).toEqual(answer.labels);
    await expectClose(found!.scores, [...answer.scores], { atol: 1e-4, rtol: 0 });
    await expectClose(found!.boxes, [...answer.boxes], { atol: 0.01, rtol: 0 });
    const areas = found!.masks?.map(({ counts }) =>
      counts.reduce((sum, run, i) => sum + (i % 2 === 1 ? run : 0), 0),
    );
    for (const [i, area] of (answer.areas ?? []).entries()) {
      expect(
        Math.abs(areas![i]! - area),
        `area of mask ${i}: ${areas![i]} against ${area}`,
      ).toBeLessThanOrEqual(Math.max(1, area * 1e-3));
    }
    const points = found!.keypoints?.points.filter((_, i) => i % 3 !== 2) ?? [];
    await expectClose(tensor([...points]), tensor([...(answer.keypoints ?? [])]), { atol: 0.05, rtol: 0 });
    await expectClose(
      tensor([...(found!.keypoints?.scores ?? [])]),
      tensor([...(answer.keypointScores ?? [])]),
      { atol: 1e-3, rtol: 1e-4 },
    );
    await expectNoLeaks(async () => {
      await model.detect([photo]);
      return [];
    });
    model.dispose();
  });
});
