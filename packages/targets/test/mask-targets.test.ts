import { describe, expect, it } from "vitest";
import { createRandom, ShapeError } from "@mrcnn/core";
import { expectClose } from "@mrcnn/testing";
import { maskTargets, roiTargets } from "../src/index.ts";
import { bitmaps, expected, groundTruth, seededBoxes } from "./fixture.ts";

const everything = { high: 0.5, low: 0.5, batchSize: 1e6, positiveFraction: 0.5 };

describe("maskTargets", () => {
  const proposals = { boxes: seededBoxes("random.proposals", 60), imageIndex: new Int32Array(60).fill(1) };
  const gt = { ...groundTruth("random"), masks: bitmaps(6) };
  const images = [groundTruth("empty"), gt];

  it("equals torchvision's project_masks_on_boxes", async () => {
    const targets = roiTargets(proposals, images, everything, createRandom(1));
    await expectClose(maskTargets(targets, images, 5), expected.random!["rois0.5"].masks!, { atol: 1e-5 });
  });

  it("is empty without positives", () => {
    const targets = roiTargets(
      proposals,
      [groundTruth("empty"), groundTruth("empty")],
      everything,
      createRandom(1),
    );
    expect(maskTargets(targets, [groundTruth("empty"), groundTruth("empty")], 28)).toHaveLength(0);
  });

  it("names the image and the object whose mask is missing", () => {
    const boxesOnly = [groundTruth("empty"), groundTruth("random")];
    const targets = roiTargets(proposals, boxesOnly, everything, createRandom(1));
    expect(() => maskTargets(targets, boxesOnly, 28)).toThrow(ShapeError);
    expect(() => maskTargets(targets, boxesOnly, 28)).toThrow(
      /groundTruth\[1\]\.masks must hold a mask of object \d, got 0 masks/,
    );
  });
});
