import { describe, expect, it } from "vitest";
import { createRandom } from "@mrcnn/core";
import { sampleBalanced } from "../src/index.ts";

// 30 positives (two classes), 50 negatives, 20 to leave out, interleaved.
const labels = Int32Array.from({ length: 100 }, (_, i) =>
  i % 10 < 3 ? (i % 2) + 1
  : i % 10 < 8 ? 0
  : -1,
);

describe("sampleBalanced", () => {
  it.each([
    // batchSize, positiveFraction, positives, negatives; 30 positives and 50 negatives exist.
    [20, 0.25, 5, 15],
    [20, 0.5, 10, 10],
    [10, 0.25, 2, 8], // int(2.5)
    [60, 0.25, 15, 45],
    [100, 0.5, 30, 50], // all of both: positives below their share are not replaced when negatives run out
    [64, 0.9, 30, 34], // missing positives are made up with negatives
    [0, 0.5, 0, 0],
    [10, 1, 10, 0],
  ])("draws %i with fraction %f: %i positive, %i negative", (batchSize, positiveFraction, p, n) => {
    const { positive, negative } = sampleBalanced(labels, { batchSize, positiveFraction }, createRandom(1));
    expect([positive.length, negative.length]).toEqual([p, n]);
    expect([...positive].every((i) => labels[i]! > 0)).toBe(true);
    expect([...negative].every((i) => labels[i] === 0)).toBe(true);
    for (const part of [positive, negative])
      expect([...part]).toEqual([...new Set(part)].sort((a, b) => a - b));
  });

  it("repeats with the seed and differs with another", () => {
    const draw = (seed: number) =>
      sampleBalanced(labels, { batchSize: 20, positiveFraction: 0.5 }, createRandom(seed));
    expect(draw(3)).toEqual(draw(3));
    expect(draw(3)).not.toEqual(draw(4));
  });

  it("gives each candidate the same chance", () => {
    const random = createRandom(5);
    const counts = new Map<number, number>();
    const rounds = 3000;
    for (let round = 0; round < rounds; round++) {
      const { positive, negative } = sampleBalanced(labels, { batchSize: 20, positiveFraction: 0.5 }, random);
      for (const i of [...positive, ...negative]) counts.set(i, (counts.get(i) ?? 0) + 1);
    }
    for (let i = 0; i < labels.length; i++) {
      const chance =
        labels[i]! > 0 ? 10 / 30
        : labels[i] === 0 ? 10 / 50
        : 0;
      // Five standard deviations of a binomial.
      expect(Math.abs((counts.get(i) ?? 0) / rounds - chance)).toBeLessThanOrEqual(
        5 * Math.sqrt((chance * (1 - chance)) / rounds),
      );
    }
  });

  it("takes none of nothing", () => {
    const none = sampleBalanced(new Int32Array(0), { batchSize: 8, positiveFraction: 0.5 }, createRandom(1));
    expect([none.positive.length, none.negative.length]).toEqual([0, 0]);
  });
});
