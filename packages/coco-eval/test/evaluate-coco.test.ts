import { evaluateCoco } from "../src/index.ts";
import type { CocoJson, CocoResult } from "@mrcnn/masks";
import { isMrcnnError } from "@mrcnn/core";
import { golden } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";

interface Golden {
  maxDetections: number[];
  groundTruth: CocoJson;
  results: Record<"bbox" | "segm", CocoResult[]>;
  stats: Record<"bbox" | "segm", Record<string, number>>;
}
const kinds = ["bbox", "segm"] as const;
const sets = ["crowds", "ties", "empty", "many", "many-400", "areas", "polygons"];

describe("evaluateCoco", () => {
  it.each(sets.flatMap((set) => kinds.map((iouType) => ({ set, iouType }))))(
    "equals pycocotools: $set by $iouType",
    ({ set, iouType }) => {
      const { groundTruth, results, stats, maxDetections } = golden<Golden>(import.meta.url, set);
      const got = evaluateCoco(groundTruth, results[iouType], { iouType, maxDetections }).stats;
      expect(Object.keys(got)).toEqual(Object.keys(stats[iouType]));
      for (const [name, value] of Object.entries(stats[iouType])) {
        expect(
          Math.abs(got[name]! - value),
          `${name}: got ${got[name]}, expected ${value}`,
        ).toBeLessThanOrEqual(1e-12);
      }
    },
  );

  const image = { id: 1, width: 20, height: 10, file_name: "a.png" };
  const truth = (): CocoJson => ({
    images: [image],
    categories: [{ id: 2, name: "dog" }],
    annotations: [
      {
        id: 7,
        image_id: 1,
        category_id: 2,
        bbox: [0, 0, 10, 10],
        area: 100,
        segmentation: [[0, 0, 10, 0, 10, 10, 0, 10]],
      },
      { id: 8, image_id: 1, category_id: 2, bbox: [10, 0, 10, 10] },
    ],
  });
  const found = (extra: Partial<CocoResult> = {}): CocoResult => ({
    image_id: 1,
    category_id: 2,
    score: 0.9,
    bbox: [0, 0, 10, 10],
    ...extra,
  });

  it("counts by hand: one of two objects found", () => {
    // Recall 0.5 at precision 1: precision is 1 at recalls 0 to 0.5 (51 of the 101), 0 above.
    const { stats, perCategory, precisionRecall } = evaluateCoco(truth(), [found()], { iouType: "bbox" });
    expect(stats.AP).toBeCloseTo(51 / 101, 14);
    expect(stats).toMatchObject({ AR1: 0.5, AR100: 0.5, APm: -1, APl: -1, ARs: 0.5 });
    expect(perCategory).toMatchObject([{ id: 2, name: "dog", AR: 0.5, instances: 2 }]);
    expect(perCategory[0]!.AP).toBeCloseTo(51 / 101, 14);
    expect(precisionRecall.recall).toHaveLength(101);
    expect(precisionRecall.curves.map((c) => c.iouThreshold)).toHaveLength(10);
    expect(precisionRecall.curves[0]!.precision[50]).toBeCloseTo(1, 14);
    expect(precisionRecall.curves[0]!.precision[51]).toBe(0);
  });

  it("is 0 without detections and -1 without objects", () => {
    expect(evaluateCoco(truth(), [], { iouType: "bbox" }).stats).toMatchObject({ AP: 0, AR100: 0, APl: -1 });
    const bare = { ...truth(), annotations: [] };
    expect(Object.values(evaluateCoco(bare, [found()], { iouType: "bbox" }).stats)).toEqual(
      Array(12).fill(-1),
    );
  });

  it("takes boxes from masks, and either size as pycocotools does", () => {
    // A mask of 10 x 10 that says its box is 100 x 100: the box gives the size, so it is no small detection.
    const counts = [0, 100, 100];
    const mask: CocoResult = {
      image_id: 1,
      category_id: 2,
      score: 0.9,
      segmentation: { size: [10, 20], counts },
    };
    expect(evaluateCoco(truth(), [mask], { iouType: "bbox" }).stats.AR1).toBe(0.5);
    const one = { ...truth(), annotations: truth().annotations.slice(0, 1) };
    const beside = { ...mask, segmentation: { size: [10, 20] as const, counts: [100, 100] } };
    expect(evaluateCoco(one, [beside, { ...mask, score: 0.5 }], { iouType: "segm" }).stats.APs).toBeCloseTo(
      0.5,
      14,
    );
    const sized = { ...mask, score: 0.5, bbox: [0, 0, 10, 10] as const };
    expect(
      evaluateCoco(one, [{ ...beside, bbox: [0, 0, 100, 100] }, sized], { iouType: "segm" }).stats.APs,
    ).toBeCloseTo(1, 14);
  });

  it("refuses results of which some have boxes only when the first has one", () => {
    const mask: CocoResult = {
      image_id: 1,
      category_id: 2,
      score: 0.9,
      segmentation: { size: [10, 20], counts: [0, 100, 100] },
    };
    expect(() => evaluateCoco(truth(), [found(), mask], { iouType: "bbox" })).toThrow(
      "results[1]: must have a bbox, as the first entry has",
    );
    expect(
      evaluateCoco(truth(), [mask, { ...mask, bbox: [0, 0, 100, 100] }], { iouType: "bbox" }).stats.AR1,
    ).toBe(0.5);
  });

  it.each<
    [string, Partial<CocoResult> | undefined, ((json: CocoJson) => unknown) | undefined, "bbox" | "segm"]
  >([
    [
      "results[1]: image_id must be the id of an image of the ground truth, got 3",
      { image_id: 3 },
      undefined,
      "bbox",
    ],
    [
      "results[1]: category_id must be the id of a category of the ground truth, got 1",
      { category_id: 1 },
      undefined,
      "bbox",
    ],
    ["results[1]: score must be a finite number, got NaN", { score: NaN }, undefined, "bbox"],
    [
      "results[1]: bbox must be [x, y, width, height] with sizes >= 0, got [0,0,-1,4]",
      { bbox: [0, 0, -1, 4] },
      undefined,
      "bbox",
    ],
    [
      "results[1]: keypoints must be (x, y, visibility) of each keypoint, flat, got [1,2]",
      { keypoints: [1, 2] },
      undefined,
      "bbox",
    ],
    [
      "results[1]: keypoints must be (x, y, visibility) of each keypoint, flat, got [1,2,NaN]",
      { keypoints: [1, 2, NaN] },
      undefined,
      "bbox",
    ],
    [
      "results[1]: keypoint_scores must hold a number for each keypoint, got [1] for 2 of them",
      { keypoints: [1, 2, 1, 3, 4, 1], keypoint_scores: [1] },
      undefined,
      "bbox",
    ],
    [
      "results[1]: keypoint_scores must hold a number for each keypoint, got [1] for 0 of them",
      { keypoint_scores: [1] },
      undefined,
      "bbox",
    ],
    ["results[1]: must have a segmentation to be evaluated", {}, undefined, "segm"],
    [
      "results[1]: counts must add up",
      { segmentation: { size: [10, 20], counts: [0, 99] } },
      undefined,
      "segm",
    ],
    [
      "results[1]: segmentation must be of the image's size 10 x 20",
      { segmentation: { size: [20, 10], counts: [200] } },
      undefined,
      "segm",
    ],
    [
      "groundTruth: annotations[1]: id 7 is used twice",
      undefined,
      (j) => Object.assign(j.annotations[1]!, { id: 7 }),
      "bbox",
    ],
    [
      "groundTruth: annotation 8 of a.png: bbox must have a width and height of 0 or more, got [0,0,1,-1]",
      undefined,
      (j) => Object.assign(j.annotations[1]!, { bbox: [0, 0, 1, -1] }),
      "bbox",
    ],
    [
      "groundTruth: annotation 8 of a.png: has no mask (segmentation is missing, null or empty) while others have one",
      undefined,
      undefined,
      "segm",
    ],
  ])("says %s", (message, extra, change, iouType) => {
    const json = truth();
    change?.(json);
    const withMask = { segmentation: { size: [10, 20] as const, counts: [200] } };
    if (iouType === "segm" && extra !== undefined) Object.assign(json.annotations[1]!, withMask);
    let error: unknown;
    try {
      evaluateCoco(
        json,
        [found(iouType === "segm" ? withMask : {}), ...(extra === undefined ? [] : [found(extra)])],
        { iouType },
      );
    } catch (thrown) {
      error = thrown;
    }
    expect(isMrcnnError(error, "dataset")).toBe(true);
    expect(String(error)).toContain(`evaluateCoco: ${message}`);
  });
});
