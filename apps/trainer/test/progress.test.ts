import { describe, expect, it } from "vitest";
import { createPace } from "../src/progress.ts";

/** A clock to be wound by hand. */
function clock(): { now: () => number; wind: (seconds: number) => void } {
  let time = 1000;
  return { now: () => time, wind: (seconds) => (time += seconds) };
}

describe("the remaining time", () => {
  it("is what the steps take, in a steady run", () => {
    const { now, wind } = clock();
    const pace = createPace(0, now);
    for (let step = 1; step <= 100; step++) {
      wind(0.5);
      expect(pace.rate(step)).toBeCloseTo(2, 6);
    }
    expect(pace.left(100, 400)).toBeCloseTo(150, 6);
  });

  // 1,000 steps of half a second, evaluated every `every` for `seconds`: what is left is known to the second.
  it.each([
    { every: 100, seconds: 60, at: [100, 101, 150, 199, 200, 500, 990] },
    { every: 250, seconds: 400, at: [250, 251, 499, 750, 999] },
    { every: 10, seconds: 3, at: [10, 15, 500] },
  ])("after an evaluation of $seconds s every $every steps", ({ every, seconds, at }) => {
    const { now, wind } = clock();
    const pace = createPace(0, now);
    for (let step = 1; step <= 1000; step++) {
      wind(0.5);
      pace.rate(step);
      if (step % every === 0) {
        wind(seconds);
        pace.pause(seconds);
      }
      const right = (1000 - step) * 0.5 + (Math.floor(1000 / every) - Math.floor(step / every)) * seconds;
      expect(pace.rate(step)).toBeCloseTo(2, 6);
      if (at.includes(step)) expect(pace.left(step, 1000)).toBeCloseTo(right, 3);
    }
    expect(pace.left(1000, 1000)).toBe(0);
  });

  it("of a resumed run counts from where it goes on", () => {
    const { now, wind } = clock();
    const pace = createPace(500, now);
    for (let step = 501; step <= 600; step++) {
      wind(1);
      pace.rate(step);
    }
    wind(30);
    pace.pause(30);
    expect(pace.left(600, 1000)).toBeCloseTo(400 + 4 * 30, 6);
  });

  it("is not told before anything is done", () =>
    expect(createPace(0, () => 5).left(0, 100)).toBeUndefined());
});
