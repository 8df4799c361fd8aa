import { expect, test } from "vitest";
import { warmupMultiStep } from "../src/index.ts";

test("warm-up rises linearly from factor to 1, then the rate steps down", () => {
  const rate = warmupMultiStep({
    baseRate: 0.02,
    warmupSteps: 4,
    warmupFactor: 0.2,
    milestones: [6, 8],
    gamma: 0.1,
  });
  // factor + (1 - factor) k / 4 = 0.2, 0.4, 0.6, 0.8, then 1.
  const expected = [0.004, 0.008, 0.012, 0.016, 0.02, 0.02, 0.002, 0.002, 0.0002, 0.0002];
  for (const [step, value] of expected.entries()) expect(rate(step)).toBeCloseTo(value, 12);
});

test("bad schedules are refused", () => {
  expect(() => warmupMultiStep({ baseRate: 1, milestones: [5, 3] })).toThrow(
    "warmupMultiStep: milestones must ascend, got 5, 3.",
  );
  expect(() => warmupMultiStep({ baseRate: 1, milestones: [3, 5, 7, 6] })).toThrow(
    "warmupMultiStep: milestones must ascend, got 3, 5, 7, 6.",
  );
  expect(() => warmupMultiStep({ baseRate: -1 })).toThrow("baseRate must be at least 0");
});

test("a rate of 0, no warm-up, and milestones that coincide or begin at once are schedules", () => {
  expect(warmupMultiStep({ baseRate: 0 })(3)).toBe(0);
  const rate = warmupMultiStep({ baseRate: 1, milestones: [0, 2, 2] });
  for (const [step, value] of [0.1, 0.1, 0.001].entries()) expect(rate(step)).toBeCloseTo(value, 12);
  // The defaults: a thousandth at the first step of a warm-up, a tenth after a milestone.
  expect(warmupMultiStep({ baseRate: 1, warmupSteps: 10 })(0)).toBeCloseTo(0.001, 12);
  expect(() => warmupMultiStep({ baseRate: NaN })).toThrow(
    "warmupMultiStep: baseRate must be at least 0, got NaN.",
  );
});
