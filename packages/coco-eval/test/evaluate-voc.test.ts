import { evaluateVoc } from "../src/index.ts";
import type { VocImage } from "../src/index.ts";
import { isMrcnnError } from "@mrcnn/core";
import { golden } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";

const { cases } = golden<{ cases: { images: VocImage[]; expected: Record<string, number[]> }[] }>(
  import.meta.url,
  "voc",
);

describe("evaluateVoc", () => {
  it.each(cases.map((one, seed) => ({ seed, ...one })))(
    "equals voc_eval, by both metrics, seed $seed",
    ({ images, expected }) => {
      for (const [key, aps] of Object.entries(expected)) {
        const [metric, iouThreshold] = key.split(" ") as ["area" | "11-point", string];
        const { perCategory, mAP } = evaluateVoc(images, { metric, iouThreshold: Number(iouThreshold) });
        expect(perCategory.map(({ category }) => category)).toEqual(["c0", "c1", "c2"]);
        perCategory.forEach(({ AP }, i) => expect(Math.abs(AP - aps[i]!)).toBeLessThanOrEqual(1e-12));
        expect(mAP).toBeCloseTo(aps.reduce((a, b) => a + b) / 3, 12);
      }
    },
  );

  const dog = (box: VocImage["objects"][number]["box"], isDifficult = false) => ({
    category: "dog",
    box,
    isDifficult,
  });
  it("counts by hand", () => {
    // The first is right, the second a duplicate, the third on a difficult object: precision 1, 1/2, 1/2 at recall 1/2.
    const images = [
      {
        objects: [dog([1, 1, 10, 10]), dog([31, 31, 40, 40], true), dog([61, 61, 70, 70])],
        detections: [
          { ...dog([1, 1, 10, 10]), score: 0.9 },
          { ...dog([1, 1, 10, 9]), score: 0.8 },
          { ...dog([31, 31, 40, 40]), score: 0.7 },
        ],
      },
    ];
    const { perCategory, mAP } = evaluateVoc(images);
    expect(perCategory).toEqual([
      { category: "dog", AP: 0.5, objects: 2, precision: [1, 0.5, 0.5], recall: [0.5, 0.5, 0.5] },
    ]);
    expect(mAP).toBe(0.5);
    expect(evaluateVoc(images, { metric: "11-point" }).mAP).toBeCloseTo(6 / 11, 14);
    // Half the pixels of the union is not above one half.
    expect(
      evaluateVoc([{ objects: [dog([1, 1, 10, 10])], detections: [{ ...dog([1, 1, 10, 5]), score: 1 }] }])
        .mAP,
    ).toBe(0);
  });

  it("is -1 without objects, and 0 without detections", () => {
    expect(evaluateVoc([])).toEqual({ mAP: -1, perCategory: [] });
    expect(
      evaluateVoc([{ objects: [dog([1, 1, 2, 2], true)], detections: [{ ...dog([5, 5, 6, 6]), score: 1 }] }]),
    ).toMatchObject({ mAP: -1, perCategory: [{ AP: -1, recall: [-1] }] });
    expect(evaluateVoc([{ objects: [dog([1, 1, 2, 2])], detections: [] }]).mAP).toBe(0);
  });

  it("names what is wrong", () => {
    const thrown = (images: readonly VocImage[], options = {}): unknown => {
      try {
        return evaluateVoc(images, options);
      } catch (error) {
        return error;
      }
    };
    const bad = thrown([
      { objects: [], detections: [] },
      { objects: [], detections: [{ category: "a", score: NaN, box: [1, 1, 2, 2] }] },
    ]);
    expect(isMrcnnError(bad, "dataset")).toBe(true);
    expect(String(bad)).toContain(
      "evaluateVoc: images[1]: detections[0]: score must be a finite number, got NaN",
    );
    expect(String(thrown([{ objects: [dog([3, 1, 2, 2])], detections: [] }]))).toContain(
      "objects[0]: box must be [xmin, ymin, xmax, ymax]",
    );
    expect(isMrcnnError(thrown([], { iouThreshold: 50 }), "config")).toBe(true);
    expect(String(thrown([], { metric: "2012" }))).toContain(
      'metric must be "area" or "11-point", got "2012"',
    );
  });
});
