import { describe, expect, it } from "vitest";
import { tensor2d } from "@tensorflow/tfjs-core";
import { ShapeError } from "@mrcnn/core";
import type { Rois } from "@mrcnn/core";
import type { BoxHeadOutput } from "@mrcnn/core/tensors";
import { expectClose, expectNoLeaks, golden, seededSpread, seededUniform } from "@mrcnn/testing";
import { selectDetections } from "../src/index.ts";

interface Golden {
  readonly cases: Record<
    string,
    {
      counts: number[];
      classes: number;
      threshold: number;
      nms: number;
      most: number;
      images: { boxes: number[]; scores: number[]; labels: number[] }[];
    }
  >;
}

const { cases } = golden<Golden>(import.meta.url, "select-detections");
const { cases: detectron2 } = golden<Golden>(import.meta.url, "select-detectron2");
const matterport = golden<{
  side: number;
  window: number[];
  count: number;
  classes: number;
  cases: Record<
    string,
    { least: number; most: number; nms: number; boxes: number[]; labels: number[]; scores: number[] }
  >;
}>(import.meta.url, "select-matterport");
const sizes = [
  { height: 90, width: 120 },
  { height: 110, width: 75 },
];

// The inputs of tools/golden/select_detections.py and select_detectron2.py.
function inputs(
  name: string,
  counts: readonly number[],
  classes: number,
): { output: BoxHeadOutput; rois: Rois } {
  const count = counts.reduce((a, b) => a + b, 0);
  const u = seededUniform(`${name}.rois`, 4 * count);
  const boxes = Float32Array.from(u, (value, i) => {
    const k = i % 4;
    if (k < 2) return (k === 0 ? 90 : 80) * value;
    return (k === 2 ? 90 : 80) * u[i - 2]! + 8 + 40 * value;
  });
  const deltas = seededSpread(`${name}.deltas`, 4 * classes * count, 10).map((value, i) =>
    Math.trunc(i / (4 * classes)) % 10 === 0 ? value * 6 : value,
  );
  return {
    rois: {
      boxes,
      imageIndex: Int32Array.from(counts.flatMap((n, image) => Array.from({ length: n }, () => image))),
    },
    output: {
      classLogits: tensor2d(seededSpread(`${name}.logits`, classes * count, 8), [count, classes]),
      deltas: tensor2d(deltas, [count, 4 * classes]),
    },
  };
}

const f = Math.fround;
const config = { scoreThreshold: 0.05, nmsThreshold: 0.5, maxDetections: 100 };

describe("selectDetections", () => {
  const libraries = [
    { what: "torchvision's postprocess_detections", cases, options: {} },
    { what: "detectron2's fast_rcnn_inference", cases: detectron2, options: { minSize: 0, firstLabel: 0 } },
  ] as const;
  const all = libraries.flatMap(({ what, cases: own, options }) =>
    Object.entries(own).map(([name, want]) => ({ what, name, want, options })),
  );

  it.each(all)("equals $what: $name", async ({ name, want, options }) => {
    const { output, rois } = inputs(name, want.counts, want.classes);
    const found = await selectDetections(output, rois, sizes, {
      scoreThreshold: want.threshold,
      nmsThreshold: want.nms,
      maxDetections: want.most,
      ...options,
    });
    expect(found).toHaveLength(2);
    for (const [image, expected] of want.images.entries()) {
      expect([...found[image]!.labels]).toEqual(expected.labels);
      await expectClose(found[image]!.boxes, expected.boxes);
      await expectClose(found[image]!.scores, expected.scores);
    }
  });

  it.each(Object.keys(matterport.cases))(
    "equals matterport's refine_detections: one class per RoI, %s",
    async (name) => {
      const { side, window, count, classes } = matterport;
      const want = matterport.cases[name]!;
      const u = seededUniform(`${name}.rois`, 4 * count);
      const boxes = Float32Array.from(u, (value, i) => {
        if (Math.trunc(i / 4) % 9 === 0) return 0;
        return f(i % 4 < 2 ? 90 * value : 90 * u[i - 2]! + 4 + 40 * value) / (side - 1);
      });
      const output: BoxHeadOutput = {
        classLogits: tensor2d(seededSpread(`${name}.logits`, classes * count, 8), [count, classes]),
        deltas: tensor2d(seededSpread(`${name}.deltas`, 4 * classes * count, 10), [count, 4 * classes]),
      };
      const [found] = await selectDetections(
        output,
        { boxes, imageIndex: new Int32Array(count) },
        [{ height: 1, width: 1 }],
        {
          scoreThreshold: want.least,
          nmsThreshold: want.nms,
          maxDetections: want.most,
          minSize: 0,
          decoding: { maxLogScale: Infinity, rounding: "matterport" },
          classes: "best",
          suppression: "separate",
          inclusiveThreshold: true,
          windows: Float32Array.from(window, (v) => v / (side - 1)),
        },
      );
      expect([...found!.labels]).toEqual(want.labels);
      await expectClose(
        found!.boxes.map((v) => v * (side - 1)),
        want.boxes,
        { atol: 1e-4 },
      );
      await expectClose(found!.scores, want.scores);
    },
  );

  // One image of 20x20; two RoIs on one spot, three classes. Both have probability 1/2 for class 1.
  const twice: Rois = { boxes: Float32Array.of(0, 0, 10, 10, 0, 0, 10, 10), imageIndex: new Int32Array(2) };
  const image = [{ height: 20, width: 20 }];
  const still = (logits: readonly number[]): BoxHeadOutput => ({
    classLogits: tensor2d([...logits], [2, 3]),
    deltas: tensor2d(new Float32Array(24), [2, 12]),
  });

  it("suppresses within a class only, never answers background", async () => {
    const ln2 = Math.log(2);
    // Row 0: 1/4 1/2 1/4; row 1: 1/2 1/4 1/4. Class 1 keeps row 0; of class 2's tie the first stays.
    const [found] = await selectDetections(still([0, ln2, 0, ln2, 0, 0]), twice, image, config);
    expect([...found!.labels]).toEqual([1, 2]);
    await expectClose(found!.scores, [0.5, 0.25]);
    expect([...found!.boxes]).toEqual([0, 0, 10, 10, 0, 0, 10, 10]);
  });

  it("keeps scores above the threshold, not at it", async () => {
    const [found] = await selectDetections(still([0, 0, -200, 0, -200, 0]), twice, image, {
      ...config,
      scoreThreshold: 0.5,
    });
    expect(found!.labels).toHaveLength(0);
  });

  it("gives empty arrays for images without RoIs", async () => {
    const found = await selectDetections(still([0, 9, 0, 0, 9, 0]), twice, [...image, ...image], config);
    expect(found[0]!.labels).toHaveLength(1);
    expect([found[1]!.labels.length, found[1]!.boxes.length, found[1]!.scores.length]).toEqual([0, 0, 0]);
    const nothing = { classLogits: tensor2d([], [0, 3]), deltas: tensor2d([], [0, 12]) };
    const none = { boxes: new Float32Array(0), imageIndex: new Int32Array(0) };
    expect((await selectDetections(nothing, none, image, config))[0]!.labels).toHaveLength(0);
  });

  it("says what disagrees", async () => {
    const none = { boxes: new Float32Array(0), imageIndex: new Int32Array(0) };
    await expect(selectDetections(still([0, 0, 0, 0, 0, 0]), none, image, config)).rejects.toThrow(
      ShapeError,
    );
    const deltas = tensor2d(new Float32Array(8), [2, 4]);
    await expect(
      selectDetections({ ...still([0, 0, 0, 0, 0, 0]), deltas }, twice, image, config),
    ).rejects.toThrow(/output.deltas must have shape \[2, 12\], got \[2, 4\]/);
  });

  it("leaves no tensor behind, and its arguments alive", async () => {
    const output = still([0, 1, 2, 3, 4, 5]);
    await expectNoLeaks(async () => {
      await selectDetections(output, twice, image, config);
      return [];
    });
    expect(output.classLogits.isDisposed || output.deltas.isDisposed).toBe(false);
  });
});
