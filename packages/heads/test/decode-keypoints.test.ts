import { describe, expect, it } from "vitest";
import { ShapeError } from "@mrcnn/core";
import { decodeKeypoints } from "../src/index.ts";
import { cases, expectNear } from "./keypoint-cases.ts";
import { seededHeatmaps } from "./seeded-heatmaps.ts";

describe("decodeKeypoints", () => {
  it.each(Object.keys(cases))("equals torchvision's and detectron2's heatmaps_to_keypoints: %s", (name) => {
    const { side, keypoints, boxes, ...want } = cases[name]!;
    const maps = seededHeatmaps(name, boxes.length, side, keypoints);
    const flat = Float32Array.from(boxes.flat());
    const found = decodeKeypoints(maps, flat, { side, keypoints });
    expect(found.count).toBe(keypoints);
    expectNear(found.points, want.points.flat(2), 1e-4);
    expectNear(found.scores, want.scores.flat(), 1e-5);
    const theirs = decodeKeypoints(maps, flat, { side, keypoints, rule: "detectron2" });
    expectNear(
      theirs.points,
      want.detectron2.points.flatMap((roi) => roi.flatMap(([x, y]) => [x!, y!, 1])),
      1e-4,
    );
    expectNear(theirs.scores, want.detectron2.scores.flat(), 1e-6);
  });

  it("takes the first pixel of a flat map", () => {
    const { points, scores } = decodeKeypoints(
      new Float32Array(16).fill(2),
      Float32Array.of(10, 20, 18, 28),
      { side: 4, keypoints: 1 },
    );
    expect([...points]).toEqual([10.5, 20.5, 1]);
    expect([...scores]).toEqual([2]);
  });

  it("takes no RoIs at all, and says what disagrees", () => {
    expect(
      decodeKeypoints(new Float32Array(0), new Float32Array(0), { side: 56, keypoints: 17 }).points,
    ).toHaveLength(0);
    expect(() =>
      decodeKeypoints(new Float32Array(15), new Float32Array(4), { side: 4, keypoints: 1 }),
    ).toThrow(ShapeError);
  });
});
