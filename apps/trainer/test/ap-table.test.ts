import { apTable } from "../src/ap-table.ts";
import { evaluateResults, scoresOf } from "../src/evaluation.ts";
import type { CocoJson } from "@mrcnn/masks";
import { describe, expect, it } from "vitest";

const keypoints = Array.from({ length: 17 }, (_, k) => [10 + k, 20 + k, 2]).flat();
const truth: CocoJson = {
  images: [{ id: 1, width: 100, height: 100, file_name: "a.png" }],
  categories: [
    { id: 1, name: "person" },
    { id: 7, name: "a very long dog" },
  ],
  annotations: [
    { id: 1, image_id: 1, category_id: 1, bbox: [10, 20, 40, 40], area: 1600, keypoints, num_keypoints: 17 },
    { id: 2, image_id: 1, category_id: 7, bbox: [0, 0, 10, 10], area: 100 },
  ],
};
const results = [{ image_id: 1, category_id: 1, score: 0.9, bbox: [10, 20, 40, 40] as const, keypoints }];

describe("apTable", () => {
  it("prints pycocotools' twelve lines, and the categories below", () => {
    const text = apTable(scoresOf(evaluateResults(truth, results, ["bbox"], { name: "a.json" })));
    expect(text.split("\n")).toMatchObject({
      0: "bbox:",
      1: " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.500",
      2: " Average Precision  (AP) @[ IoU=0.50      | area=   all | maxDets=100 ] = 0.500",
      4: " Average Precision  (AP) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = 0.000",
      6: " Average Precision  (AP) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = -1.000",
      7: " Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=  1 ] = 0.500",
      8: " Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets= 10 ] = 0.500",
      12: " Average Recall     (AR) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = -1.000",
      14: " category         objects     AP   AP50   AP75    APs    APm    APl     AR",
      15: " person                 1  1.000  1.000  1.000      -  1.000      -  1.000",
      16: " a very long dog        1  0.000  0.000  0.000  0.000      -      -  0.000",
    });
  });

  it("prints pycocotools' ten lines of keypoints, of the categories that have some", () => {
    const lines = apTable(scoresOf(evaluateResults(truth, results, ["keypoints"], { name: "a.json" }))).split(
      "\n",
    );
    expect(lines).toHaveLength(11);
    expect(lines).toMatchObject({
      0: "keypoints:",
      1: " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets= 20 ] = 1.000",
      6: " Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets= 20 ] = 1.000",
      8: " Average Recall     (AR) @[ IoU=0.75      | area=   all | maxDets= 20 ] = 1.000",
    });
  });

  it("names another limit", () => {
    expect(
      apTable(scoresOf(evaluateResults(truth, results, ["bbox"], { name: "a.json", maxDetections: 300 })), {
        maxDetections: 300,
      }),
    ).toContain("maxDets=300 ] = 0.500");
  });
});
