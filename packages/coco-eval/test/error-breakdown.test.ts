import { evaluateCoco } from "../src/index.ts";
import type { ErrorKind } from "../src/index.ts";
import type { CocoJson, CocoResult } from "@mrcnn/masks";
import { golden } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";

type Answers = Record<string, Record<"bbox" | "segm", Record<ErrorKind, [count: number, costs: number]>>>;
const { answers } = golden<{ answers: Answers }>(import.meta.url, "tide");
const names = Object.keys(answers);

describe("errors", () => {
  it.each(names.flatMap((name) => (["bbox", "segm"] as const).map((iouType) => ({ name, iouType }))))(
    "count and cost as in TIDE, $name by $iouType",
    ({ name, iouType }) => {
      const { groundTruth, results } = golden<{
        groundTruth: CocoJson;
        results: Record<"bbox" | "segm", CocoResult[]>;
      }>(import.meta.url, name);
      const { kinds } = evaluateCoco(groundTruth, results[iouType], { iouType }).errors();
      for (const [kind, [count, costs]] of Object.entries(answers[name]![iouType])) {
        expect([kind, kinds[kind as ErrorKind].count]).toEqual([kind, count]);
        expect(Math.abs(kinds[kind as ErrorKind].costs - costs), kind).toBeLessThanOrEqual(1e-12);
      }
    },
  );

  it("are told apart by hand, image by image", () => {
    const image = (id: number) => ({ id, width: 100, height: 100, file_name: `${id}.png` });
    const groundTruth: CocoJson = {
      images: [image(1), image(2)],
      categories: [
        { id: 1, name: "a" },
        { id: 2, name: "b" },
      ],
      annotations: [
        [1, 0],
        [2, 30],
        [1, 60],
      ].map(([category_id, x], i) => ({
        id: i + 1,
        image_id: 1,
        category_id: category_id!,
        bbox: [x!, 0, 20, 20] as const,
      })),
    };
    const found = (image_id: number, category_id: number, x: number, score: number): CocoResult => ({
      image_id,
      category_id,
      score,
      bbox: [x, 0, 20, 20],
    });
    const results = [
      found(1, 1, 0, 0.9), // right
      found(1, 1, 1, 0.8), // the same again
      found(1, 1, 30, 0.7), // is a b
      found(1, 1, 70, 0.5), // a third off
      found(1, 2, 12, 0.25), // a quarter of an a
      found(2, 2, 0, 0.5), // nothing
    ];
    const { kinds, images } = evaluateCoco(groundTruth, results, { iouType: "bbox" }).errors();
    expect(Object.fromEntries(Object.entries(kinds).map(([kind, { count }]) => [kind, count]))).toEqual({
      class: 1,
      localization: 1,
      both: 1,
      duplicate: 1,
      background: 1,
      missed: 0,
    });
    expect(images).toEqual([
      { imageId: 1, missed: 2, wrong: 4, weight: 0.8 + 0.7 + 0.5 + 0.25 + 2 },
      { imageId: 2, missed: 0, wrong: 1, weight: 0.5 },
    ]);
    // The last of all costs nothing.
    expect(kinds.background.costs).toBe(0);
    expect(kinds.class.costs).toBeGreaterThan(0);
  });
});
