import type { CocoId } from "@mrcnn/core";
import { cocoDataset } from "@mrcnn/datasets";
import { evaluateResults } from "../src/evaluation.ts";
import { evaluationReport } from "../src/evaluation-report.ts";
import type { CocoJson, CocoResult } from "@mrcnn/masks";
import { describe, expect, it } from "vitest";

const image = (id: number, name: string) => ({ id, width: 60, height: 40, file_name: name });
const object = (id: number, image_id: number, category_id: number, x: number) => ({
  id,
  image_id,
  category_id,
  area: 100,
  bbox: [x, 5, 10, 10] as const,
  segmentation: [[x, 5, x + 10, 5, x + 10, 15, x, 15]],
});
const truth: CocoJson = {
  images: [image(1, "good.png"), image(2, "bad.png"), image(3, "worse.png")],
  categories: [
    { id: 3, name: "<cat>" },
    { id: 9, name: "dog" },
    { id: 12, name: "nowhere" },
  ],
  annotations: [object(1, 1, 3, 5), object(2, 2, 9, 5), object(3, 3, 9, 5), object(4, 3, 3, 25)],
};
const found = (of: (typeof truth.annotations)[number], category_id: number, score: number): CocoResult => ({
  image_id: of.image_id,
  category_id,
  score,
  bbox: of.bbox,
  segmentation: of.segmentation!,
});
const [first, second] = truth.annotations;
const results = [found(first!, 3, 0.9), found(second!, 3, 0.8)];

describe("evaluationReport", () => {
  it("shows curves, classes, kinds of errors, and the images with the most", async () => {
    const dataset = cocoDataset(truth, () =>
      Promise.resolve({ width: 60, height: 40, data: new Uint8Array(60 * 40 * 3) }),
    );
    const asked: CocoId[][] = [];
    const page = await evaluationReport({
      subtitle: "a.json on b.json",
      evaluations: evaluateResults(truth, results, ["bbox", "segm"], { name: "a.json" }),
      dataset,
      resultsOf: (ids) => {
        asked.push([...ids]);
        return Promise.resolve(results);
      },
    });
    // Two objects missed weigh more than one missed and a wrong detection of 0.8; the good image isn't shown.
    expect(asked).toEqual([[3, 2]]);
    expect(page.match(/<figcaption>[^<]*\.png: [^<]*/g)).toEqual([
      "<figcaption>worse.png: 2 of 2 objects not found, 0 detections wrong. Found (left), annotated (right)",
      "<figcaption>bad.png: 1 of 1 objects not found, 1 detections wrong. Found (left), annotated (right)",
    ]);
    for (const text of [
      "Precision over recall, box",
      "Precision over recall, mask",
      "IoU 0.75",
      "&lt;cat&gt;",
      "Errors at overlap 0.5, mask",
    ])
      expect(page).toContain(text);
    expect(page).toMatch(/<td>class<\/td><td>on an object of another class<\/td><td class="n">1<\/td>/);
    expect(page).toMatch(/<td>missed<\/td><td>object that is not found<\/td><td class="n">2<\/td>/);
    expect(page).not.toContain("nowhere");
  });

  it("has no pictures without images, and no kinds of errors of keypoints", async () => {
    const input = { subtitle: "s", resultsOf: () => Promise.reject(new Error("not asked")) };
    expect(
      await evaluationReport({
        ...input,
        evaluations: evaluateResults(truth, [], ["bbox"], { name: "a.json" }),
      }),
    ).not.toContain("<img");
    const keypoints = Array.from({ length: 51 }, (_, i) => (i % 3 === 2 ? 2 : i));
    const person = { ...truth, annotations: [{ ...first!, keypoints }] };
    const page = await evaluationReport({
      ...input,
      evaluations: evaluateResults(
        person,
        [{ image_id: 1, category_id: 3, score: 1, keypoints }],
        ["keypoints"],
        { name: "a.json" },
      ),
    });
    expect(page).toContain("OKS 0.75");
    expect(page).not.toContain("Errors at overlap");
  });
});
