// Heads on given boxes: what they say of a library's boxes is what the library says, and nothing is dropped or reordered.
import { createRandom } from "@mrcnn/core";
import { expectClose, expectNoLeaks } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";
import { createMaskRcnn } from "../src/index.ts";
import type { MaskRcnn } from "../src/index.ts";
import { observeDetect } from "../src/profile.ts";
import type { NetworkInput } from "../src/profile.ts";
import { picture, stageCase, stageModel } from "./stage-model.ts";
import { squares, tinyConfig } from "./tiny-model.ts";

const { image } = squares({ height: 64, width: 64 }, [[10, 20]]);
const wide = squares({ height: 40, width: 80 }, [[10, 5]]).image;
const given = [Float32Array.of(5, 5, 30, 40, 0, 0, 64, 64, 5, 5, 30, 40), Float32Array.of(10, 5, 70.5, 38)];

async function using<T>(model: MaskRcnn, work: (model: MaskRcnn) => Promise<T>): Promise<T> {
  try {
    return await work(model);
  } finally {
    model.dispose();
  }
}

describe.each([
  "torchvision",
  "torchvision-v2",
  "torchvision-keypoint",
  "detectron2",
  "detectron2-c4",
  "detectron2-dc5",
  "detectron2-keypoint",
  "matterport",
  "matterport-portrait",
])("%s's own boxes", (name) => {
  const { image: size, stages, ...want } = stageCase(name);
  const photo = picture({ height: size[0], width: size[1] });

  it("get the masks and keypoints that the library gives them", () =>
    using(stageModel({ image: size, stages, ...want }), async (model) => {
      const { answer } = want;
      const [found] = await model.describe([photo], [Float32Array.from(answer.boxes)], {
        labels: [Int32Array.from(answer.labels)],
      });
      expect([...found!.boxes]).toEqual([...Float32Array.from(answer.boxes)]);
      const areas = found!.masks?.map(({ counts }) =>
        counts.reduce((sum, run, i) => sum + (i % 2 === 1 ? run : 0), 0),
      );
      for (const [i, area] of (answer.areas ?? []).entries())
        expect(Math.abs(areas![i]! - area)).toBeLessThanOrEqual(Math.max(2, area * 2e-3));
      const points = found!.keypoints?.points.filter((_, i) => i % 3 !== 2) ?? new Float32Array(0);
      await expectClose(points, [...(answer.keypoints ?? [])], { atol: 0.05, rtol: 0 });
    }));
});

// matterport's proposals are fractions, and its detections whole pixels.
describe.each(["torchvision", "detectron2-c4"])("%s's proposals", (name) => {
  const { image: size, stages, ...want } = stageCase(name);
  const photo = picture({ height: size[0], width: size[1] });

  it("get the probabilities and corrected boxes that detection chose from", () =>
    using(stageModel({ image: size, stages, ...want }), async (model) => {
      const [detected] = await model.detect([photo], { scoreThreshold: 0.01 });
      let proposals = new Float32Array(0);
      let scale = [1, 1];
      await observeDetect(model, [photo], async (stage, output) => {
        if (stage === "resize") {
          const [window] = (output as NetworkInput).windows;
          scale = [photo.width / window!.width, photo.height / window!.height];
        }
        if (stage === "proposals") proposals = new Float32Array(await boxesOf(output));
      });
      // Rows of negative coordinates fill up what a device chose.
      const valid = proposals
        .filter((_, i) => proposals[4 * Math.floor(i / 4)]! >= 0)
        .map((v, i) => v * scale[i % 2]!);
      const [found] = await model.describe([photo], [valid]);
      const classes = model.config.classes.length + 1;
      for (let row = 0; row < found!.labels.length; row++) {
        const own = [...found!.probabilities.subarray(row * classes, (row + 1) * classes)];
        expect(own.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
        expect(found!.scores[row]).toBe(Math.max(...own.slice(1)));
        expect(found!.labels[row]).toBe(own.indexOf(found!.scores[row]!, 1));
      }
      // Each detection is a corrected box of its class.
      const labels = [...detected!.labels.keys()].filter((i) => found!.labels.includes(detected!.labels[i]!));
      const [best] = labels;
      const asked = Int32Array.from(found!.labels, () => detected!.labels[best!]!);
      const [forced] = await model.describe([photo], [valid], { labels: [asked] });
      const box = [...detected!.boxes.subarray(4 * best!, 4 * best! + 4)];
      const distances = Array.from({ length: asked.length }, (_, row) =>
        Math.max(...box.map((v, k) => Math.abs(v - forced!.corrected[4 * row + k]!))),
      );
      const row = distances.indexOf(Math.min(...distances));
      expect(distances[row]).toBeLessThan(0.05);
      expect(forced!.scores[row]).toBeCloseTo(detected!.scores[best!]!, 4);
    }));
});

async function boxesOf(output: unknown): Promise<Float32Array> {
  const { boxes } = output as { boxes: Float32Array | { data(): Promise<Float32Array> } };
  return boxes instanceof Float32Array ? boxes : boxes.data();
}

it("boxes keep their order and images, alike ones get the same, and nothing is left", () =>
  using(
    createMaskRcnn(
      tinyConfig({ keypoints: ["nose", "tail"], keypointHead: { poolSize: 7, layers: [8] } }),
      createRandom(2),
    ),
    async (model) => {
      await expectNoLeaks(async () => {
        await model.describe([image, wide], given);
        return [];
      });
      const [first, second] = await model.describe([image, wide], given);
      expect([first!.labels.length, second!.labels.length]).toEqual([3, 1]);
      expect([
        first!.masks!.length,
        second!.masks!.length,
        first!.keypoints!.scores.length,
        second!.keypoints!.scores.length,
      ]).toEqual([3, 1, 6, 2]);
      expect([second!.imageSize, second!.masks![0]!.size]).toEqual([
        { height: 40, width: 80 },
        { height: 40, width: 80 },
      ]);
      const row = (values: Float32Array, i: number, length: number): number[] => [
        ...values.subarray(i * length, (i + 1) * length),
      ];
      expect(row(first!.probabilities, 2, 3)).toEqual(row(first!.probabilities, 0, 3));
      expect(first!.masks![2]).toEqual(first!.masks![0]);
      expect(first!.masks![1]).not.toEqual(first!.masks![0]);
      // In another order, and alone.
      const [swapped] = await model.describe([wide, image], [given[1]!, given[0]!]);
      expect([...swapped!.probabilities]).toEqual([...second!.probabilities]);
      expect([swapped!.masks, swapped!.keypoints]).toEqual([second!.masks, second!.keypoints]);
      for (const own of [first!, second!]) {
        const { height, width } = own.imageSize;
        own.corrected.forEach((v, i) => expect(v >= 0 && v <= (i % 2 === 0 ? width : height)).toBe(true));
      }
    },
  ));

it("an image without boxes gets nothing, no images give none", () =>
  using(createMaskRcnn(tinyConfig()), async (model) => {
    const nothing = {
      boxes: new Float32Array(0),
      corrected: new Float32Array(0),
      labels: new Int32Array(0),
      scores: new Float32Array(0),
      probabilities: new Float32Array(0),
      masks: [],
    };
    const found = await model.describe([image, wide], [new Float32Array(0), given[1]!]);
    expect(found[0]).toEqual({ ...nothing, imageSize: { height: 64, width: 64 } });
    expect(found[1]!.masks).toHaveLength(1);
    expect(await model.describe([image], [new Float32Array(0)])).toEqual([found[0]]);
    expect(await model.describe([], [])).toEqual([]);
  }));

it("a given label decides the mask and the score", () =>
  using(createMaskRcnn(tinyConfig()), async (model) => {
    const boxes = [given[0]!.subarray(0, 4)];
    const [one, two] = await Promise.all(
      [1, 2].map(
        async (label) => (await model.describe([image], boxes, { labels: [Int32Array.of(label)] }))[0]!,
      ),
    );
    expect([one!.labels[0], two!.labels[0]]).toEqual([1, 2]);
    expect([one!.scores[0], two!.scores[0]]).toEqual([one!.probabilities[1], one!.probabilities[2]]);
    expect(one!.masks).not.toEqual(two!.masks);
  }));

it.each<[string, readonly Float32Array[], object, string]>([
  ["no boxes for an image", [], {}, "boxes must be given for each of 1 images, got 0"],
  [
    "numbers that are no boxes",
    [new Float32Array(3)],
    {},
    "boxes[0] must hold four numbers for each box, got 3 in all",
  ],
  ["a box without area", [Float32Array.of(0, 0, 1, 1, 5, 5, 5, 9)], {}, "got (5, 5, 5, 9) for box 1"],
  ["a box upside down", [Float32Array.of(0, 9, 5, 5)], {}, "x1 < x2 and y1 < y2"],
  ["NaN", [Float32Array.of(0, 0, NaN, 5)], {}, "got (0, 0, NaN, 5) for box 0"],
  ["infinity", [Float32Array.of(0, 0, Infinity, 5)], {}, "got (0, 0, Infinity, 5) for box 0"],
  [
    "too few labels",
    [Float32Array.of(0, 0, 5, 5)],
    { labels: [new Int32Array(0)] },
    "labels[0] must hold one label for each of 1 boxes, got 0",
  ],
  [
    "labels of no image",
    [Float32Array.of(0, 0, 5, 5)],
    { labels: [] },
    "labels must be given for each of 1 images, got 0",
  ],
  [
    "the background's label",
    [Float32Array.of(0, 0, 5, 5)],
    { labels: [Int32Array.of(0)] },
    "labels[0] must be from 1 to 2, got 0",
  ],
  [
    "an unknown label",
    [Float32Array.of(0, 0, 5, 5)],
    { labels: [Int32Array.of(3)] },
    "labels[0] must be from 1 to 2, got 3",
  ],
  ["an option of detect", [Float32Array.of(0, 0, 5, 5)], { scoreThreshold: 0.5 }, "scoreThreshold"],
])("%s: refused", (_, boxes, options, message) =>
  using(createMaskRcnn(tinyConfig()), (model) =>
    expect(model.describe([image], boxes, options)).rejects.toThrow(message),
  ),
);
