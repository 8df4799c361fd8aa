import { describe, expect, it } from "vitest";
import * as tf from "@tensorflow/tfjs";
import type { NamedTensorMap, Tensor } from "@tensorflow/tfjs";
import { createRandom } from "@mrcnn/core";
import { kernels, registerWasmKernels } from "@mrcnn/backend-wasm";
import { expectClose, expectNoLeaks } from "@mrcnn/testing";

// The reference is TensorFlow.js's backend "cpu": plain loops, written by others.
registerWasmKernels();
await tf.setBackend("wasm");

const random = createRandom(7);
const normal = (shape: number[]): Tensor =>
  tf.tensor(
    Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => random.normal()),
    shape,
  );

async function on(backend: string, f: () => Tensor): Promise<{ shape: number[]; data: Float32Array }> {
  await tf.setBackend(backend);
  const y = tf.tidy(f);
  const result = { shape: y.shape, data: (await y.data()) as Float32Array };
  y.dispose();
  return result;
}

async function agree(f: () => Tensor, tolerance = 1e-4): Promise<void> {
  const expected = await on("cpu", f);
  const actual = await on("wasm", f);
  expect(actual.shape).toEqual(expected.shape);
  await expectClose(actual.data, expected.data, { atol: tolerance, rtol: tolerance });
  await tf.setBackend("wasm");
  await expectNoLeaks(() => tf.tidy(f));
  const held = tf.engine().backend.numDataIds();
  tf.dispose(tf.tidy(f));
  expect(tf.engine().backend.numDataIds(), "arrays left in the heap").toBe(held);
}

const run = (name: string, inputs: NamedTensorMap, attrs: object): Tensor =>
  tf.engine().runKernel(name, inputs, attrs as never) as Tensor;
type Pad =
  "same" | "valid" | number | [[number, number], [number, number], [number, number], [number, number]];
const around = (top: number, bottom: number, left: number, right: number): Pad => [
  [0, 0],
  [top, bottom],
  [left, right],
  [0, 0],
];

describe("registerWasmKernels", () => {
  it("may be called twice, and leaves no kernel of TensorFlow.js in place of ours", () => {
    registerWasmKernels();
    for (const { kernelName, kernelFunc } of kernels)
      expect(tf.getKernel(kernelName, "wasm").kernelFunc).toBe(kernelFunc);
  });
});

// [input, filter, stride, pad]: odd sizes, kernels as large as the input, paddings that differ by side.
const convolutions: [number[], [number, number, number, number], [number, number], Pad][] = [
  [[1, 4, 4, 1], [1, 1, 1, 1], [1, 1], "valid"],
  [[2, 5, 7, 3], [1, 1, 3, 4], [1, 1], "same"],
  [[2, 5, 8, 3], [1, 1, 3, 4], [2, 2], "same"],
  [[1, 6, 6, 2], [1, 1, 2, 3], [1, 1], around(1, 0, 2, 1)],
  [[2, 7, 5, 3], [3, 3, 3, 5], [1, 1], around(1, 1, 1, 1)],
  [[2, 7, 5, 3], [3, 3, 3, 5], [2, 2], around(1, 1, 1, 1)],
  [[1, 8, 6, 4], [3, 3, 4, 2], [2, 2], around(1, 1, 1, 1)],
  [[1, 9, 9, 2], [3, 3, 2, 2], [3, 2], "same"],
  [[2, 16, 15, 3], [7, 7, 3, 4], [2, 2], around(3, 3, 3, 3)],
  [[1, 7, 7, 5], [7, 7, 5, 6], [1, 1], "valid"],
  [[1, 6, 9, 2], [2, 3, 2, 3], [2, 1], around(0, 1, 2, 0)],
  [[1, 10, 10, 2], [2, 2, 2, 3], [3, 3], "valid"],
  [[1, 5, 5, 2], [2, 2, 2, 2], [1, 1], around(3, 3, 3, 3)],
  // More pixels than one chunk of the unrolled input holds.
  [[2, 40, 40, 32], [3, 3, 32, 8], [1, 1], "same"],
];

describe.each(convolutions)(
  "a convolution and its gradients %j with %j, strides %j, pad %j",
  (shape, filter, strides, pad) => {
    const x = normal(shape);
    const w = normal(filter);
    const dy = normal(
      tf.tidy(() => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, strides, pad as never)).shape,
    );
    const size = Math.sqrt(tf.util.sizeFromShape(shape));

    it("Conv2D", () => agree(() => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, strides, pad as never)));
    it("FusedConv2D", () => {
      const bias = normal([filter[3]]);
      const attrs = { strides, pad, dilations: [1, 1], dataFormat: "NHWC", activation: "relu" };
      return agree(() => run("FusedConv2D", { x, filter: w, bias }, attrs));
    });
    it("Conv2DBackpropInput", () =>
      agree(() =>
        run(
          "Conv2DBackpropInput",
          { dy, filter: w },
          { strides, pad, inputShape: shape, dataFormat: "NHWC" },
        ),
      ));
    it("Conv2DBackpropFilter", () =>
      agree(
        () =>
          run("Conv2DBackpropFilter", { x, dy }, { strides, pad, filterShape: filter, dataFormat: "NHWC" }),
        1e-5 * size + 1e-4,
      ));
  },
);

describe("other convolutions", () => {
  const [x, w] = [normal([2, 9, 8, 5]) as tf.Tensor4D, normal([3, 2, 5, 9]) as tf.Tensor4D];
  it("dilated", () => agree(() => tf.conv2d(x, w, 1, "same", "NHWC", [2, 3])));
  it("with an activation that is TensorFlow.js's", () =>
    agree(() => tf.fused.conv2d({ x, filter: w, strides: 1, pad: "same", activation: "relu6" })));
  it("without a bias or activation", () =>
    agree(() => tf.fused.conv2d({ x, filter: w, strides: [2, 1], pad: "valid" })));
});

describe("matrix products", () => {
  const cases: [number[], number[], boolean, boolean][] = [
    [[3, 5], [5, 2], false, false],
    [[5, 3], [5, 2], true, false],
    [[3, 5], [2, 5], false, true],
    [[33, 17], [20, 33], true, true],
    [[4, 17, 33], [4, 17, 20], true, false],
    [[4, 33, 17], [4, 17, 20], false, false],
    [[2, 3, 5, 4], [2, 3, 6, 4], false, true],
    [[1, 40, 30], [1, 30, 50], false, false],
    [[1, 700], [700, 13], false, false],
    [[600, 5], [600, 11], true, false],
    [[512, 5], [11, 512], true, true],
    [[3, 1, 300], [1, 300, 9], false, false],
    [[2, 1, 4, 5], [1, 3, 5, 6], false, false],
  ];
  it.each(cases)("%j x %j, transposed %s %s", (a, b, transposeA, transposeB) => {
    const [x, y] = [normal(a), normal(b)];
    return agree(() => tf.matMul(x, y, transposeA, transposeB));
  });

  it("with a bias, as dense layers have", () => {
    const [x, y, bias] = [normal([9, 33]), normal([33, 10]), normal([10])];
    return agree(() => tf.fused.matMul({ a: x as never, b: y as never, bias, activation: "relu" }));
  });

  it("with bias and activation", () => {
    const [x, y, bias] = [normal([7, 5]), normal([3, 7]), normal([3])];
    return agree(() =>
      tf.fused.matMul({
        a: x as never,
        b: y as never,
        transposeA: true,
        transposeB: true,
        bias,
        activation: "relu",
      }),
    );
  });
});

describe("reductions", () => {
  const cases: [number[], number[] | undefined, boolean][] = [
    [[2, 5, 3, 7], [0, 1, 2], false],
    [[2, 5, 3, 7], [1, 2], true],
    [[2, 5, 3, 7], [0, 2], false],
    [[2, 5, 3, 7], [-1], false],
    [[2, 5, 3, 7], undefined, false],
    [[4, 1], [0], true],
    [[0, 8], [0], false],
  ];
  it.each(cases)("%j over %j, keepDims %s", async (shape, axis, keepDims) => {
    const x = normal(shape);
    await agree(() => tf.sum(x, axis, keepDims));
    if (x.size > 0) await agree(() => tf.mean(x, axis, keepDims));
  });
});

describe("GatherV2", () => {
  const cases: [number[], number[], number][] = [
    [[5, 3, 4], [4, 0, 0, 2], 0],
    [[2, 5, 9], [4, 0, 1], 1],
    [[2, 5], [1, 1, 0], 0],
    [[4, 16], [], 0],
  ];
  it.each(cases)("%j, rows %j of axis %d", (shape, rows, axis) => {
    const [x, indices] = [normal(shape), tf.tensor1d(rows, "int32")];
    return agree(() => tf.gather(x, indices, axis));
  });
  it("takes indices of two dimensions", () => {
    const [x, indices] = [
      normal([5, 12]),
      tf.tensor2d(
        [
          [1, 2, 0],
          [4, 4, 3],
        ],
        [2, 3],
        "int32",
      ),
    ];
    return agree(() => tf.gather(x, indices));
  });
});

describe("PadV2", () => {
  const cases: [number[], [number, number][], number][] = [
    [
      [2, 3, 5, 4],
      [
        [0, 0],
        [1, 2],
        [3, 0],
        [0, 0],
      ],
      0,
    ],
    [
      [1, 4, 1, 3],
      [
        [0, 0],
        [0, 0],
        [1, 1],
        [0, 0],
      ],
      0,
    ],
    [
      [2, 3, 2, 2],
      [
        [0, 0],
        [1, 1],
        [1, 1],
        [0, 0],
      ],
      5,
    ],
    [
      [2, 3, 2, 2],
      [
        [1, 0],
        [0, 1],
        [0, 0],
        [0, 2],
      ],
      0,
    ],
    [
      [3, 2],
      [
        [1, 0],
        [0, 1],
      ],
      0,
    ],
  ];
  it.each(cases)("%j by %j with %d", (shape, paddings, value) => {
    const x = normal(shape);
    return agree(() => tf.pad(x, paddings, value));
  });
});

describe("MaxPoolGrad", () => {
  const cases: [number[], [number, number], [number, number], Pad][] = [
    [[2, 7, 9, 3], [3, 3], [2, 2], around(1, 1, 1, 1)],
    [[1, 4, 4, 2], [2, 2], [2, 2], "valid"],
    [[1, 5, 5, 1], [3, 2], [1, 1], "same"],
    [[1, 5, 5, 1], [1, 1], [2, 2], "same"],
  ];
  it.each(cases)("%j, window %j, strides %j, pad %j", (shape, filterSize, strides, pad) => {
    const input = normal(shape);
    const output = tf.maxPool(input as tf.Tensor4D, filterSize, strides, pad as never);
    const dy = normal(output.shape);
    return agree(() => run("MaxPoolGrad", { dy, input, output }, { filterSize, strides, pad }));
  });
});

// Not compared with backend cpu, whose gradient is wrong for every image of a batch but the first.
describe("ResizeNearestNeighborGrad is the transpose of the forward resize", () => {
  const cases: [number[], [number, number], boolean, boolean][] = [
    [[2, 3, 5, 4], [6, 10], false, false],
    [[2, 3, 5, 2], [5, 8], false, false],
    [[1, 6, 4, 2], [3, 3], false, false],
    [[2, 3, 5, 2], [7, 9], true, false],
    [[2, 3, 5, 2], [7, 8], false, true],
  ];
  it.each(cases)(
    "%j to %j, alignCorners %s, halfPixelCenters %s",
    async (shape, size, alignCorners, halfPixelCenters) => {
      // <resize(x), dy> = <x, resizeGrad(dy)>, tried on every unit x.
      const dy = normal([shape[0]!, ...size, shape[3]!]);
      const images = tf.zeros(shape);
      const work = (): Tensor =>
        run("ResizeNearestNeighborGrad", { images, dy }, { alignCorners, halfPixelCenters });
      const dx = work();
      const expected = new Float32Array(images.size);
      for (let i = 0; i < images.size; i++) {
        const unit = new Float32Array(images.size);
        unit[i] = 1;
        const y = tf.tidy(() =>
          tf.sum(
            tf.mul(
              tf.image.resizeNearestNeighbor(
                tf.tensor<tf.Rank.R4>(unit, shape as [number, number, number, number]),
                size,
                alignCorners,
                halfPixelCenters,
              ),
              dy,
            ),
          ),
        );
        expected[i] = (await y.data())[0]!;
      }
      await expectClose(dx, expected, { atol: 1e-5 });
      await expectNoLeaks(work);
    },
  );
});

describe("what TensorFlow.js lacks", () => {
  it("UnsortedSegmentSum adds rows by segment and drops negative ids", async () => {
    const x = normal([6, 2, 3]);
    const ids = tf.tensor1d([2, 0, 2, 5, 0, 2], "int32");
    await agree(() => tf.unsortedSegmentSum(x, ids, 7));
    const y = tf.unsortedSegmentSum(tf.tensor2d([[1], [2], [4]]), tf.tensor1d([1, -1, 1], "int32"), 2);
    await expectClose(y, [0, 5]);
  });
  it("MrcnnReluGrad passes the gradient where the output is positive", async () => {
    const y = tf.tensor1d([0, 1, 2, 0, 3, 0, -0]);
    const dy = tf.tensor1d([1, 2, 3, 4, 5, 6, 7]);
    await expectClose(run("MrcnnReluGrad", { dy, y }, {}), [0, 2, 3, 0, 5, 0, 0]);
  });
  it("LogSoftmax", () => {
    const x = normal([5, 7]);
    return agree(() => tf.logSoftmax(tf.mul(x, 50)));
  });
});
