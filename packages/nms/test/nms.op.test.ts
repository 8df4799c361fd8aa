import { tensor1d, tensor2d } from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { expectNoLeaks } from "@mrcnn/testing";
import { nms } from "@mrcnn/nms";

test("tensors give the host's answer and nothing leaks", async () => {
  const boxes = tensor2d([0, 0, 10, 5, 0, 0, 10, 10, 0, 0, 10, 6], [3, 4]);
  const scores = tensor1d([0.8, 0.9, 0.7]);
  expect([...(await nms(boxes, scores, { iouThreshold: 0.5 }))]).toEqual([1, 0]);
  await expectNoLeaks(async () => {
    await nms(boxes, scores, { iouThreshold: 0.5 });
    return [];
  });
});
