// A few of the kills of tools/torture/kills.mjs, which does a hundred. Every kind of event comes before one comes again.
import { expect, test } from "vitest";
import { events, torture } from "../torture/kills.mjs";

test("trainings that are killed, hung up on and left alone with closed streams end bit for bit as one that is not, after --resume", { timeout: 600_000 }, async () => {
  const { kills, runs } = await torture({ kills: 8, seed: 3, steps: 8 });
  expect(Object.keys(kills).toSorted()).toEqual(Object.keys(events).toSorted());
  expect(runs).toBeGreaterThan(0);
});
