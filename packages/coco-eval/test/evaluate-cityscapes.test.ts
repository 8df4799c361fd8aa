import { evaluateCityscapes } from "../src/index.ts";
import { isMrcnnError } from "@mrcnn/core";
import { rleFromBox, rleFromString } from "@mrcnn/masks";
import { golden } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";

interface Golden {
  size: [number, number];
  categories: { id: number; name: string }[];
  cases: {
    images: {
      instances: { categoryId: number; isGroup: boolean; counts: string }[];
      ignored: string;
      detections: { categoryId: number; score: number; counts: string }[];
    }[];
    AP: number;
    AP50: number;
    perCategory: [AP: number, AP50: number][];
  }[];
}
const {
  size: [height, width],
  categories,
  cases,
} = golden<Golden>(import.meta.url, "cityscapes");
const size = { height, width };
const mask = (counts: string) => rleFromString(counts, size);

describe("evaluateCityscapes", () => {
  it.each(cases.map((one, seed) => ({ seed, ...one })))(
    "equals cityscapesScripts, seed $seed",
    ({ images, AP, AP50, perCategory }) => {
      const ours = evaluateCityscapes(
        images.map(({ instances, ignored, detections }) => ({
          instances: instances.map(({ counts, ...one }) => ({ ...one, mask: mask(counts) })),
          ignored: mask(ignored),
          detections: detections.map(({ counts, ...one }) => ({ ...one, mask: mask(counts) })),
        })),
        { categories },
      );
      expect(AP).toBeGreaterThan(0);
      expect(Math.abs(ours.AP - AP)).toBeLessThanOrEqual(1e-12);
      expect(Math.abs(ours.AP50 - AP50)).toBeLessThanOrEqual(1e-12);
      ours.perCategory.forEach((one, i) => {
        expect(Math.abs(one.AP - perCategory[i]![0])).toBeLessThanOrEqual(1e-12);
        expect(Math.abs(one.AP50 - perCategory[i]![1])).toBeLessThanOrEqual(1e-12);
      });
    },
  );

  const square = (x: number) => rleFromBox([x, 0, 20, 20], { height: 20, width: 100 });
  const car = { id: 26, name: "car" };
  it("leaves out what lies on a group, by hand", () => {
    const instances = [
      { categoryId: 26, mask: square(0) },
      { categoryId: 26, mask: square(40), isGroup: true },
    ];
    const found = (x: number, score: number) => ({ categoryId: 26, score, mask: square(x) });
    const AP50 = (...detections: ReturnType<typeof found>[]): number =>
      evaluateCityscapes([{ instances, detections }], { categories: [car] }).AP50;
    // One point at recall 1 and the artificial one at 0: precision 1, or 1/2 with a wrong one of the same score.
    expect(AP50(found(0, 0.5))).toBe(1);
    expect(AP50(found(0, 0.5), found(40, 0.5))).toBe(1);
    expect(AP50(found(0, 0.5), found(70, 0.5))).toBe(0.5 * 0.5 + 1 * 0.5);
    expect(AP50()).toBe(0);
    expect(
      evaluateCityscapes([{ instances: [], detections: [found(0, 1)] }], { categories: [car] }),
    ).toMatchObject({ AP: -1, AP50: -1, perCategory: [{ name: "car", AP: -1 }] });
  });

  it("names what is wrong", () => {
    const other = { categoryId: 26, score: 1, mask: rleFromBox([0, 0, 2, 2], { height: 4, width: 4 }) };
    let error: unknown;
    try {
      evaluateCityscapes([{ instances: [{ categoryId: 26, mask: square(0) }], detections: [other] }], {
        categories: [car],
      });
    } catch (thrown) {
      error = thrown;
    }
    expect(isMrcnnError(error, "dataset")).toBe(true);
    expect(String(error)).toContain(
      "images[0]: detections[0]: mask must be of the image's size 20 x 100 (height x width), got 4 x 4",
    );
    expect(() =>
      evaluateCityscapes([{ instances: [], detections: [{ ...other, score: NaN }] }], { categories: [car] }),
    ).toThrow("score must be a finite number, got NaN");
    expect(() => evaluateCityscapes([], { categories: [car, car] })).toThrow("unique ids");
  });
});
