import type { CocoCategoryStats, CocoEvaluation, CocoStats, ErrorBreakdown } from "@mrcnn/coco-eval";
import type { CocoId, Detections } from "@mrcnn/core";
import { cocoDataset } from "@mrcnn/datasets";
import { evaluateResults } from "../src/evaluation.ts";
import { evaluationReport } from "../src/evaluation-report.ts";
import { segmentationToRle } from "@mrcnn/masks";
import type { CocoJson, CocoResult } from "@mrcnn/masks";
import { reportHtml } from "@mrcnn/visualize";
import type { Report } from "@mrcnn/visualize";
import { describe, expect, it } from "vitest";
import { drawPair, reportImage } from "../src/overlay.ts";
import { picturesOf, piecesOf } from "./pages.ts";

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

describe("the page of an evaluation", () => {
  const images = Array.from({ length: 12 }, (_, i) => image(i + 1, `${i + 1}.png`));
  const dataset = cocoDataset(
    { ...truth, images, annotations: images.map(({ id }) => object(id, id, id % 2 === 0 ? 3 : 9, 5)) },
    (name) =>
      Promise.resolve({
        width: 60,
        height: 40,
        data: new Uint8Array(60 * 40 * 3).fill(Number.parseInt(name)),
      }),
  );
  const score = (name: string, instances: number, AP: number): CocoCategoryStats => ({
    id: 1,
    name,
    instances,
    AP,
    AP50: AP / 2,
    AP75: AP / 4,
    APs: -1,
    APm: 0,
    APl: 0.25,
    AR: 0.125,
  });
  const perCategory = [score("<cat>", 3, 0.75), score("nowhere", 0, -1), score("dog", 1, 0.5)];
  const overlaps = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95];
  const precisionRecall = {
    recall: [0, 0.5, 1],
    curves: overlaps.map((iouThreshold) => ({ iouThreshold, precision: [1, iouThreshold, -1] })),
  };
  const noErrors: ErrorBreakdown["kinds"] = {
    class: { count: 1, costs: 0.125 },
    localization: { count: 2, costs: 0.25 },
    both: { count: 3, costs: 0 },
    duplicate: { count: 4, costs: 0.5 },
    background: { count: 5, costs: 0.0625 },
    missed: { count: 6, costs: 0.375 },
  };
  // The first costs most.
  const errorRows = [
    ["duplicate", "on an object that is found already", 4, 0.5],
    ["missed", "object that is not found", 6, 0.375],
    ["localization", "overlaps its object too little", 2, 0.25],
    ["class", "on an object of another class", 1, 0.125],
    ["background", "on no object", 5, 0.0625],
    ["both", "overlaps an object of another class, and too little", 3, 0],
  ];
  const evaluation = (stats: object, weights: readonly number[] = []): CocoEvaluation => ({
    stats: stats as CocoStats,
    perCategory,
    precisionRecall,
    accumulated: {} as CocoEvaluation["accumulated"],
    errors: () => ({
      kinds: noErrors,
      images: weights.map((weight, i) => ({ imageId: i + 1, missed: 1, wrong: i, weight })),
    }),
  });
  const pageOf = (
    evaluations: Record<string, CocoEvaluation>,
    results: readonly CocoResult[] = [],
  ): Promise<string> =>
    evaluationReport({
      subtitle: "a on <b>",
      evaluations,
      dataset,
      resultsOf: async (ids) => results.filter(({ image_id }) => ids.has(image_id)),
    });
  const curve = (name: string, measure: string) => ({
    title: `Precision over recall, ${name}`,
    xLabel: "recall",
    yLabel: "precision, mean of the classes",
    showLast: false,
    series: [0.5, 0.6, 0.7, 0.75, 0.8, 0.9].map((at) => ({
      name: `${measure} ${at.toFixed(2)}`,
      x: [0, 0.5, 1],
      y: [1, at, NaN],
    })),
  });
  const errors = (name: string) => ({
    title: `Errors at overlap 0.5, ${name}, and by how much AP50 would rise without them`,
    columns: ["kind", "", "count", "AP50 lost"],
    rows: errorRows,
  });
  const classes = (name: string) => ({
    title: `By class and size, ${name}, the worst first`,
    columns: ["class", "objects", "AP", "AP50", "AP75", "small", "medium", "large", "AR"],
    rows: [
      ["dog", 1, 0.5, 0.25, 0.125, null, 0, 0.25, 0.125],
      ["<cat>", 3, 0.75, 0.375, 0.1875, null, 0, 0.25, 0.125],
    ],
  });
  const notes = [
    "AP is the mean over overlaps 0.50 to 0.95, AP50 at 0.50. Objects are small up to 32² pixels, medium up to 96², large above. A dash: there are no such objects.",
    "Kinds of errors are TIDE's (Bolya et al., 2020), at overlap 0.5 and among an image's best 100 detections; what overlaps no object by more than 0.1 is background.",
  ];
  const examplesNote =
    "Examples are the images with the highest sum of objects that are not found and scores of wrong detections; shown are detections scored 0.5 or more.";

  /** The picture of image `id`, with what was found on it. */
  async function picture(
    id: number,
    found: Partial<Detections>,
  ): Promise<NonNullable<Report["images"]>[number]> {
    const sample = await dataset.get(id - 1);
    const detections: Detections = {
      imageSize: { height: 40, width: 60 },
      boxes: new Float32Array(),
      labels: new Int32Array(),
      scores: new Float32Array(),
      ...found,
    };
    return reportImage(
      drawPair(sample.image, detections, sample.groundTruth, dataset.categories, 0.5),
      `${id}.png: 1 of 1 objects not found, ${id - 1} detections wrong. Found (left), annotated (right)`,
    );
  }

  it("has numbers, curves, kinds of errors and classes of each type, each sorted by what hurts most", async () => {
    const page = await pageOf({
      bbox: evaluation({ AP: 0.5, AP50: 0.75, APs: -1 }),
      segm: evaluation({ AP: -1, AP50: 0.25, APs: 0.125 }),
      keypoints: evaluation({ AP: 0, AP50: 1, AR: 0.5 }),
    });
    const expected: Report = {
      title: "Evaluation",
      subtitle: "a on <b>",
      summary: [
        { label: "box AP", value: "0.500" },
        { label: "box AP50", value: "0.750" },
        { label: "mask AP", value: "–" },
        { label: "mask AP50", value: "0.250" },
        { label: "keypoint AP", value: "0.000" },
        { label: "keypoint AP50", value: "1.000" },
      ],
      curves: [curve("box", "IoU"), curve("mask", "IoU"), curve("keypoint", "OKS")],
      tables: [
        {
          title: "COCO's numbers",
          columns: ["", "AP", "AP50", "APs", "AR"],
          rows: [
            ["box", 0.5, 0.75, null, null],
            ["mask", null, 0.25, 0.125, null],
            ["keypoint", 0, 1, null, 0.5],
          ],
        },
        errors("box"),
        errors("mask"),
        classes("box"),
        classes("mask"),
        classes("keypoint"),
      ],
      notes,
    };
    expect(piecesOf(page)).toEqual(piecesOf(reportHtml(expected)));
  });

  const numbers = { AP: 0.5, AP50: 0.5 };
  const pictured = (page: string): (string | undefined)[] =>
    [...page.matchAll(/<figcaption>(\d+)\.png: /g)].map(([, id]) => id);

  it("shows the eight images with the most errors, by masks rather than boxes, none without any", async () => {
    const weights = [3, 0, 12, 5, 6, 0, 7, 8, 9, 10, 11, 4];
    const page = await pageOf({
      bbox: evaluation(numbers, [1]),
      segm: evaluation(numbers, weights),
      keypoints: evaluation(numbers, [1]),
    });
    expect(pictured(page)).toEqual(["3", "11", "10", "9", "8", "7", "5", "4"]);
    expect(page).toContain(`<p>${examplesNote}</p>`);
    expect(pictured(await pageOf({ segm: evaluation(numbers, [0, 0.5, 0]) }))).toEqual(["2"]);
  });

  it("draws each image's own detections, the best first, with their classes", async () => {
    const detection = (image_id: number, category_id: number, score: number, x: number): CocoResult => ({
      image_id,
      category_id,
      score,
      bbox: [x, 4, 20, 10],
    });
    const page = await pageOf({ bbox: evaluation(numbers, [1, 2]) }, [
      detection(1, 3, 0.6, 30),
      detection(2, 9, 0.7, 2),
      detection(1, 9, 0.9, 8),
      detection(1, 12, 0.3, 1),
    ]);
    const pictures = [
      await picture(2, {
        boxes: Float32Array.of(2, 4, 22, 14),
        labels: Int32Array.of(2),
        scores: Float32Array.of(0.7),
      }),
      await picture(1, {
        boxes: Float32Array.of(8, 4, 28, 14, 30, 4, 50, 14),
        labels: Int32Array.of(2, 1),
        scores: Float32Array.of(0.9, 0.6),
      }),
    ];
    expect(picturesOf(page)).toEqual(picturesOf(reportHtml({ title: "", images: pictures })));
  });

  it("draws masks, of results without boxes too, where all have them", async () => {
    const polygon = [[8, 4, 28, 4, 28, 14, 8, 14]];
    const mask = segmentationToRle(polygon, { height: 40, width: 60 });
    const masked = { image_id: 1, category_id: 3, score: 0.9, segmentation: polygon };
    const of = async (...results: CocoResult[]): Promise<string[]> =>
      picturesOf(await pageOf({ segm: evaluation(numbers, [1]) }, results));
    const figure = async (found: Partial<Detections>): Promise<string[]> =>
      picturesOf(reportHtml({ title: "", images: [await picture(1, found)] }));
    const boxed = {
      boxes: Float32Array.of(8, 4, 28, 14),
      labels: Int32Array.of(1),
      scores: Float32Array.of(0.9),
    };
    const expected = await figure({ ...boxed, masks: [mask] });
    expect(expected).not.toEqual(await figure(boxed));
    expect(await of({ ...masked, bbox: [8, 4, 20, 10] })).toEqual(expected);
    expect(await of(masked)).toEqual(expected);
    expect(
      await of(
        { ...masked, bbox: [8, 4, 20, 10] },
        { image_id: 1, category_id: 9, score: 0.1, bbox: [1, 1, 2, 2] },
      ),
    ).toEqual(await figure(boxed));
  });
});
