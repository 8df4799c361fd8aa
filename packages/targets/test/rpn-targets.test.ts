import { describe, expect, it } from "vitest";
import { createRandom } from "@mrcnn/core";
import { expectClose } from "@mrcnn/testing";
import { rpnTargets } from "../src/index.ts";
import { anchors, expected, groundTruth, objects } from "./fixture.ts";

const everything = { high: 0.7, low: 0.3, batchSize: 1e6, positiveFraction: 0.5 };
const count = anchors.length / 4;

describe("rpnTargets", () => {
  it.each(Object.keys(expected))("labels and codes anchors as torchvision: %s", async (name) => {
    const { positive, negative, deltas } = rpnTargets(
      anchors,
      [groundTruth(name)],
      everything,
      createRandom(1),
    );
    const labels = Array.from({ length: count }, () => -1);
    for (const i of positive) labels[i] = 1;
    for (const i of negative) labels[i] = 0;
    expect(labels).toEqual(expected[name]!.anchorLabels);
    await expectClose(deltas, expected[name]!.anchorDeltas, { atol: 1e-6, rtol: 1e-6 });
  });

  it("numbers the anchors of a batch image by image", () => {
    const one = rpnTargets(anchors, [groundTruth("random")], everything, createRandom(1));
    const batch = rpnTargets(
      anchors,
      [groundTruth("empty"), groundTruth("random")],
      everything,
      createRandom(1),
    );
    expect([...batch.positive]).toEqual([...one.positive].map((i) => i + count));
    expect(batch.negative).toHaveLength(count + one.negative.length);
    expect(batch.deltas).toEqual(one.deltas);
  });

  it("keeps each delta beside its anchor when it samples", () => {
    const all = rpnTargets(anchors, [groundTruth("crowded")], everything, createRandom(1));
    const some = rpnTargets(
      anchors,
      [groundTruth("crowded")],
      { ...everything, batchSize: 16 },
      createRandom(2),
    );
    expect([some.positive.length, some.negative.length]).toEqual([8, 8]);
    for (const [i, anchor] of some.positive.entries()) {
      const j = all.positive.indexOf(anchor);
      expect(some.deltas.slice(4 * i, 4 * i + 4)).toEqual(all.deltas.slice(4 * j, 4 * j + 4));
    }
  });

  it("learns nothing from a crowd region", () => {
    const gt = objects(Float32Array.of(8, 8, 24, 24), { crowd: [0] });
    const targets = rpnTargets(anchors, [gt], everything, createRandom(1));
    expect([targets.positive.length, targets.negative.length]).toEqual([0, count]);
  });

  it("takes an empty batch", () => {
    const targets = rpnTargets(anchors, [], everything, createRandom(1));
    expect([targets.positive.length, targets.negative.length, targets.deltas.length]).toEqual([0, 0, 0]);
  });
});
