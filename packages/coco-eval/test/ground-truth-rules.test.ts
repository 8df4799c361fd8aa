// What the ground truth may be like: where pycocotools 2.0.11 gives numbers, they are the same; where it fails, an error says why.
import type { CocoJson, CocoResult } from "@mrcnn/masks";
import { describe, expect, it } from "vitest";
import { evaluateCoco, evaluateCocoStream } from "../src/index.ts";
import type { IouType } from "../src/index.ts";

const square = (x: number, y: number, side: number): number[] => [
  x,
  y,
  x + side,
  y,
  x + side,
  y + side,
  x,
  y + side,
];
const annotation = (id: number, x: number, y: number, side: number): Record<string, unknown> => ({
  id,
  image_id: 1,
  category_id: 1,
  bbox: [x, y, side, side],
  area: side * side,
  iscrowd: 0,
  segmentation: [square(x, y, side)],
});
const truth = (...changes: Record<string, unknown>[]): CocoJson => ({
  images: [{ id: 1, width: 60, height: 40, file_name: "a.png" }],
  categories: [{ id: 1, name: "thing" }],
  annotations: [annotation(1, 4, 4, 20), annotation(2, 30, 10, 24)].map((one, i) => ({
    ...one,
    ...changes[i],
  })) as unknown as CocoJson["annotations"],
});
// The same squares one to the right and two down, drawn by pycocotools.
const results: CocoResult[] = [
  {
    image_id: 1,
    category_id: 1,
    score: 0.9,
    segmentation: { size: [40, 60], counts: "^6d0d00000000000000000000000000000000000000b[1" },
  },
  {
    image_id: 1,
    category_id: 1,
    score: 0.8,
    segmentation: { size: [40, 60], counts: "TW1h0`0000000000000000000000000000000000000000000000l5" },
  },
];
const numbers = (groundTruth: CocoJson, iouType: IouType = "segm", some = results): number[] => {
  const { stats } = evaluateCoco(groundTruth, some, { iouType });
  return [stats.AP, stats["AR100"]!];
};
const near = (got: readonly number[], wanted: readonly number[]): void =>
  wanted.forEach((value, i) => expect(Math.abs(got[i]! - value)).toBeLessThanOrEqual(1e-12));
const SOUND = [0.5252475247524753, 0.55];

describe("parts with fewer than three points", () => {
  it.each<[string, number[][], number[]]>([
    ["none", [square(4, 4, 20)], SOUND],
    ["a line", [square(4, 4, 20), [4, 4, 24, 4]], SOUND],
    ["a line across", [square(4, 4, 20), [4, 4, 24, 24], [1, 1]], SOUND],
    ["a point elsewhere", [square(4, 4, 20), [50, 30]], SOUND],
    [
      "a line between two squares",
      [square(4, 4, 10), [4, 4, 24, 24], square(14, 4, 10)],
      [0.15148514851485148, 0.3],
    ],
  ])("count for nothing, as in pycocotools: %s", (_, segmentation, wanted) =>
    near(numbers(truth({ segmentation })), wanted),
  );

  it("an object of nothing else, on which pycocotools fails, is named", () => {
    for (const segmentation of [
      [[4, 4, 24, 4]],
      [[4, 4]],
      [
        [4, 4, 12, 20],
        [16, 4],
      ],
    ]) {
      expect(() =>
        evaluateCoco(truth({ segmentation }), results, { iouType: "segm", groundTruthName: "val.json" }),
      ).toThrow(
        "val.json: annotation 1 of a.png: has no part with three points or more, so its mask has no area.",
      );
    }
  });
});

describe("what is not compared", () => {
  it("may be missing: boxes by masks, masks by boxes, sizes and names by boxes", () => {
    near(numbers(truth({ bbox: undefined }, { bbox: undefined })), SOUND);
    near(numbers(truth({ bbox: null }, { bbox: [1, 2] })), SOUND);
    const boxes = results.map(({ image_id, category_id, score }, i) => ({
      image_id,
      category_id,
      score,
      bbox: i === 0 ? ([5, 6, 20, 20] as const) : ([31, 12, 24, 24] as const),
    }));
    const sound = numbers(truth(), "bbox", boxes);
    expect(sound[0]).toBeGreaterThan(0.5);
    for (const segmentation of [null, [], [[]], undefined, "a.png", [[null, 4, 5, 6, 7, 8]]]) {
      near(numbers(truth({ segmentation }, { segmentation: [] }), "bbox", boxes), sound);
    }
    const bare = { ...truth(), images: [{ id: 1 }] } as unknown as CocoJson;
    near(numbers(bare, "bbox", boxes), sound);
  });
  it("is an error that names the file when it is compared", async () => {
    const bare = truth({ segmentation: null }, { segmentation: [[]] });
    await expect(
      evaluateCocoStream(bare, (async function* () {})(), { iouType: "segm", groundTruthName: "val.json" }),
    ).rejects.toThrow(
      "val.json: no object has a mask (segmentation is missing, null or empty in all 2): this is a set of boxes, and masks are needed.",
    );
    expect(() =>
      evaluateCoco(truth({ bbox: null }), results, { iouType: "bbox", groundTruthName: "val.json" }),
    ).toThrow("val.json: annotation 1 of a.png: bbox must be [x, y, width, height] in numbers, got null");
    expect(() =>
      evaluateCoco(truth({ iscrowd: "0" }), results, { iouType: "segm", groundTruthName: "val.json" }),
    ).toThrow('val.json: annotation 1 of a.png: iscrowd must be the number 0 or 1, got "0"');
  });
  it("of other categories or images may have no mask", () => {
    const mixed = truth({}, { segmentation: null, category_id: 2 });
    const two = { ...mixed, categories: [...mixed.categories, { id: 2, name: "other" }] };
    expect(evaluateCoco(two, results, { iouType: "segm", categoryIds: [1] }).stats.AP).toBeGreaterThan(0.4);
    expect(() => evaluateCoco(two, results, { iouType: "segm" })).toThrow(
      "annotation 2 of a.png: has no mask",
    );
  });
});

it("boxes without area are objects, as in pycocotools", () => {
  // COCOeval on these: AP 0.5049504950495049, AR100 0.5: one of two is found, and nothing can overlap the other.
  const groundTruth = truth({}, { bbox: [30, 10, 24, 0], area: 0 });
  near(
    numbers(groundTruth, "bbox", [{ image_id: 1, category_id: 1, score: 0.9, bbox: [4, 4, 20, 20] }]),
    [0.504950495049505, 0.5],
  );
});
