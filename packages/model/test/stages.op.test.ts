// Every stage of the pipeline against the library whose weights it runs, on narrow models.
import { dispose, slice, tensor, tensor4d } from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import type { Rois } from "@mrcnn/core";
import type { RoisOnDevice } from "@mrcnn/core/tensors";
import { readRois } from "@mrcnn/rpn";
import { expectClose, expectNoLeaks, expectSummary } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";
import { observeDetect } from "../src/profile.ts";
import type { DetectStages } from "../src/profile.ts";
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
    const check = (stage: string, value: Tensor): Promise<void> =>
      expectSummary(value, stages[stage]!, stage, TOLERANCE);
    // Not every library hands out every map.
    const checkMap = async (level: string, map: Tensor): Promise<void> => {
      if (level in stages) await check(level, map);
    };
    const seen: string[] = [];
    let unit = 1;
    const inPixels = (boxes: Float32Array): Float32Array => boxes.map((v) => v * unit);
    // Chosen on the device, rows that are no proposals follow.
    let proposals = 0;
    const ofProposals = (rows: Tensor): Tensor => {
      const own = slice(rows, 0, proposals);
      made.push(own);
      return own;
    };
    const made: Tensor[] = [];
    const looks: { readonly [S in keyof DetectStages]: (output: DetectStages[S]) => Promise<void> } = {
      async resize({ batch, limits }) {
        const { height, width } = batch.size;
        // The fixtures have pixels, less one for those whose boxes are fractions.
        if (limits[0]!.width === 1) unit = width - 1;
        const input = tensor4d(batch.data, [1, height, width, 3]);
        await check("input", input);
        input.dispose();
      },
      stem: async () => {},
      layer1: (map) => checkMap("c2", map),
      layer2: (map) => checkMap("c3", map),
      layer3: (map) => checkMap("c4", map),
      layer4: (map) => checkMap("c5", map),
      async fpn(maps) {
        for (const [level, map] of maps) await checkMap(level, map);
      },
      async "rpn head"({ objectness, deltas }) {
        await check("objectness", objectness);
        await check("deltas", deltas);
      },
      async proposals(chosen) {
        const { boxes } = (
          chosen.boxes instanceof Float32Array ?
            chosen
          : await readRois(chosen as RoisOnDevice)) as Rois;
        proposals = boxes.length / 4;
        await expectClose(inPixels(boxes), want.proposals, { atol: 1e-3, rtol: TOLERANCE });
      },
      "box pooling": (pooled) => check("pooled", ofProposals(pooled)),
      async "box head"({ classLogits, deltas }) {
        await check("classLogits", ofProposals(classLogits));
        await check("boxDeltas", ofProposals(deltas));
      },
      selection: ([found]) =>
        expectClose(inPixels(found!.boxes), want.detections, { atol: 1e-3, rtol: TOLERANCE }),
      "mask pooling": (pooled) => check("maskPooled", pooled),
      "mask head": (logits) => check("maskLogits", logits),
      paste: async () => {},
      "keypoint pooling": (pooled) => check("keypointPooled", pooled),
      "keypoint head": (heatmaps) => check("heatmaps", heatmaps),
      keypoints: async () => {},
    };
    await observeDetect(model, [photo], async (stage, output) => {
      seen.push(stage);
      await looks[stage](output);
    });
    const { mask, keypoints } = model.config;
    expect(seen).toEqual(expect.arrayContaining(["proposals", "box head", "selection"]));
    expect([seen.includes("mask head"), seen.includes("keypoint head")]).toEqual([
      mask,
      keypoints.length > 0,
    ]);
    dispose(made);
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
