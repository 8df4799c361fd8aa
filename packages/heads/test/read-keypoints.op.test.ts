import { dispose, fill, tensor4d } from "@tensorflow/tfjs-core";
import type { Tensor4D } from "@tensorflow/tfjs-core";
import { ShapeError } from "@mrcnn/core";
import { expectNoLeaks, seededUniform } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";
import { decodeKeypoints, readKeypoints } from "../src/index.ts";
import { cases, expectNear } from "./keypoint-cases.ts";
import { seededHeatmaps } from "./seeded-heatmaps.ts";

describe("readKeypoints", () => {
  it.each(Object.keys(cases))(
    "equals torchvision's and detectron2's heatmaps_to_keypoints: %s",
    async (name) => {
      const { side, keypoints, boxes, ...want } = cases[name]!;
      const maps = tensor4d(seededHeatmaps(name, boxes.length, side, keypoints), [
        boxes.length,
        side,
        side,
        keypoints,
      ]);
      const flat = Float32Array.from(boxes.flat());
      const found = await readKeypoints(maps, flat);
      expect(found.count).toBe(keypoints);
      expectNear(found.points, want.points.flat(2), 1e-4);
      expectNear(found.scores, want.scores.flat(), 1e-5);
      const theirs = await readKeypoints(maps, flat, { rule: "detectron2" });
      expectNear(
        theirs.points,
        want.detectron2.points.flatMap((roi) => roi.flatMap(([x, y]) => [x!, y!, 1])),
        1e-4,
      );
      expectNear(theirs.scores, want.detectron2.scores.flat(), 1e-6);
      await expectNoLeaks(() => readKeypoints(maps, flat) as never);
      maps.dispose();
    },
  );

  it("finds what the host finds, in boxes of a pixel and of hundreds, at the maps' edges too", async () => {
    const [side, keypoints, rois] = [56, 3, 12];
    const sizes = seededUniform("sizes", 2 * rois).map((u, i) => (i < 4 ? 0.4 : 1 + 300 * u ** 3));
    const boxes = Float32Array.from({ length: 4 * rois }, (_, i) =>
      i % 4 < 2 ? 5.25 * i : 5.25 * (i - 2) + sizes[2 * Math.trunc(i / 4) + (i % 2)]!,
    );
    const values = seededHeatmaps("edges", rois, side, keypoints);
    // The best lie in corners and along edges.
    for (const [roi, at] of [0, 55, 55 * 56, 56 * 56 - 1, 30, 30 * 56].entries())
      values[(roi * side * side + at) * keypoints] = 9;
    const maps = tensor4d(values, [rois, side, side, keypoints]);
    for (const rule of ["torchvision", "detectron2"] as const) {
      const wanted = decodeKeypoints(values, boxes, { side, keypoints, rule });
      const found = await readKeypoints(maps, boxes, { rule });
      expectNear(found.points, [...wanted.points], 0);
      expectNear(found.scores, [...wanted.scores], 1e-5);
    }
    maps.dispose();
  });

  it("takes the first pixel of a flat map", async () => {
    const maps = fill([1, 4, 4, 1], 2) as Tensor4D;
    const { points, scores } = await readKeypoints(maps, Float32Array.of(10, 20, 14, 24));
    expect([...points]).toEqual([10.5, 20.5, 1]);
    expect([...scores]).toEqual([2]);
    maps.dispose();
  });

  it("takes no RoIs at all, and says what disagrees", async () => {
    const [none, one] = [fill([0, 4, 4, 1], 0), fill([1, 4, 4, 1], 0)] as [Tensor4D, Tensor4D];
    expect((await readKeypoints(none, new Float32Array(0))).points).toHaveLength(0);
    await expect(readKeypoints(one, new Float32Array(8))).rejects.toThrow(ShapeError);
    dispose([none, one]);
  });
});
