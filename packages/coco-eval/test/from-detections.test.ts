import { toCocoDetections, toCocoGroundTruth, toCocoResults } from "../src/index.ts";
import { bitmapFromFull, encodeRle, segmentationToRle } from "@mrcnn/masks";
import { describe, expect, it } from "vitest";

const imageSize = { height: 2, width: 3 };
const bitmap = bitmapFromFull([1, 1, 0, 1, 0, 0], imageSize);
const rle = encodeRle(bitmap);
const categoryIds = [0, 18, 44];
const detections = {
  imageSize,
  boxes: Float32Array.of(0, 0, 2, 1.5),
  labels: Int32Array.of(2),
  scores: Float32Array.of(0.75),
  masks: [rle],
};

describe("from detections", () => {
  it("turns corners into widths and labels into category ids", () => {
    expect(toCocoDetections(detections, categoryIds)).toEqual([
      { categoryId: 44, score: 0.75, bbox: [0, 0, 2, 1.5], mask: rle },
    ]);
    const { masks: _, ...boxesOnly } = detections;
    expect(toCocoDetections(boxesOnly, categoryIds)).toEqual([
      { categoryId: 44, score: 0.75, bbox: [0, 0, 2, 1.5] },
    ]);
  });

  it("gives objects the area of their mask, or of their box without one", () => {
    const groundTruth = {
      boxes: detections.boxes,
      labels: Int32Array.of(1),
      isCrowd: Uint8Array.of(1),
      masks: [bitmap],
    };
    expect(toCocoGroundTruth(groundTruth, categoryIds)).toEqual([
      { categoryId: 18, bbox: [0, 0, 2, 1.5], mask: rle, area: 3, isCrowd: true },
    ]);
    expect(toCocoGroundTruth({ ...groundTruth, masks: [] }, categoryIds)).toEqual([
      { categoryId: 18, bbox: [0, 0, 2, 1.5], isCrowd: true },
    ]);
  });

  it("writes entries of a results file that read back", () => {
    const [entry] = JSON.parse(JSON.stringify(toCocoResults(7, detections, categoryIds)));
    expect(entry).toMatchObject({ image_id: 7, category_id: 44, score: 0.75, bbox: [0, 0, 2, 1.5] });
    expect(segmentationToRle(entry.segmentation, imageSize)).toEqual(rle);
  });

  it("writes each detection's own keypoints, and their scores", () => {
    const two = {
      imageSize,
      boxes: new Float32Array(8),
      labels: Int32Array.of(1, 2),
      scores: Float32Array.of(0.75, 0.5),
    };
    const keypoints = {
      count: 2,
      points: Float32Array.of(1, 2, 1, 3, 4, 1, 5, 6, 1, 7, 8.5, 0),
      scores: Float32Array.of(0.25, -1, 12, 3),
    };
    const entries = JSON.parse(JSON.stringify(toCocoResults(7, { ...two, keypoints }, categoryIds)));
    expect(entries).toMatchObject([
      { category_id: 18, keypoints: [1, 2, 1, 3, 4, 1], keypoint_scores: [0.25, -1] },
      { category_id: 44, keypoints: [5, 6, 1, 7, 8.5, 0], keypoint_scores: [12, 3] },
    ]);
    expect(toCocoResults(7, two, categoryIds)[0]).not.toHaveProperty("keypoints");
    const none = {
      ...two,
      boxes: new Float32Array(0),
      labels: new Int32Array(0),
      scores: new Float32Array(0),
    };
    expect(
      toCocoResults(
        7,
        { ...none, keypoints: { count: 17, points: new Float32Array(0), scores: new Float32Array(0) } },
        categoryIds,
      ),
    ).toEqual([]);
    expect(() => toCocoResults(7, { ...two, keypoints: { ...keypoints, count: 3 } }, categoryIds)).toThrow(
      "toCocoResults: keypoints.points must hold 18 values",
    );
  });
});
