import { grad, grads, mul, sum, tensor4d, zeros } from "@tensorflow/tfjs-core";
import type { Rank, Tensor, Tensor4D } from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { expectClose, expectNoLeaks, golden } from "@mrcnn/testing";
import type { Rois } from "@mrcnn/core";
import { roiAlign } from "@mrcnn/roi-align";
import { pattern, randomCases } from "./cases.ts";
import type { Golden } from "./cases.ts";
import { naiveRoiAlign, naiveRoiAlignGrad } from "./naive.ts";

const ramp = (): Tensor4D =>
  tensor4d(
    Float32Array.from({ length: 25 }, (_, i) => i),
    [1, 5, 5, 1],
  );
const one: Rois = { boxes: Float32Array.of(1, 1, 3, 3), imageIndex: Int32Array.of(0) };

test("the 5x5 ramp of detectron2's own test", async () => {
  // Values 0..24; the box (1, 1, 3, 3) in 4x4 bins of half a pixel. With aligned coordinates the first bin's centre is
  // (0.75, 0.75): 5 * 0.75 + 0.75 = 4.5. Without, all shifts by half a pixel both ways: + 3.
  const rows = (first: number): number[] =>
    [0, 2.5, 5, 7.5].flatMap((y) => [0, 0.5, 1, 1.5].map((x) => first + y + x));
  const options = { outputSize: [4, 4], spatialScale: 1, samplingRatio: 0 } as const;
  await expectClose(roiAlign(ramp(), one, { ...options, aligned: true }), rows(4.5));
  await expectClose(roiAlign(ramp(), one, { ...options, aligned: false }), rows(7.5));
});

test("values and gradients agree with one sample at a time", async () => {
  for (const { shape, features, boxes, imageIndex, options, dy } of randomCases(50)) {
    const x = tensor4d(features, [...shape]);
    const f = (input: Tensor): Tensor4D => roiAlign(input as Tensor4D, { boxes, imageIndex }, options);
    const y = f(x);
    expect(y.shape).toEqual([imageIndex.length, ...options.outputSize, shape[3]]);
    await expectClose(y, naiveRoiAlign(features, shape, boxes, imageIndex, options), { atol: 1e-5 });
    const dx = grad(f)(x, tensor4d(dy, y.shape));
    expect(dx.shape).toEqual(shape);
    await expectClose(dx, naiveRoiAlignGrad(dy, shape, boxes, imageIndex, options), { atol: 1e-5 });
  }
});

test("values equal torchvision's", async () => {
  const g = golden<Golden>(import.meta.url, "roi-align");
  const features = tensor4d(pattern(g.featureShape), [...g.featureShape]);
  const rois: Rois = { boxes: Float32Array.from(g.boxes), imageIndex: Int32Array.from(g.imageIndex) };
  for (const { output, aligned, samplingRatio } of g.cases) {
    const options = { outputSize: g.outputSize, spatialScale: g.spatialScale, aligned, samplingRatio };
    await expectClose(roiAlign(features, rois, options), output);
  }
});

const options = { outputSize: [2, 3], spatialScale: 0.5, samplingRatio: 2, aligned: false } as const;

test("rois too many for one go each count once", async () => {
  // 40 rois of 128x128 samples in 64 channels: 42 million values, which a backend may sample in parts. Bilinear samples of an
  // affine map are exact, and their mean over a roi is the value at its centre. Gradients: each roi's weights sum to 1.
  const [rois, size, channels] = [40, 8, 64];
  const value = (y: number, x: number, c: number): number => 0.5 * y - 0.25 * x + 0.125 * c;
  const features = Float32Array.from({ length: size * size * channels }, (_, i) =>
    value(Math.floor(i / channels / size), Math.floor(i / channels) % size, i % channels),
  );
  const corner = (r: number): [number, number] => [0.5 + (r % 7) * 0.5, 0.5 + (r % 5) * 0.5];
  const boxes = Float32Array.from({ length: rois * 4 }, (_, i) => corner(i >> 2)[i & 1]! + (i & 2 ? 3 : 0));
  const x = tensor4d(features, [1, size, size, channels]);
  const f = (input: Tensor): Tensor4D =>
    roiAlign(
      input as Tensor4D,
      { boxes, imageIndex: new Int32Array(rois) },
      { outputSize: [1, 1], spatialScale: 1, samplingRatio: 128, aligned: true },
    );
  // In aligned coordinates pixel (0, 0) has its centre at 0.5.
  const centre = (i: number): [number, number] =>
    corner(Math.floor(i / channels)).map((begin) => begin + 1.5 - 0.5) as [number, number];
  const expected = Array.from({ length: rois * channels }, (_, i) =>
    value(centre(i)[1], centre(i)[0], i % channels),
  );
  await expectClose(f(x), expected, { atol: 1e-4 });
  const dy = Float32Array.from({ length: rois * channels }, (_, i) => 1 + Math.floor(i / channels));
  const dx = grad(f)(x, tensor4d(dy, [rois, 1, 1, channels]));
  await expectClose(sum(dx, [0, 1, 2]), Array<number>(channels).fill((rois * (rois + 1)) / 2), {
    atol: 0,
    rtol: 1e-4,
  });
});

test("no rois give an empty tensor", () => {
  const none: Rois = { boxes: new Float32Array(0), imageIndex: new Int32Array(0) };
  expect(roiAlign(zeros<Rank.R4>([2, 4, 4, 6]), none, options).shape).toEqual([0, 2, 3, 6]);
});

test("nothing leaks, forward or backward", async () => {
  const x = tensor4d(pattern([2, 6, 8, 3]), [2, 6, 8, 3]);
  const rois: Rois = {
    boxes: Float32Array.of(1, 2, 9, 8, 0, 0, 16, 12, 3, 3, 5, 5),
    imageIndex: Int32Array.of(1, 0, 1),
  };
  await expectNoLeaks(() => roiAlign(x, rois, options));
  await expectNoLeaks(() =>
    grads((input: Tensor) => sum(mul(roiAlign(input as Tensor4D, rois, options), 2)))([x]),
  );
});

test("what does not fit together is named", () => {
  const x = zeros<Rank.R4>([1, 4, 4, 1]);
  expect(() => roiAlign(x, { boxes: new Float32Array(3), imageIndex: new Int32Array(1) }, options)).toThrow(
    "roiAlign: rois.boxes must hold 4 values, got 3.",
  );
  expect(() => roiAlign(x, { boxes: new Float32Array(4), imageIndex: Int32Array.of(1) }, options)).toThrow(
    "roiAlign: rois.imageIndex must be in [0, 1), got 1.",
  );
  expect(() => roiAlign(x, one, { ...options, samplingRatio: 1.5 })).toThrow(
    "roiAlign: samplingRatio must be a whole number of at least 0, got 1.5.",
  );
});
