import { tensor4d, zeros } from "@tensorflow/tfjs-core";
import type { Rank, Tensor4D } from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { expectClose, expectNoLeaks, golden, seededUniform } from "@mrcnn/testing";
import type { Rois } from "@mrcnn/core";
import { cropAndResize, cropAndResizePyramid } from "@mrcnn/roi-align";

interface Golden {
  readonly imageSize: readonly [number, number];
  readonly featureShape: readonly [number, number, number, number];
  readonly boxes: readonly number[];
  readonly imageIndex: readonly number[];
  readonly cases: readonly {
    readonly outputSize: readonly [number, number];
    readonly output: readonly number[];
  }[];
  readonly pyramid: {
    readonly side: number;
    readonly channels: number;
    readonly boxes: readonly number[];
    readonly outputSize: readonly [number, number];
    readonly output: readonly number[];
  };
}
const g = golden<Golden>(import.meta.url, "crop-and-resize");
const map = (name: string, shape: readonly [number, number, number, number]): Tensor4D =>
  tensor4d(
    Float32Array.from(
      seededUniform(
        name,
        shape.reduce((a, b) => a * b),
      ),
    ),
    [...shape],
  );
// The fixture has inclusive pixels: the last pixel of a side is side - 1.
const rois: Rois = {
  boxes: Float32Array.from(g.boxes, (v, i) => Math.fround(v) / (g.imageSize[(i + 1) % 2]! - 1)),
  imageIndex: Int32Array.from(g.imageIndex),
};
const close = { atol: 2e-7, rtol: 0 };

test("values equal TensorFlow's crop_and_resize, at and beyond the edges too", async () => {
  for (const { outputSize, output } of g.cases) {
    await expectClose(cropAndResize(map("map", g.featureShape), rois, { outputSize }), output, close);
  }
});

test("values equal those of matterport's PyramidROIAlign", async () => {
  const { side, channels, boxes, outputSize, output } = g.pyramid;
  const features = new Map(
    ["p2", "p3", "p4", "p5", "p6"].map((name, i) => [
      name,
      map(name, [1, side >> (i + 2), side >> (i + 2), channels]),
    ]),
  );
  const square = { height: side, width: side };
  const own: Rois = {
    boxes: Float32Array.from(boxes, (v) => Math.fround(v) / (side - 1)),
    imageIndex: new Int32Array(boxes.length / 4),
  };
  await expectClose(
    cropAndResizePyramid(features, own, { outputSize, imageSize: square, levelRule: "matterport" }),
    output,
    close,
  );
});

test("corners of a whole image are the map's corners", async () => {
  const corners: Rois = { boxes: Float32Array.of(0, 0, 1, 1), imageIndex: Int32Array.of(0) };
  const features = tensor4d([1, 2, 3, 4, 5, 6], [1, 2, 3, 1]);
  await expectClose(cropAndResize(features, corners, { outputSize: [2, 2] }), [1, 3, 4, 6], close);
});

test("many rois are pooled in parts", async () => {
  // 4096 channels and 25 bins: some 40 rois fit in one part.
  const count = 100;
  const features = tensor4d(
    Float32Array.from({ length: 2 * 4096 }, (_, i) => i % 4096),
    [2, 1, 1, 4096],
  );
  const many: Rois = {
    boxes: new Float32Array(4 * count),
    imageIndex: Int32Array.from({ length: count }, (_, i) => i % 2),
  };
  const crops = cropAndResize(features, many, { outputSize: [5, 5] });
  expect(crops.shape).toEqual([count, 5, 5, 4096]);
  const values = await crops.data();
  expect(values.every((value, i) => value === i % 4096)).toBe(true);
});

test("no rois give an empty tensor, and nothing leaks", async () => {
  const features = map("map", g.featureShape);
  const none: Rois = { boxes: new Float32Array(0), imageIndex: new Int32Array(0) };
  expect(cropAndResize(zeros<Rank.R4>([1, 2, 2, 5]), none, { outputSize: [2, 3] }).shape).toEqual([
    0, 2, 3, 5,
  ]);
  await expectNoLeaks(() => cropAndResize(features, rois, { outputSize: [2, 3] }));
});

test("what does not fit together is named", () => {
  const x = zeros<Rank.R4>([1, 4, 4, 1]);
  const one: Rois = { boxes: new Float32Array(4), imageIndex: Int32Array.of(1) };
  const options = { outputSize: [2, 2] } as const;
  expect(() => cropAndResize(x, one, options)).toThrow(
    "cropAndResize: rois.imageIndex must be in [0, 1), got 1.",
  );
  expect(() => cropAndResize(x, { ...one, boxes: new Float32Array(3) }, options)).toThrow(
    "cropAndResize: rois.boxes must hold 4 values, got 3.",
  );
  expect(() =>
    cropAndResize(x, { ...one, imageIndex: new Int32Array(1) }, { ...options, outputSize: [0, 2] }),
  ).toThrow("cropAndResize: outputSize must be two whole numbers of at least 1, got 0, 2.");
});
