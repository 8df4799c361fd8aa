import { describe, expect, it } from "vitest";
import { pairwiseIouOnHost } from "@mrcnn/boxes";
import { ConfigError, ShapeError } from "@mrcnn/core";
import { BELOW_LOW, BETWEEN, matchBoxes, matchToGroundTruth } from "../src/index.ts";
import { anchors, expected, groundTruth, objects, seededBoxes } from "./fixture.ts";

const rpn = { high: 0.7, low: 0.3, allowLowQuality: true };

describe("matchBoxes", () => {
  it("follows a table worked by hand", () => {
    // Columns are candidates. 0.7 is positive, 0.3 is not negative; thresholds belong to the upper class.
    const iou = Float32Array.of(0.7, 0.69, 0.3, 0.29, 0, 0.1, 0.7, 0.1, 0.1, 0.28, 0, 0.4);
    const strict = matchBoxes(iou, 2, 6, { high: 0.7, low: 0.3, allowLowQuality: false });
    // Candidate 0 overlaps both objects alike: the first wins.
    expect([...strict]).toEqual([0, BETWEEN, BETWEEN, BELOW_LOW, BELOW_LOW, BETWEEN]);
  });

  it("gives an object without a good candidate all of its best ones, each matched to its own best object", () => {
    // Object 1's best is 0.5, reached by candidates 1 and 2; candidate 1 overlaps object 0 even more.
    const iou = Float32Array.of(0.8, 0.6, 0.1, 0.2, 0.0, 0.5, 0.5, 0.2);
    expect([...matchBoxes(iou, 2, 4, rpn)]).toEqual([0, 0, 1, BELOW_LOW]);
  });

  it("finds everything negative without objects", () => {
    expect([...matchBoxes(new Float32Array(0), 0, 3, rpn)]).toEqual([BELOW_LOW, BELOW_LOW, BELOW_LOW]);
    expect(matchBoxes(new Float32Array(0), 2, 0, rpn)).toHaveLength(0);
  });

  it("says what is wrong", () => {
    expect(() => matchBoxes(new Float32Array(5), 2, 3, rpn)).toThrow(ShapeError);
    expect(() => matchBoxes(new Float32Array(6), 2, 3, { ...rpn, low: 0.8 })).toThrow(ConfigError);
    expect(() => matchBoxes(new Float32Array(6), 2, 3, { ...rpn, low: 0.8 })).toThrow(/low must be at most/);
  });
});

describe("matchToGroundTruth", () => {
  it.each(Object.keys(expected).filter((name) => name !== "empty"))(
    "equals torchvision's Matcher: %s",
    (name) => {
      const gt = groundTruth(name);
      expect([...matchToGroundTruth(anchors, gt, rpn)]).toEqual(expected[name]!.anchorMatches);
      const proposals = seededBoxes(`${name}.proposals`, 60);
      const candidates = Float32Array.of(...proposals, ...gt.boxes);
      for (const low of [0.5, 0.2] as const) {
        const matches = matchToGroundTruth(candidates, gt, { high: 0.5, low, allowLowQuality: false });
        expect([...matches]).toEqual(expected[name]![`rois${low}`].matches);
      }
    },
  );

  it.each([
    ["anchors, row by row", anchors],
    ["scattered boxes", seededBoxes("scattered", 1000)],
  ])("equals matchBoxes on the whole matrix: %s", (_, boxes) => {
    const gt = groundTruth("crowded");
    const whole = matchBoxes(pairwiseIouOnHost(gt.boxes, boxes), 40, boxes.length / 4, rpn);
    expect([...matchToGroundTruth(boxes, gt, rpn)]).toEqual([...whole]);
  });

  it("leaves crowd objects out, and numbers the others as the ground truth does", () => {
    const two = Float32Array.of(0, 0, 20, 20, 40, 20, 60, 40);
    const gt = objects(two, { crowd: [0] });
    const matches = matchToGroundTruth(two, gt, { high: 0.5, low: 0.5, allowLowQuality: false });
    expect([...matches]).toEqual([BELOW_LOW, 1]);
  });
});
