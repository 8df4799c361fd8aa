import { createCocoEvaluator } from "../src/index.ts";
import type { CocoDetection, CocoEvaluator, CocoGroundTruth, CocoParams } from "../src/index.ts";
import { createRandom, isMrcnnError } from "@mrcnn/core";
import type { CocoBox } from "@mrcnn/masks";
import { describe, expect, it } from "vitest";

const params: CocoParams = {
  iouType: "bbox",
  categories: [
    { id: 9, name: "cat" },
    { id: 2, name: "dog" },
    { id: 5, name: "never there" },
  ],
};
interface Image {
  readonly id: number;
  readonly detections: readonly CocoDetection[];
  readonly groundTruth: readonly CocoGroundTruth[];
}
const images = (seed: number, count: number): Image[] => {
  const random = createRandom(seed);
  const box = (): CocoBox => [
    random.uniform() * 50,
    random.uniform() * 50,
    5 + random.uniform() * 60,
    5 + random.uniform() * 60,
  ];
  const categoryId = (): number => (random.uniform() < 0.5 ? 2 : 9);
  return Array.from({ length: count }, (_, i) => {
    const groundTruth = Array.from({ length: random.int(5) }, () => ({
      categoryId: categoryId(),
      bbox: box(),
      isCrowd: random.uniform() < 0.2,
    }));
    const near = groundTruth.map(({ bbox, categoryId: id }) => ({
      categoryId: id,
      score: random.int(8) / 8,
      bbox: bbox.map((v) => v + random.normal()) as unknown as CocoBox,
    }));
    return {
      id: 40 - i,
      groundTruth,
      detections: [...near, { categoryId: categoryId(), score: random.int(8) / 8, bbox: box() }],
    };
  });
};
const evaluated = (some: readonly Image[], options = params): CocoEvaluator => {
  const evaluator = createCocoEvaluator(options);
  for (const { id, detections, groundTruth } of some) evaluator.add(id, detections, groundTruth);
  return evaluator;
};

describe("partial results", () => {
  it("merged in any order are the whole exactly, one that adds on included", () => {
    const all = images(4, 30);
    const whole = evaluated(all);
    const shards = [all.slice(0, 7), all.slice(7, 8), [], all.slice(8, 21)].map((some) =>
      evaluated(some).partial(),
    );
    const merged = evaluated(all.slice(21));
    for (const shard of shards.toReversed()) merged.merge(shard);
    const [one, other] = [whole.accumulate(), merged.accumulate()];
    expect(one.precision.some((value) => value > 0 && value < 1)).toBe(true);
    expect(other).toEqual(one);
    expect(merged.summarize()).toEqual(whole.summarize());
    // And a merged one is a part again.
    const again = createCocoEvaluator(params);
    again.merge(merged.partial());
    expect(again.accumulate()).toEqual(one);
  });

  it("refuse an image that is there already, other parameters and other bytes, and change nothing", () => {
    const some = images(5, 6);
    const evaluator = evaluated(some);
    const before = evaluator.summarize();
    const thrown = (bytes: Uint8Array): unknown => {
      try {
        return evaluator.merge(bytes);
      } catch (error) {
        return error;
      }
    };
    const twice = thrown(evaluated(some.slice(2, 3)).partial());
    expect(isMrcnnError(twice, "dataset")).toBe(true);
    expect(String(twice)).toContain("image 38: was added before");
    const otherwise = thrown(createCocoEvaluator({ ...params, maxDetections: [1, 10, 50] }).partial());
    expect(isMrcnnError(otherwise, "config")).toBe(true);
    expect(String(otherwise)).toContain(
      "merge: maxDetections must be that of this evaluator, [1,10,100], got [1,10,50]",
    );
    const bytes = evaluated([
      { id: 99, detections: [], groundTruth: [{ categoryId: 2, bbox: [0, 0, 9, 9] }] },
    ]).partial();
    expect(String(thrown(bytes.subarray(0, bytes.length - 8)))).toMatch(
      /must be \d+ bytes long, got \d+. It was cut short/,
    );
    expect(String(thrown(Uint8Array.of(1, 2, 3)))).toContain(
      "must be what another evaluator's partial() gave",
    );
    expect(evaluator.summarize()).toEqual(before);
  });
});
