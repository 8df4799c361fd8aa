import { tensor2d, zeros } from "@tensorflow/tfjs-core";
import type { Rank, Tensor2D } from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { expectClose, expectGradients, expectNoLeaks, golden } from "@mrcnn/testing";
import { boxArea, clipBoxes, decodeBoxes, encodeBoxes, pairwiseIou } from "@mrcnn/boxes/tensors";
import type { Golden } from "./golden.ts";

const fixture = golden<Golden>(import.meta.url, "boxes");
const boxes = (values: readonly number[]): Tensor2D => tensor2d([...values], [values.length / 4, 4]);

test("the tensor twins equal torchvision's values", async () => {
  const a = boxes(fixture.a);
  await expectClose(boxArea(a), fixture.area);
  await expectClose(pairwiseIou(a, boxes(fixture.b)), fixture.iou);
  await expectClose(clipBoxes(boxes(fixture.wide), { height: 120, width: 200 }), fixture.clipped);
  const reference = boxes(fixture.reference);
  for (const { weights, encoded, decoded } of fixture.coder) {
    await expectClose(encodeBoxes(a, reference, weights), encoded, { atol: 1e-5, rtol: 1e-5 });
    await expectClose(decodeBoxes(boxes(fixture.deltas), reference, weights), decoded, {
      atol: 1e-3,
      rtol: 1e-5,
    });
  }
});

test("decoding is differentiable in the deltas", async () => {
  const reference = boxes([0, 0, 4, 6, 1, 2, 9, 5]);
  const deltas = tensor2d([0.1, -0.2, 0.3, 0.1, -0.3, 0.2, -0.1, 0.4], [2, 4]);
  await expectGradients((x) => decodeBoxes(x as Tensor2D, reference, [1, 1, 1, 1]), [deltas]);
});

test("no boxes give empty results", () => {
  const none = zeros<Rank.R2>([0, 4]);
  expect(boxArea(none).shape).toEqual([0]);
  expect(pairwiseIou(none, boxes([0, 0, 1, 1])).shape).toEqual([0, 1]);
});

test("nothing leaks", async () => {
  const a = boxes(fixture.a);
  const b = boxes(fixture.reference);
  await expectNoLeaks(() => [
    boxArea(a),
    pairwiseIou(a, b),
    clipBoxes(a, { height: 10, width: 10 }),
    encodeBoxes(a, b, [1, 1, 1, 1]),
    decodeBoxes(a, b, [1, 1, 1, 1]),
  ]);
});

test("a wrong shape is named", () => {
  expect(() => boxArea(zeros<Rank.R2>([2, 5]))).toThrow("boxArea: boxes must have shape [*, 4], got [2, 5].");
});
