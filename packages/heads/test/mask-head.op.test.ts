import { dispose, mean, square, zeros } from "@tensorflow/tfjs-core";
import type { Scalar, Tensor4D } from "@tensorflow/tfjs-core";
import { createRandom } from "@mrcnn/core";
import { disposeParams, flattenParams, toVariable } from "@mrcnn/nn";
import {
  expectClose,
  expectNoLeaks,
  expectSummary,
  golden,
  gradientsOf,
  seedVariables,
  seededInput,
} from "@mrcnn/testing";
import type { Summary } from "@mrcnn/testing";
import { expect, it } from "vitest";
import { applyMaskHead, applyMaskHeadOfLabels, initMaskHead } from "../src/mask-head.ts";

const { config, mask, maskV2 } = golden<{
  config: { rois: number; channels: number; side: number; classes: number };
  mask: { outputs: { logits: Summary }; gradients: Record<string, Summary> };
  maskV2: { outputs: { logits: Summary } };
}>(import.meta.url, "heads");

it("equals torchvision's mask head and its gradients", async () => {
  const params = initMaskHead(
    { inChannels: config.channels, layers: [5, 7], reduced: 8, classes: config.classes },
    createRandom(1),
  );
  const variables = flattenParams(params);
  seedVariables(variables);
  const pooled = toVariable(
    seededInput("pooled", [config.rois, config.side, config.side, config.channels]),
  ) as unknown as Tensor4D;
  const logits = applyMaskHead(params, pooled);
  expect(logits.shape).toEqual([config.rois, 2 * config.side, 2 * config.side, config.classes]);
  await expectSummary(logits, mask.outputs.logits, "logits", 2e-5);

  const loss = (): Scalar => mean(square(applyMaskHead(params, pooled)));
  const gradients = gradientsOf(loss, new Map([["pooled", pooled as never], ...variables]));
  expect([...gradients.keys()].toSorted()).toEqual(Object.keys(mask.gradients).toSorted());
  for (const [key, gradient] of gradients) await expectSummary(gradient, mask.gradients[key]!, key, 2e-5);

  await expectNoLeaks(() => applyMaskHead(params, pooled));
  dispose([pooled, logits, ...gradients.values()]);
  disposeParams(params);
});

it("equals torchvision's v2 mask head, with batch norm", async () => {
  const norm = "batch_norm";
  const params = initMaskHead(
    { inChannels: config.channels, layers: [5, 7], norm, reduced: 8, classes: config.classes },
    createRandom(1),
  );
  seedVariables(flattenParams(params));
  const pooled = seededInput("pooled", [config.rois, config.side, config.side, config.channels]) as Tensor4D;
  const logits = applyMaskHead(params, pooled, { norm });
  await expectSummary(logits, maskV2.outputs.logits, "logits", 2e-5);
  expect(() => applyMaskHead(params, pooled)).toThrow(
    "applyMaskHead: the convolutions have norms; say which kind as `norm`.",
  );
  dispose([pooled, logits]);
  disposeParams(params);
});

it("upsamples what has been convolved before, without layers of its own", () => {
  const params = initMaskHead({ inChannels: 4, layers: [], reduced: 3, classes: 2 }, createRandom(1));
  const pooled = zeros([2, 7, 7, 4]) as Tensor4D;
  const logits = applyMaskHead(params, pooled);
  expect(logits.shape).toEqual([2, 14, 14, 2]);
  dispose([pooled, logits]);
  disposeParams(params);
});

it("gives each RoI its own class's channel", async () => {
  const params = initMaskHead(
    { inChannels: config.channels, layers: [5, 7], reduced: 8, classes: config.classes },
    createRandom(1),
  );
  seedVariables(flattenParams(params));
  const pooled = toVariable(
    seededInput("pooled", [config.rois, config.side, config.side, config.channels]),
  ) as unknown as Tensor4D;
  const labels = Int32Array.from({ length: config.rois }, (_, i) => (i * 2 + 1) % config.classes);
  const own = applyMaskHeadOfLabels(params, pooled, labels);
  const all = applyMaskHead(params, pooled);
  const values = await all.data();
  const pixels = 4 * config.side ** 2;
  const expected = Float32Array.from(
    { length: config.rois * pixels },
    (_, i) => values[i * config.classes + labels[Math.floor(i / pixels)]!]!,
  );
  expect(own.shape).toEqual([config.rois, 2 * config.side, 2 * config.side]);
  await expectClose(own, expected);
  await expectNoLeaks(() => applyMaskHeadOfLabels(params, pooled, labels));
  expect(() => applyMaskHeadOfLabels(params, pooled, labels.subarray(1))).toThrow("labels must hold");
  dispose([pooled, own, all]);
  disposeParams(params);
});

it("takes no RoIs at all", () => {
  const params = initMaskHead({ inChannels: 2, layers: [2], reduced: 2, classes: 3 }, createRandom(1));
  const pooled = zeros([0, 14, 14, 2]) as Tensor4D;
  const logits = applyMaskHead(params, pooled);
  expect(logits.shape).toEqual([0, 28, 28, 3]);
  const own = applyMaskHeadOfLabels(params, pooled, new Int32Array(0));
  expect(own.shape).toEqual([0, 28, 28]);
  dispose([pooled, logits, own]);
  disposeParams(params);
});
