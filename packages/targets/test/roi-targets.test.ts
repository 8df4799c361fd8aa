import { describe, expect, it } from "vitest";
import { createRandom, ShapeError } from "@mrcnn/core";
import { expectClose } from "@mrcnn/testing";
import { roiTargets } from "../src/index.ts";
import { expected, groundTruth, objects, seededBoxes } from "./fixture.ts";

const everything = { high: 0.5, low: 0.5, batchSize: 1e6, positiveFraction: 0.5 };
const proposalsOf = (name: string) => ({
  boxes: seededBoxes(`${name}.proposals`, 60),
  imageIndex: new Int32Array(60),
});

describe("roiTargets", () => {
  it.each(Object.keys(expected))("equals torchvision's select_training_samples: %s", async (name) => {
    for (const low of [0.5, 0.2] as const) {
      const targets = roiTargets(
        proposalsOf(name),
        [groundTruth(name)],
        { ...everything, low },
        createRandom(1),
      );
      const want = expected[name]![`rois${low}`];
      expect([...targets.labels]).toEqual(want.labels);
      expect([...targets.labels]).toEqual(want.labelsBeforeSampling.filter((label) => label >= 0));
      expect([...targets.positive]).toEqual(want.positive);
      expect([...targets.matchedGt]).toEqual(want.matchedGt);
      await expectClose(targets.deltas, want.deltas, { atol: 1e-5, rtol: 1e-6 });
      // The ground truth's own boxes follow the proposals.
      const all = Float32Array.of(...proposalsOf(name).boxes, ...groundTruth(name).boxes);
      const sampled = want.labelsBeforeSampling.flatMap((label, i) =>
        label >= 0 ? Array.from(all.subarray(4 * i, 4 * i + 4)) : [],
      );
      expect([...targets.rois.boxes]).toEqual(sampled);
    }
  });

  it("keeps images apart and in order, whatever the order of the proposals", () => {
    const a = proposalsOf("random");
    const b = proposalsOf("crowded");
    const mixed = {
      boxes: new Float32Array(480),
      imageIndex: Int32Array.from({ length: 120 }, (_, i) => i % 2),
    };
    for (let i = 0; i < 60; i++) {
      mixed.boxes.set(a.boxes.subarray(4 * i, 4 * i + 4), 8 * i);
      mixed.boxes.set(b.boxes.subarray(4 * i, 4 * i + 4), 8 * i + 4);
    }
    const batch = roiTargets(
      mixed,
      [groundTruth("random"), groundTruth("crowded")],
      everything,
      createRandom(1),
    );
    const first = roiTargets(a, [groundTruth("random")], everything, createRandom(1));
    const second = roiTargets(b, [groundTruth("crowded")], everything, createRandom(1));
    expect([...batch.rois.boxes]).toEqual([...first.rois.boxes, ...second.rois.boxes]);
    expect([...batch.rois.imageIndex]).toEqual([...first.labels].fill(0).concat([...second.labels].fill(1)));
    expect([...batch.labels]).toEqual([...first.labels, ...second.labels]);
    expect([...batch.positive]).toEqual([
      ...first.positive,
      ...[...second.positive].map((i) => i + first.labels.length),
    ]);
    expect([...batch.matchedGt]).toEqual([...first.matchedGt, ...second.matchedGt]);
    expect([...batch.deltas]).toEqual([...first.deltas, ...second.deltas]);
  });

  it("samples a quarter positive, ascending, with all its arrays in step", () => {
    const config = { ...everything, batchSize: 16, positiveFraction: 0.25 };
    const gt = groundTruth("crowded");
    const { rois, labels, positive, matchedGt } = roiTargets(
      proposalsOf("crowded"),
      [gt],
      config,
      createRandom(7),
    );
    expect([labels.length, positive.length]).toEqual([16, 4]);
    expect([...positive]).toEqual([...labels.keys()].filter((i) => labels[i]! > 0));
    for (const [i, roi] of positive.entries()) expect(labels[roi]).toBe(gt.labels[matchedGt[i]!]);
    expect(rois.boxes).toHaveLength(64);
  });

  it("neither matches crowd regions nor adds them to the proposals", () => {
    const gt = objects(Float32Array.of(0, 0, 20, 20, 30, 10, 50, 30), { crowd: [0] });
    const targets = roiTargets(
      { boxes: Float32Array.of(0, 0, 20, 20), imageIndex: Int32Array.of(0) },
      [gt],
      everything,
      createRandom(1),
    );
    expect([...targets.labels]).toEqual([0, 2]);
    expect([...targets.rois.boxes]).toEqual([0, 0, 20, 20, 30, 10, 50, 30]);
    expect([...targets.matchedGt]).toEqual([1]);
  });

  it("works with no proposals, and with nothing at all", () => {
    const none = { boxes: new Float32Array(0), imageIndex: new Int32Array(0) };
    const own = roiTargets(none, [groundTruth("random")], everything, createRandom(1));
    expect([...own.rois.boxes]).toEqual([...groundTruth("random").boxes]);
    expect([...own.deltas].every((delta) => delta === 0)).toBe(true);
    const nothing = roiTargets(none, [groundTruth("empty")], everything, createRandom(1));
    expect([nothing.labels.length, nothing.positive.length, nothing.deltas.length]).toEqual([0, 0, 0]);
  });

  it("says what is wrong", () => {
    const wrong = { boxes: new Float32Array(5), imageIndex: new Int32Array(1) };
    expect(() => roiTargets(wrong, [groundTruth("empty")], everything, createRandom(1))).toThrow(ShapeError);
  });
});
