import { getBackend, grads, mul, square, sum, tensor4d } from "@tensorflow/tfjs-core";
import type { Tensor, Tensor4D } from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { expectClose, expectGradients, expectNoLeaks, golden, seededUniform } from "@mrcnn/testing";
import type { Rois } from "@mrcnn/core";
import { roiAlignPyramid } from "@mrcnn/roi-align";
import { pattern } from "./cases.ts";

interface Golden {
  readonly imageSize: readonly [number, number];
  readonly featureSizes: Readonly<Record<string, readonly [number, number]>>;
  readonly batch: number;
  readonly channels: number;
  readonly boxes: readonly number[];
  readonly imageIndex: readonly number[];
  readonly outputSize: readonly [number, number];
  readonly samplingRatio: number;
  readonly cases: readonly { readonly canonicalScale: number; readonly output: readonly number[] }[];
}
const g = golden<Golden>(import.meta.url, "roi-align-pyramid");
const map = ([height, width]: readonly [number, number]): Tensor4D => {
  const shape = [g.batch, height, width, g.channels] as const;
  return tensor4d(pattern(shape), [...shape]);
};
const maps = (): Map<string, Tensor4D> =>
  new Map(Object.entries(g.featureSizes).map(([name, size]) => [name, map(size)]));
const rois: Rois = { boxes: Float32Array.from(g.boxes), imageIndex: Int32Array.from(g.imageIndex) };
const options = {
  outputSize: g.outputSize,
  samplingRatio: g.samplingRatio,
  aligned: false,
  imageSize: { height: g.imageSize[0], width: g.imageSize[1] },
} as const;

test("values equal those of torchvision's MultiScaleRoIAlign, p6 left out", async () => {
  for (const { canonicalScale, output } of g.cases) {
    await expectClose(roiAlignPyramid(maps(), rois, { ...options, canonicalScale }), output);
  }
});

test("values equal those of detectron2's ROIPooler, with as many samples as each bin has cells", async () => {
  const d2 = golden<Omit<Golden, "cases"> & { output: readonly number[] }>(import.meta.url, "detectron2");
  const features = new Map(
    Object.entries(d2.featureSizes).map(([name, [height, width]]) => {
      const shape: [number, number, number, number] = [2, height, width, d2.channels];
      return [
        name,
        tensor4d(
          Float32Array.from(
            seededUniform(
              name,
              shape.reduce((a, b) => a * b),
            ),
          ),
          shape,
        ),
      ];
    }),
  );
  const own: Rois = { boxes: Float32Array.from(d2.boxes), imageIndex: Int32Array.from(d2.imageIndex) };
  const imageSize = { height: d2.imageSize[0], width: d2.imageSize[1] };
  const pooled = roiAlignPyramid(features, own, {
    outputSize: d2.outputSize,
    samplingRatio: 0,
    aligned: true,
    imageSize,
    levelRule: "detectron2",
  });
  // TensorFlow places samples as fractions of the whole map, in float32; the map is noise.
  await expectClose(pooled, d2.output, { atol: getBackend() === "tensorflow" ? 5e-6 : 5e-7, rtol: 0 });
});

test("gradients reach every level in the order of the rois", async () => {
  // At canonical scale 2, sides 1, 4 and 2 belong to levels 0, 2 -> 1 and 1 of two levels.
  const few: Rois = {
    boxes: Float32Array.of(1, 1, 2, 2, 0, 0, 4, 4, 2, 1, 4, 3),
    imageIndex: Int32Array.of(0, 1, 0),
  };
  const small = {
    outputSize: [2, 2],
    samplingRatio: 2,
    aligned: true,
    imageSize: { height: 4, width: 4 },
    canonicalScale: 2,
    canonicalLevel: 1,
  } as const;
  const p0 = tensor4d(pattern([2, 4, 4, 1]), [2, 4, 4, 1]);
  const p1 = tensor4d(pattern([2, 2, 2, 1]), [2, 2, 2, 1]);
  const pool = (a: Tensor, b: Tensor): Tensor =>
    square(
      roiAlignPyramid(
        new Map([
          ["p0", a as Tensor4D],
          ["p1", b as Tensor4D],
        ]),
        few,
        small,
      ),
    );
  await expectGradients(pool, [p0, p1]);
});

test("no rois give an empty tensor", () => {
  const none: Rois = { boxes: new Float32Array(0), imageIndex: new Int32Array(0) };
  expect(roiAlignPyramid(maps(), none, options).shape).toEqual([0, ...g.outputSize, g.channels]);
});

test("nothing leaks, forward or backward", async () => {
  const features = maps();
  await expectNoLeaks(() => roiAlignPyramid(features, rois, { ...options, canonicalScale: 32 }));
  const inputs = ["p2", "p3", "p4", "p5"].map((name) => features.get(name)!);
  const loss = (...xs: Tensor[]): Tensor => {
    const named = new Map(xs.map((x, i) => [`p${i + 2}`, x as Tensor4D]));
    return sum(mul(roiAlignPyramid(named, rois, { ...options, canonicalScale: 32 }), 2));
  };
  await expectNoLeaks(() => grads(loss as never)(inputs));
});

test("missing and misplaced levels are named", () => {
  expect(() => roiAlignPyramid(maps(), rois, { ...options, levels: ["p2", "c3"] })).toThrow(
    'roiAlignPyramid: levels must name feature maps (p2, p3, p4, p5, p6), got "c3".',
  );
  expect(() => roiAlignPyramid(maps(), rois, { ...options, levels: ["p3", "p2"] })).toThrow(
    "roiAlignPyramid: features must halve from level to level, got heights 16, 32 for an image 128 high.",
  );
});
