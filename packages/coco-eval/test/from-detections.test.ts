import { toCocoDetections, toCocoGroundTruth, toCocoResults } from "../src/index.ts";
import { bitmapFromFull, encodeRle, segmentationToRle } from "@mrcnn/masks";
import { describe, expect, it } from "vitest";

const imageSize = { height: 2, width: 3 };
const bitmap = bitmapFromFull([1, 1, 0, 1, 0, 0], imageSize);
const rle = encodeRle(bitmap);
const categoryIds = [0, 18, 44];
const detections = { imageSize, boxes: Float32Array.of(0, 0, 2, 1.5), labels: Int32Array.of(2), scores: Float32Array.of(0.75), masks: [rle] };

describe("from detections", () => {
  it("turns corners into widths and labels into category ids", () => {
    expect(toCocoDetections(detections, categoryIds)).toEqual([{ categoryId: 44, score: 0.75, bbox: [0, 0, 2, 1.5], mask: rle }]);
    const { masks: _, ...boxesOnly } = detections;
    expect(toCocoDetections(boxesOnly, categoryIds)).toEqual([{ categoryId: 44, score: 0.75, bbox: [0, 0, 2, 1.5] }]);
  });

  it("gives objects the area of their mask, or of their box without one", () => {
    const groundTruth = { boxes: detections.boxes, labels: Int32Array.of(1), isCrowd: Uint8Array.of(1), masks: [bitmap] };
    expect(toCocoGroundTruth(groundTruth, categoryIds)).toEqual([{ categoryId: 18, bbox: [0, 0, 2, 1.5], mask: rle, area: 3, isCrowd: true }]);
    expect(toCocoGroundTruth({ ...groundTruth, masks: [] }, categoryIds)).toEqual([{ categoryId: 18, bbox: [0, 0, 2, 1.5], isCrowd: true }]);
  });

  it("writes entries of a results file that read back", () => {
    const [entry] = JSON.parse(JSON.stringify(toCocoResults(7, detections, categoryIds)));
    expect(entry).toMatchObject({ image_id: 7, category_id: 44, score: 0.75, bbox: [0, 0, 2, 1.5] });
    expect(segmentationToRle(entry.segmentation, imageSize)).toEqual(rle);
  });
});
