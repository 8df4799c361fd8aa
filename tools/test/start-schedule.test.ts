// The schedule of `npm start` on fast and slow machines.
import { describe, expect, test } from "vitest";
import { describeSchedule, fitSchedule, timing } from "../start-schedule.mjs";
import { readJson } from "../workspace.mjs";

const config = readJson("configs/start.json");
const { steps: full } = config.training;
/** Slow first steps, then some of `seconds` each, one of them disturbed. */
const timed = (seconds: number): number[] =>
  Array.from({ length: timing.steps }, (_, i) => (i < timing.warm || i === 9 ? 5 : seconds));

describe("npm start's schedule", () => {
  test("is the whole one where four minutes hold it", () => {
    for (const seconds of [0.05, 0.2, 0.27]) {
      const schedule = fitSchedule(config, timed(seconds));
      expect(schedule.steps).toBe(full);
      expect(schedule.settings["optimizer.milestones"]).toEqual(config.optimizer.milestones);
      expect(schedule.settings["optimizer.warmupSteps"]).toBe(config.optimizer.warmupSteps);
    }
    expect(describeSchedule(fitSchedule(config, timed(0.2)), full)).toBe(
      "A step takes 0.20 s here: training 800 steps, about 3 minutes; enough for a mask AP50 of about 0.87 or more on images it has not seen.",
    );
  });

  test("is shortened in proportion where they don't, and ends within them", () => {
    for (const seconds of [0.31, 0.45, 0.7, 0.9]) {
      const { steps, settings, ...schedule } = fitSchedule(config, timed(seconds));
      expect(steps).toBeLessThan(full);
      expect(steps * seconds).toBeLessThan(240);
      expect(steps * seconds).toBeGreaterThan(200);
      expect(schedule.seconds).toBeLessThanOrEqual(240);
      for (const [i, milestone] of settings["optimizer.milestones"].entries())
        expect(milestone / steps).toBeCloseTo(config.optimizer.milestones[i] / full, 2);
      expect(settings["optimizer.warmupSteps"] / steps).toBeCloseTo(config.optimizer.warmupSteps / full, 2);
      expect(settings["training.evaluateEvery"]).toBeLessThan(steps);
    }
    expect(describeSchedule(fitSchedule(config, timed(0.31)), full)).toMatch(
      /^A step takes 0\.31 s here: training 720 steps instead of 800, .*about 4 minutes; .*0\.8 or more/,
    );
  });

  test("has a least length, and says that it takes longer and finds little", () => {
    const schedule = fitSchedule(config, timed(3));
    expect(schedule.steps).toBe(200);
    expect(describeSchedule(schedule, full)).toMatch(
      /200 steps instead of 800, .*about 11 minutes; too few to find much/,
    );
  });
});
