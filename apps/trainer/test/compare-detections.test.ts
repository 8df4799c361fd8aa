import type { Detections } from "@mrcnn/core";
import { bitmapFromFull, encodeRle } from "@mrcnn/masks";
import { describe, expect, it } from "vitest";
import { compareDetections } from "../src/compare-detections.ts";

const imageSize = { height: 10, width: 40 };
/** A mask of columns `from` to `to`. */
const columns = (from: number, to: number): NonNullable<Detections["masks"]>[number] =>
  encodeRle(
    bitmapFromFull(
      Array.from({ length: 400 }, (_, i) => Number(i % 40 >= from && i % 40 < to)),
      imageSize,
    ),
  );
const found = (
  boxes: number[],
  labels: number[],
  scores: number[],
  extra: Partial<Detections> = {},
): Detections => ({
  imageSize,
  boxes: Float32Array.from(boxes),
  labels: Int32Array.from(labels),
  scores: Float32Array.from(scores),
  ...extra,
});

describe("compareDetections", () => {
  it("pairs objects of one class by their boxes, whatever their order", () => {
    const before = found([0, 0, 10, 10, 20, 0, 30, 10, 30, 0, 40, 10], [1, 2, 3], [0.875, 0.75, 0.5]);
    const after = found([20, 0, 30, 11, 0.5, 0, 10, 10, 30, 0, 40, 10], [2, 1, 1], [0.75, 0.625, 0.5]);
    // Boxes differ by 1 and by 0.5 (the middle of two is the larger), scores by 0 and by 0.25; the third is of another class.
    expect(compareDetections(before, after)).toEqual({
      before: 3,
      after: 3,
      same: 2,
      boxes: { max: 1, median: 1 },
      scores: { max: 0.25, median: 0.25 },
    });
  });
  it("pairs each object once, the best overlap first", () => {
    const before = found([0, 0, 10, 10, 0, 0, 10, 9], [1, 1], [0.9, 0.8]);
    const after = found([0, 0, 10, 9, 0, 0, 10, 10], [1, 1], [0.9, 0.8]);
    expect(compareDetections(before, after)).toMatchObject({ same: 2, boxes: { max: 0, median: 0 } });
    expect(compareDetections(before, found([0, 0, 10, 10], [1], [0.9]))).toMatchObject({
      before: 2,
      after: 1,
      same: 1,
    });
    expect(compareDetections(found([0, 0, 10, 10], [1], [1]), found([6, 0, 16, 10], [1], [1]))).toEqual({
      before: 1,
      after: 1,
      same: 0,
    });
  });
  it("compares masks and keypoints", () => {
    const keypoints = (x: number): NonNullable<Detections["keypoints"]> => ({
      count: 2,
      points: Float32Array.of(1, 2, 1, x, 4, 1),
      scores: Float32Array.of(1, 1),
    });
    const before = found([0, 0, 10, 10], [1], [1], { masks: [columns(0, 10)], keypoints: keypoints(3) });
    const after = found([0, 0, 10, 10], [1], [1], { masks: [columns(0, 8)], keypoints: keypoints(3.5) });
    const { masks, keypoints: moved } = compareDetections(before, after);
    expect(masks!.max).toBeCloseTo(0.2, 14);
    expect(moved).toEqual({ max: 0.5, median: 0.5 });
    const empty = { masks: [columns(0, 0)] };
    expect(
      compareDetections(found([0, 0, 10, 10], [1], [1], empty), found([0, 0, 10, 10], [1], [1], empty)).masks,
    ).toEqual({ max: 0, median: 0 });
  });
  it("takes images without objects", () => {
    expect(compareDetections(found([], [], []), found([], [], []))).toEqual({ before: 0, after: 0, same: 0 });
  });
});
