import { evaluateLvis } from "../src/index.ts";
import type { LvisCategory, LvisJson, LvisStats } from "../src/index.ts";
import type { CocoJson, CocoResult } from "@mrcnn/masks";
import { golden } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";

interface Case {
  name: string;
  /** How often the results are given, each time a little lower in score. */
  times: number;
  images: Record<number, [none: number[], open: number[]]>;
  frequency: Record<number, LvisCategory["frequency"]>;
  stats: Record<"bbox" | "segm", LvisStats>;
}
const { cases } = golden<{ cases: Case[] }>(import.meta.url, "lvis");

describe("evaluateLvis", () => {
  it.each(cases)("equals lvis-api, $name", ({ name, times, images, frequency, stats }) => {
    const { groundTruth, results } = golden<{
      groundTruth: CocoJson;
      results: Record<"bbox" | "segm", CocoResult[]>;
    }>(import.meta.url, name);
    const lvis: LvisJson = {
      ...groundTruth,
      images: groundTruth.images.map((image) => ({
        ...image,
        neg_category_ids: images[Number(image.id)]![0],
        not_exhaustive_category_ids: images[Number(image.id)]![1],
      })),
      categories: groundTruth.categories.map((category) => ({
        ...category,
        frequency: frequency[Number(category.id)]!,
      })),
    };
    for (const iouType of ["bbox", "segm"] as const) {
      const again = Array.from({ length: times }, (_, t) =>
        results[iouType].map((one) => ({ ...one, score: one.score - 1e-4 * t })),
      ).flat();
      const ours = evaluateLvis(lvis, again, { iouType }).stats;
      expect(Object.keys(ours)).toEqual(Object.keys(stats[iouType]));
      expect(ours.AP).toBeGreaterThan(0);
      for (const [key, value] of Object.entries(stats[iouType]))
        expect(Math.abs(ours[key as keyof LvisStats] - value), `${iouType} ${key}`).toBeLessThanOrEqual(
          1e-12,
        );
    }
  });

  it("heeds what is known of an image, by hand", () => {
    const image = (id: number, none: number[], open: number[]) => ({
      id,
      width: 50,
      height: 50,
      file_name: "",
      neg_category_ids: none,
      not_exhaustive_category_ids: open,
    });
    const truth = (none: number[], open: number[]): LvisJson => ({
      images: [image(1, none, open), image(2, [], [])],
      categories: [{ id: 5, name: "yak", frequency: "r" }],
      annotations: [{ id: 1, image_id: 2, category_id: 5, bbox: [0, 0, 10, 10], area: 100 }],
    });
    const results = [1, 2].map((image_id) => ({
      image_id,
      category_id: 5,
      score: 1 / image_id,
      bbox: [0, 0, 10, 10] as const,
    }));
    const AP = (none: number[], open: number[]): number =>
      evaluateLvis(truth(none, open), results, { iouType: "bbox" }).stats.APr;
    expect(AP([], [])).toBeCloseTo(1, 14); // nobody knows whether there is a yak in image 1
    expect(AP([5], [])).toBeCloseTo(0.5, 14); // there is none: the better one is wrong
    expect(AP([5], [5])).toBeCloseTo(1, 14);
    const { neg_category_ids: _, ...bare } = image(1, [], []);
    expect(() =>
      evaluateLvis({ ...truth([], []), images: [bare as never] }, [], { iouType: "bbox" }),
    ).toThrow("image 1: must have neg_category_ids");
  });
});
