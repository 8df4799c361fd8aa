import { dispose, mean, square, zeros } from "@tensorflow/tfjs-core";
import type { Scalar, Tensor4D } from "@tensorflow/tfjs-core";
import { createRandom } from "@mrcnn/core";
import { disposeParams, flattenParams, toVariable } from "@mrcnn/nn";
import {
  expectNoLeaks,
  expectSummary,
  golden,
  gradientsOf,
  seedVariables,
  seededInput,
} from "@mrcnn/testing";
import type { Summary } from "@mrcnn/testing";
import { expect, it } from "vitest";
import { applyKeypointHead, initKeypointHead } from "../src/keypoint-head.ts";

const { config, keypoint } = golden<{
  config: { rois: number; channels: number; side: number };
  keypoint: { outputs: { logits: Summary }; gradients: Record<string, Summary> };
}>(import.meta.url, "heads");

it("equals torchvision's keypoint head and its gradients", async () => {
  const params = initKeypointHead(
    { inChannels: config.channels, layers: [5, 7], keypoints: 3 },
    createRandom(1),
  );
  const variables = flattenParams(params);
  seedVariables(variables);
  const pooled = toVariable(
    seededInput("pooled", [config.rois, config.side, config.side, config.channels]),
  ) as unknown as Tensor4D;
  const logits = applyKeypointHead(params, pooled);
  expect(logits.shape).toEqual([config.rois, 4 * config.side, 4 * config.side, 3]);
  await expectSummary(logits, keypoint.outputs.logits, "logits", 2e-5);

  const loss = (): Scalar => mean(square(applyKeypointHead(params, pooled)));
  const gradients = gradientsOf(loss, new Map([["pooled", pooled as never], ...variables]));
  expect([...gradients.keys()].toSorted()).toEqual(Object.keys(keypoint.gradients).toSorted());
  for (const [key, gradient] of gradients) await expectSummary(gradient, keypoint.gradients[key]!, key, 2e-5);

  await expectNoLeaks(() => applyKeypointHead(params, pooled));
  dispose([pooled, logits, ...gradients.values()]);
  disposeParams(params);
});

it("takes no RoIs at all", () => {
  const params = initKeypointHead({ inChannels: 2, layers: [2], keypoints: 17 }, createRandom(1));
  const pooled = zeros([0, 14, 14, 2]) as Tensor4D;
  const logits = applyKeypointHead(params, pooled);
  expect(logits.shape).toEqual([0, 56, 56, 17]);
  dispose([pooled, logits]);
  disposeParams(params);
});
