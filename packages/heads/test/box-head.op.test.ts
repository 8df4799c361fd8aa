import { add, dispose, mean, square, zeros } from "@tensorflow/tfjs-core";
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
import { applyBoxHead, initBoxHead } from "../src/box-head.ts";

const { config, box, boxV2 } = golden<{
  config: { rois: number; channels: number; side: number; hidden: number; classes: number };
  box: { outputs: { classLogits: Summary; deltas: Summary }; gradients: Record<string, Summary> };
  boxV2: { outputs: { classLogits: Summary; deltas: Summary } };
}>(import.meta.url, "heads");

const init = (): ReturnType<typeof initBoxHead> =>
  initBoxHead(
    {
      inChannels: config.channels,
      poolSize: config.side,
      representation: config.hidden,
      classes: config.classes,
    },
    createRandom(1),
  );

it("equals torchvision's box head and its gradients", async () => {
  const params = init();
  const variables = flattenParams(params);
  seedVariables(variables);
  const pooled = toVariable(
    seededInput("pooled", [config.rois, config.side, config.side, config.channels]),
  ) as unknown as Tensor4D;
  const { classLogits, deltas } = applyBoxHead(params, pooled);
  await expectSummary(classLogits, box.outputs.classLogits, "classLogits", 2e-5);
  await expectSummary(deltas, box.outputs.deltas, "deltas", 2e-5);

  const loss = (): Scalar => {
    const output = applyBoxHead(params, pooled);
    return add(mean(square(output.classLogits)), mean(square(output.deltas)));
  };
  const gradients = gradientsOf(loss, new Map([["pooled", pooled as never], ...variables]));
  expect([...gradients.keys()].toSorted()).toEqual(Object.keys(box.gradients).toSorted());
  for (const [key, gradient] of gradients) await expectSummary(gradient, box.gradients[key]!, key, 2e-5);

  await expectNoLeaks(() => Object.values(applyBoxHead(params, pooled)));
  dispose([pooled, classLogits, deltas, ...gradients.values()]);
  disposeParams(params);
});

it("equals torchvision's v2 box head: convolutions with batch norm, one hidden layer", async () => {
  const norm = "batch_norm";
  const params = initBoxHead(
    {
      inChannels: config.channels,
      poolSize: config.side,
      layers: [5, 7],
      norm,
      representation: config.hidden,
      classes: config.classes,
    },
    createRandom(1),
  );
  seedVariables(flattenParams(params));
  const pooled = seededInput("pooled", [config.rois, config.side, config.side, config.channels]) as Tensor4D;
  const { classLogits, deltas } = applyBoxHead(params, pooled, { norm });
  await expectSummary(classLogits, boxV2.outputs.classLogits, "classLogits", 2e-5);
  await expectSummary(deltas, boxV2.outputs.deltas, "deltas", 2e-5);
  await expectNoLeaks(() => Object.values(applyBoxHead(params, pooled, { norm })));
  const none = zeros([0, config.side, config.side, config.channels]) as Tensor4D;
  const nothing = applyBoxHead(params, none, { norm });
  expect(nothing.classLogits.shape).toEqual([0, config.classes]);
  expect(() => applyBoxHead(params, pooled)).toThrow(
    "applyBoxHead: the convolutions have norms; say which kind as `norm`.",
  );
  dispose([pooled, none, classLogits, deltas, ...Object.values(nothing)]);
  disposeParams(params);
});

it("names the size it needs", () => {
  const params = init();
  const pooled = seededInput("pooled", [1, 3, 3, config.channels]) as Tensor4D;
  expect(() => applyBoxHead(params, pooled)).toThrow(
    "applyBoxHead: pooled, flattened, must have shape [*, 294], got [1, 54].",
  );
  pooled.dispose();
  disposeParams(params);
});

it("takes no RoIs at all", () => {
  const params = init();
  const pooled = zeros([0, config.side, config.side, config.channels]) as Tensor4D;
  const { classLogits, deltas } = applyBoxHead(params, pooled);
  expect(classLogits.shape).toEqual([0, config.classes]);
  expect(deltas.shape).toEqual([0, 4 * config.classes]);
  dispose([pooled, classLogits, deltas]);
  disposeParams(params);
});
