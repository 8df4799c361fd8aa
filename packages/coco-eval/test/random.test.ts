import { evaluateCoco } from "../src/index.ts";
import type { EvaluateCocoOptions } from "../src/index.ts";
import type { CocoJson, CocoResult } from "@mrcnn/masks";
import { golden } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";

interface Case {
  seed: number;
  options: EvaluateCocoOptions;
  groundTruth: CocoJson;
  results: CocoResult[];
  stats: Record<string, number>;
  precision: number[];
  recall: number[];
  scores: number[];
}

// -1 stands for "no objects", so that a wrong one is off by much.
const furthest = (ours: ArrayLike<number>, theirs: readonly number[]): number =>
  theirs.reduce((most, value, i) => Math.max(most, Math.abs(ours[i]! - value)), 0);

describe.each(["bbox", "segm", "keypoints"])("random sets with unusual parameters, %s", (iouType) => {
  const { cases } = golden<{ cases: Case[] }>(import.meta.url, `random-${iouType}`);
  it.each(cases)(
    "equals all arrays of pycocotools, seed $seed",
    ({ options, groundTruth, results, stats, precision, recall, scores }) => {
      const { accumulated, ...evaluation } = evaluateCoco(groundTruth, results, options);
      expect(Object.keys(evaluation.stats)).toEqual(Object.keys(stats));
      expect(furthest(Object.values(evaluation.stats), Object.values(stats))).toBeLessThanOrEqual(1e-12);
      for (const [ours, theirs] of [
        [accumulated.precision, precision],
        [accumulated.recall, recall],
        [accumulated.scores, scores],
      ] as const) {
        expect(ours).toHaveLength(theirs.length);
        expect(furthest(ours, theirs)).toBeLessThanOrEqual(1e-12);
      }
    },
  );
});
