import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { registerKernels } from "@mrcnn/core/tensors";
import { expectClose, expectNoLeaks } from "@mrcnn/testing";
import { roiAlign } from "@mrcnn/roi-align";
import {
  ROI_ALIGN,
  ROI_ALIGN_GRAD,
  roiAlignBackward,
  roiAlignForward,
  roiAlignGradConfig,
} from "@mrcnn/roi-align/kernel";
import type { RoiAlignAttrs, RoiAlignGradAttrs } from "@mrcnn/roi-align/kernel";
import { randomCases } from "./cases.ts";
import { naiveRoiAlign, naiveRoiAlignGrad } from "./naive.ts";
import type { Shape4D } from "./naive.ts";

// What this file needs of the plain backend.
interface PlainBackend {
  readonly data: { get(id: tf.DataId): { values: unknown } };
  makeTensorInfo(shape: number[], dtype: "float32", values: Float32Array): tf.TensorInfo;
}

// The contract as a backend fulfils it, on the plain backend: that kernels are found, that the gradient
// config reaches the backward kernel with what it needs.
let calls: string[] = [];
beforeAll(async () => {
  await tf.setBackend("cpu");
  const backend = tf.backend() as unknown as PlainBackend;
  const values = (x: tf.TensorInfo | undefined) =>
    backend.data.get(x!.dataId).values as Float32Array & Int32Array;
  registerKernels(
    [
      {
        kernelName: ROI_ALIGN,
        backendName: "cpu",
        kernelFunc: ({ inputs, attrs }) => {
          calls.push(ROI_ALIGN);
          const { features, boxes, imageIndex } = inputs;
          const a = attrs as unknown as RoiAlignAttrs;
          const shape = features!.shape as unknown as Shape4D;
          const out = new Float32Array(boxes!.shape[0]! * a.outputHeight * a.outputWidth * shape[3]);
          roiAlignForward(values(features), shape, values(boxes), values(imageIndex), a, out);
          return backend.makeTensorInfo(
            [boxes!.shape[0]!, a.outputHeight, a.outputWidth, shape[3]],
            "float32",
            out,
          );
        },
      },
      {
        kernelName: ROI_ALIGN_GRAD,
        backendName: "cpu",
        kernelFunc: ({ inputs, attrs }) => {
          calls.push(ROI_ALIGN_GRAD);
          const a = attrs as unknown as RoiAlignGradAttrs;
          const dx = new Float32Array(a.inputShape.reduce((x, y) => x * y));
          roiAlignBackward(
            values(inputs["dy"]),
            values(inputs["boxes"]),
            values(inputs["imageIndex"]),
            a,
            dx,
          );
          return backend.makeTensorInfo([...a.inputShape], "float32", dx);
        },
      },
    ],
    [roiAlignGradConfig],
  );
});

test("a registered kernel runs instead of the composition, and so does its gradient", async () => {
  for (const { shape, features, boxes, imageIndex, options, dy } of randomCases(10)) {
    calls = [];
    const f = (x: tf.Tensor): tf.Tensor4D => roiAlign(x as tf.Tensor4D, { boxes, imageIndex }, options);
    const x = tf.tensor4d(features, [...shape]);
    const y = f(x);
    await expectClose(y, naiveRoiAlign(features, shape, boxes, imageIndex, options));
    const dx = tf.grad(f)(x, tf.tensor(dy, y.shape));
    await expectClose(dx, naiveRoiAlignGrad(dy, shape, boxes, imageIndex, options));
    expect(calls).toEqual([ROI_ALIGN, ROI_ALIGN, ROI_ALIGN_GRAD]);
    await expectNoLeaks(() => tf.grad(f)(x));
  }
});
