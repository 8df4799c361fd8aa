import { expect, test } from "vitest";
import { expectClose, golden } from "@mrcnn/testing";
import { roiAlignBackward, roiAlignForward } from "@mrcnn/roi-align/kernel";
import type { RoiAlignAttrs } from "@mrcnn/roi-align/kernel";
import { pattern, randomCases } from "./cases.ts";
import type { Golden } from "./cases.ts";
import { naiveRoiAlign, naiveRoiAlignGrad } from "./naive.ts";
import type { NaiveOptions } from "./naive.ts";

const attrsOf = ({ outputSize, ...rest }: NaiveOptions): RoiAlignAttrs => ({
  outputHeight: outputSize[0],
  outputWidth: outputSize[1],
  ...rest,
});

test("the loops agree with one sample at a time, forward and backward", async () => {
  for (const { shape, features, boxes, imageIndex, options, dy } of randomCases(150)) {
    const out = new Float32Array(dy.length).fill(NaN);
    roiAlignForward(features, shape, boxes, imageIndex, attrsOf(options), out);
    await expectClose(out, naiveRoiAlign(features, shape, boxes, imageIndex, options), { atol: 1e-5 });
    const dx = new Float32Array(features.length).fill(NaN);
    roiAlignBackward(dy, boxes, imageIndex, { ...attrsOf(options), inputShape: shape }, dx);
    await expectClose(dx, naiveRoiAlignGrad(dy, shape, boxes, imageIndex, options), { atol: 1e-5 });
  }
});

test("values and gradients equal torchvision's", async () => {
  const g = golden<Golden>(import.meta.url, "roi-align");
  const boxes = Float32Array.from(g.boxes);
  const imageIndex = Int32Array.from(g.imageIndex);
  const [outputHeight, outputWidth] = g.outputSize;
  for (const { aligned, samplingRatio, output, gradient } of g.cases) {
    const attrs: RoiAlignAttrs = {
      outputHeight,
      outputWidth,
      spatialScale: g.spatialScale,
      samplingRatio,
      aligned,
    };
    const out = new Float32Array(output.length);
    roiAlignForward(pattern(g.featureShape), g.featureShape, boxes, imageIndex, attrs, out);
    await expectClose(out, output, { atol: 2e-6, rtol: 1e-6 });
    const dx = new Float32Array(gradient.length);
    const dy = pattern([imageIndex.length, outputHeight, outputWidth, g.featureShape[3]]);
    roiAlignBackward(dy, boxes, imageIndex, { ...attrs, inputShape: g.featureShape }, dx);
    await expectClose(dx, gradient, { atol: 2e-6, rtol: 1e-6 });
  }
});

test("a box wholly outside gives zeros over old content", () => {
  const out = new Float32Array(4).fill(7);
  const attrs: RoiAlignAttrs = {
    outputHeight: 2,
    outputWidth: 2,
    spatialScale: 1,
    samplingRatio: 2,
    aligned: true,
  };
  roiAlignForward(
    new Float32Array(9).fill(1),
    [1, 3, 3, 1],
    Float32Array.of(50, 50, 60, 60),
    Int32Array.of(0),
    attrs,
    out,
  );
  expect([...out]).toEqual([0, 0, 0, 0]);
});
