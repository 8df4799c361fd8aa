import { describe, expect, it } from "vitest";
import { tensor2d, tensor3d } from "@tensorflow/tfjs-core";
import { ShapeError } from "@mrcnn/core";
import type { RpnOutput } from "@mrcnn/core/tensors";
import { expectClose, expectNoLeaks, golden, seededSpread, seededUniform } from "@mrcnn/testing";
import { selectProposals } from "../src/index.ts";

interface Golden {
  readonly cases: Record<
    string,
    {
      levels: number[];
      pre: number;
      post: number;
      threshold: number;
      score: number;
      counts: number[];
      boxes: number[];
      scores: number[];
    }
  >;
}

const { cases } = golden<Golden>(import.meta.url, "select-proposals");
const { cases: detectron2 } = golden<{
  cases: Record<
    string,
    {
      levels: number[];
      pre: number;
      post: number;
      threshold: number;
      width: number;
      counts: number[];
      boxes: number[];
      logits: number[];
    }
  >;
}>(import.meta.url, "select-detectron2");
const matterport = golden<{
  side: number;
  cases: Record<
    string,
    { levels: number[]; width: number; pre: number; post: number; threshold: number; boxes: number[] }
  >;
}>(import.meta.url, "select-matterport");
const sizes = [
  { height: 90, width: 120 },
  { height: 110, width: 75 },
];

// The inputs of tools/golden/select_proposals.py and select_detectron2.py.
function inputs(
  name: string,
  levels: readonly number[],
  width = 8,
): { output: RpnOutput; anchors: Float32Array } {
  const count = levels.reduce((a, b) => a + b, 0);
  const u = seededUniform(`${name}.anchors`, 4 * count);
  const anchors = Float32Array.from(u, (value, i) => {
    const k = i % 4;
    if (k < 2) return (k === 0 ? 110 : 100) * value - 10;
    return (k === 2 ? 110 : 100) * u[i - 2]! - 10 + 8 + 40 * value;
  });
  const deltas = seededSpread(`${name}.deltas`, 8 * count, 2).map((value, i) => {
    const anchor = Math.trunc(i / 4) % count;
    return anchor % 10 === 0 && i % 4 >= 2 ? value * 6 : value;
  });
  return {
    anchors,
    output: {
      objectness: tensor2d(seededSpread(`${name}.objectness`, 2 * count, width), [2, count]),
      deltas: tensor3d(deltas, [2, count, 4]),
      levelCounts: levels,
    },
  };
}

describe("selectProposals", () => {
  it.each(Object.keys(cases))("equals torchvision's filter_proposals: %s", async (name) => {
    const want = cases[name]!;
    const { output, anchors } = inputs(name, want.levels);
    const proposals = await selectProposals(output, anchors, sizes, {
      preNmsTopK: want.pre,
      postNmsTopK: want.post,
      nmsThreshold: want.threshold,
      scoreThreshold: want.score,
    });
    expect([...proposals.imageIndex]).toEqual(
      want.counts.flatMap((count, image) => Array.from({ length: count }, () => image)),
    );
    await expectClose(proposals.boxes, want.boxes);
    await expectClose(proposals.scores, want.scores);
  });

  it.each(Object.keys(detectron2))(
    "equals detectron2's find_top_rpn_proposals, which ranks by logits: %s",
    async (name) => {
      const want = detectron2[name]!;
      const { output, anchors } = inputs(name, want.levels, want.width);
      const proposals = await selectProposals(output, anchors, sizes, {
        preNmsTopK: want.pre,
        postNmsTopK: want.post,
        nmsThreshold: want.threshold,
        minSize: 2 ** -149,
        suppressBy: "logit",
      });
      expect([...proposals.imageIndex]).toEqual(
        want.counts.flatMap((count, image) => Array.from({ length: count }, () => image)),
      );
      await expectClose(proposals.boxes, want.boxes);
      await expectClose(
        proposals.scores,
        want.logits.map((logit) => 1 / (1 + Math.exp(-logit))),
      );
    },
  );

  it.each(Object.keys(matterport.cases))(
    "equals matterport's ProposalLayer, all levels as one: %s",
    async (name) => {
      const want = matterport.cases[name]!;
      const count = want.levels.reduce((a, b) => a + b, 0);
      const last = matterport.side - 1;
      const u = seededUniform(`${name}.anchors`, 4 * count);
      const anchors = Float32Array.from(
        u,
        (value, i) => Math.fround(i % 4 < 2 ? 120 * value : 120 * u[i - 2]! + 4 + 40 * value) / last,
      );
      const output: RpnOutput = {
        objectness: tensor2d(seededSpread(`${name}.objectness`, count, want.width), [1, count]),
        deltas: tensor3d(seededSpread(`${name}.deltas`, 4 * count, 8), [1, count, 4]),
        levelCounts: want.levels,
      };
      const proposals = await selectProposals(output, anchors, [{ height: 1, width: 1 }], {
        preNmsTopK: want.pre,
        postNmsTopK: want.post,
        nmsThreshold: want.threshold,
        minSize: 0,
        weights: [10, 10, 5, 5],
        decoding: { maxLogScale: Infinity, rounding: "matterport" },
        levels: "together",
        suppression: "separate",
        chooseBy: "probability",
        fill: true,
      });
      await expectClose(
        proposals.boxes.map((v) => v * last),
        want.boxes,
        { atol: 1e-4 },
      );
    },
  );

  // Two levels, one image of 20x20. Level 0: A, B (nearly A), C outside the image. Level 1: D equal to A.
  const anchors = Float32Array.of(0, 0, 10, 10, 0, 0, 10, 11, 30, 30, 40, 40, 0, 0, 10, 10);
  const still = (logits: readonly number[]): RpnOutput => ({
    objectness: tensor2d([...logits], [1, 4]),
    deltas: tensor3d(new Float32Array(16), [1, 4, 4]),
    levelCounts: [3, 1],
  });
  const image = [{ height: 20, width: 20 }];
  const config = { preNmsTopK: 3, postNmsTopK: 10, nmsThreshold: 0.7 };

  it("suppresses within a level only, and drops what lies outside the image", async () => {
    // B suppresses A (IoU 10/11); D has A's box but another level; C is clipped to nothing.
    const { boxes, scores } = await selectProposals(still([1, 2, 9, 0]), anchors, image, config);
    expect([...boxes]).toEqual([0, 0, 10, 11, 0, 0, 10, 10]);
    await expectClose(scores, [1 / (1 + Math.exp(-2)), 0.5]);
  });

  it("takes the lower anchor of equal logits, and the lower level first", async () => {
    const { boxes } = await selectProposals(still([0, 0, 0, 0]), anchors, image, {
      ...config,
      preNmsTopK: 1,
    });
    expect([...boxes]).toEqual([0, 0, 10, 10, 0, 0, 10, 10]);
  });

  it("drops what is not finite instead of passing it on", async () => {
    const { scores } = await selectProposals(still([NaN, 1, 0, NaN]), anchors, image, config);
    await expectClose(scores, [1 / (1 + Math.exp(-1))]);
  });

  it("says what disagrees", async () => {
    await expect(selectProposals(still([0, 0, 0, 0]), new Float32Array(12), image, config)).rejects.toThrow(
      ShapeError,
    );
    await expect(selectProposals(still([0, 0, 0, 0]), anchors, [...image, ...image], config)).rejects.toThrow(
      /output.objectness must have shape \[2, 4\], got \[1, 4\]/,
    );
  });

  it("leaves no tensor behind, and its arguments alive", async () => {
    const output = still([1, 2, 3, 4]);
    await expectNoLeaks(async () => {
      await selectProposals(output, anchors, image, config);
      return [];
    });
    expect(output.objectness.isDisposed || output.deltas.isDisposed).toBe(false);
  });
});
