import { memory } from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import type { Detections } from "@mrcnn/core";
import { createMaskRcnn } from "../src/index.ts";
import type { MaskRcnn } from "../src/index.ts";
import { squares, tinyConfig } from "./tiny-model.ts";

const { image } = squares({ height: 64, width: 64 }, [[10, 20]]);
const wide = squares({ height: 40, width: 80 }, [[10, 5]]).image;

async function using<T>(model: MaskRcnn, work: (model: MaskRcnn) => Promise<T>): Promise<T> {
  try {
    return await work(model);
  } finally {
    model.dispose();
  }
}

function expectDetections({ boxes, labels, scores, masks, imageSize }: Detections, classes: number): void {
  expect(boxes.length).toBe(4 * labels.length);
  expect(scores.length).toBe(labels.length);
  expect([...scores]).toEqual([...scores].toSorted((a, b) => b - a));
  for (const [i, label] of labels.entries()) {
    expect(label >= 1 && label <= classes).toBe(true);
    const [x1, y1, x2, y2] = boxes.subarray(4 * i, 4 * i + 4) as unknown as [number, number, number, number];
    expect(0 <= x1 && x1 < x2 && x2 <= imageSize.width + 1e-3, `x of box ${i}: ${x1}, ${x2}`).toBe(true);
    expect(0 <= y1 && y1 < y2 && y2 <= imageSize.height + 1e-3, `y of box ${i}: ${y1}, ${y2}`).toBe(true);
  }
  for (const mask of masks ?? []) {
    expect(mask.size).toEqual(imageSize);
    expect(mask.counts.reduce((a, b) => a + b, 0)).toBe(imageSize.height * imageSize.width);
  }
}

test("boxes, labels, scores and masks are in the pixels of each image, best first", () =>
  using(createMaskRcnn(tinyConfig()), async (model) => {
    const found = await model.detect([image, wide], { scoreThreshold: 0, maxDetections: 7 });
    expect(found.map(({ imageSize }) => imageSize)).toEqual([
      { height: 64, width: 64 },
      { height: 40, width: 80 },
    ]);
    for (const detections of found) {
      expect(detections.labels.length).toBe(7);
      expect(detections.masks).toHaveLength(7);
      expectDetections(detections, 2);
    }
  }));

test("an image with no detections gives empty arrays, no images none", () =>
  using(createMaskRcnn(tinyConfig()), async (model) => {
    const nothing = {
      boxes: new Float32Array(0),
      labels: new Int32Array(0),
      scores: new Float32Array(0),
      masks: [],
    };
    expect(await model.detect([image, wide], { scoreThreshold: 1 })).toEqual([
      { ...nothing, imageSize: { height: 64, width: 64 } },
      { ...nothing, imageSize: { height: 40, width: 80 } },
    ]);
    expect(await model.detect([])).toEqual([]);
  }));

test("Faster R-CNN has no mask head and detects without masks", () =>
  using(createMaskRcnn(tinyConfig({ mask: false })), async (model) => {
    expect([...model.variables.keys()].filter((name) => name.includes("mask"))).toEqual([]);
    const [found] = await model.detect([image], { scoreThreshold: 0 });
    expect(found!.labels.length).toBeGreaterThan(0);
    expect(found).not.toHaveProperty("masks");
    expectDetections(found!, 2);
  }));

test("a size of the network input for one call changes what it sees, not the units of the boxes", () =>
  using(createMaskRcnn(tinyConfig()), async (model) => {
    const [found] = await model.detect([wide], { scoreThreshold: 0, minSize: 96, maxSize: 200 });
    expectDetections(found!, 2);
    expect(Math.max(...found!.boxes)).toBeLessThanOrEqual(80.001);
  }));

test("nothing is left on the device over 20 detections, nor by the model itself", async () => {
  const start = memory().numTensors;
  await using(createMaskRcnn(tinyConfig()), async (model) => {
    await model.detect([image, wide], { scoreThreshold: 0, maxDetections: 3 });
    const before = memory().numTensors;
    for (let i = 0; i < 20; i++)
      await model.detect([i % 2 === 0 ? image : wide], {
        scoreThreshold: i % 3 === 0 ? 1 : 0,
        maxDetections: 3,
      });
    expect(memory().numTensors).toBe(before);
    await expect(model.detect([{ height: 1, width: 2000, data: new Uint8Array(6000) }])).rejects.toThrow(
      "Choose a larger maxSize",
    );
    expect(memory().numTensors).toBe(before);
  });
  expect(memory().numTensors).toBe(start);
});
