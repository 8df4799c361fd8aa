// Convolutions, their gradients and matrix products against their definitions; runs where an adapter is.
import { backendState } from "../../../tools/setup/backends.mjs";
import { engine, memory, tensor } from "@tensorflow/tfjs-core";
import type { NamedAttrMap, NamedTensorMap, Tensor } from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose, seededSpread } from "@mrcnn/testing";
import { convolve } from "../src/kernels/conv2d.ts";
import { filterGradient } from "../src/kernels/conv2d-backprop-filter.ts";
import { geometryOf } from "../src/gemm/window.ts";
import type { ConvAttrs } from "../src/gemm/window.ts";
import { planOf, tiles } from "../src/gemm/tile.ts";
import type { Plan } from "../src/gemm/tile.ts";
import { convolveByWinograd, isWinogradFaster } from "../src/gemm/winograd.ts";
import { webgpuBackend } from "../src/index.ts";
import { startWebgpu } from "../src/node.ts";
import { naiveConvolution, naiveProduct } from "./naive.ts";

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);
const seeded = (name: string, shape: readonly number[]): Tensor =>
  tensor(seededSpread(name, sizeOf(shape), 2), shape as number[]);
const run = (name: string, inputs: NamedTensorMap, attrs: object): Tensor =>
  engine().runKernel(name, inputs, attrs as NamedAttrMap) as Tensor;
/** Sums of `depth` products of numbers up to 1. */
const tolerance = (depth: number) => ({ atol: 1e-6 * Math.sqrt(depth) + 1e-6, rtol: 1e-5 });

/** The nearest half, ties to even, of a number in the range of halves. */
function halfOf(value: number): number {
  const step = 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(value)))) - 10);
  const n = value / step;
  const low = Math.floor(n);
  return (n - low === 0.5 ? low + (low % 2 === 0 ? 0 : 1) : Math.round(n)) * step;
}

interface Case extends Partial<ConvAttrs> {
  readonly x: readonly [number, number, number, number];
  /** [height, width, out]. */
  readonly filter: readonly [number, number, number];
}

const cases: Record<string, Case> = {
  "one pixel, one channel": { x: [1, 1, 1, 1], filter: [1, 1, 1] },
  "1x1, of batch 2": { x: [2, 17, 3, 64], filter: [1, 1, 33] },
  "1x1, wide": { x: [1, 33, 17, 65], filter: [1, 1, 68] },
  "1x1 of stride 2": { x: [2, 17, 9, 12], filter: [1, 1, 8], strides: 2 },
  "3x3, channels of a vector": { x: [2, 17, 33, 8], filter: [3, 3, 68], pad: "same" },
  "3x3, odd channels": { x: [1, 17, 3, 5], filter: [3, 3, 3], pad: "same" },
  "3x3, in of a vector, odd out": { x: [1, 9, 11, 4], filter: [3, 3, 17], pad: "same" },
  "3x3, odd in, out of a vector": { x: [1, 9, 11, 3], filter: [3, 3, 16], pad: "same" },
  "3x3 without padding": { x: [1, 7, 5, 6], filter: [3, 3, 4] },
  "3x3 of stride 2, padded as torch does": {
    x: [2, 18, 17, 8],
    filter: [3, 3, 12],
    strides: 2,
    pad: [
      [0, 0],
      [1, 1],
      [1, 1],
      [0, 0],
    ],
  },
  "7x7 of stride 2, the stem": {
    x: [1, 33, 35, 3],
    filter: [7, 7, 64],
    strides: 2,
    pad: [
      [0, 0],
      [3, 3],
      [3, 3],
      [0, 0],
    ],
  },
  "padding of another width on each side": {
    x: [1, 9, 8, 4],
    filter: [3, 2, 5],
    pad: [
      [0, 0],
      [2, 1],
      [0, 3],
      [0, 0],
    ],
  },
  "strides that differ, padding beyond the filter": {
    x: [2, 10, 13, 4],
    filter: [2, 3, 4],
    strides: [3, 2],
    pad: [
      [0, 0],
      [3, 1],
      [1, 4],
      [0, 0],
    ],
  },
  "stride beyond the filter": { x: [1, 11, 10, 4], filter: [2, 1, 8], strides: 3 },
  "5x1 and 65 channels": { x: [1, 12, 4, 65], filter: [5, 1, 9], pad: "same" },
  "dilation 2": { x: [1, 17, 13, 8], filter: [3, 3, 8], dilations: 2, pad: "same" },
  "dilations that differ": {
    x: [2, 11, 12, 3],
    filter: [3, 3, 5],
    dilations: [2, 3],
    pad: [
      [0, 0],
      [2, 2],
      [3, 3],
      [0, 0],
    ],
  },
  "groups of 4": { x: [2, 9, 7, 16], filter: [3, 3, 24], groups: 4, pad: "same" },
  "groups of odd numbers of channels": {
    x: [1, 6, 9, 9],
    filter: [3, 3, 15],
    groups: 3,
    strides: 2,
    pad: [
      [0, 0],
      [1, 1],
      [1, 1],
      [0, 0],
    ],
  },
  "groups, 1x1": { x: [1, 5, 5, 12], filter: [1, 1, 8], groups: 2 },
  "groups, dilated": { x: [1, 9, 9, 8], filter: [3, 3, 8], groups: 2, dilations: 2, pad: "same" },
  "few outputs of great depth": { x: [1, 3, 5, 256], filter: [3, 3, 12], pad: "same" },
  "many pixels of few outputs": { x: [1, 65, 67, 8], filter: [1, 1, 3] },
};

// Software adapters compile each shader for seconds.
describe.skipIf(!backendState("webgpu").available)("on webgpu", { timeout: 900_000 }, () => {
  beforeAll(async () => {
    await startWebgpu();
  });

  it.each(Object.entries(cases))(
    "convolves as defined, and so both gradients: %s",
    async (name, { x: xShape, filter: [h, w, outChannels], groups = 1, ...rest }) => {
      const filterShape = [h, w, xShape[3] / groups, outChannels];
      const pair = (n: ConvAttrs["strides"] | undefined): readonly [number, number] =>
        typeof n === "object" ? n : [n ?? 1, n ?? 1];
      const attrs = {
        pad: "valid" as const,
        ...rest,
        strides: pair(rest.strides),
        dilations: pair(rest.dilations),
        groups,
        dataFormat: "NHWC" as const,
      };
      const geometry = geometryOf(xShape, filterShape, attrs);
      const before = memory().numTensors;
      const [x, filter] = [seeded(`x ${name}`, xShape), seeded(`w ${name}`, filterShape)];
      const dy = seeded(`dy ${name}`, [geometry.batch, ...geometry.output, outChannels]);
      const expected = naiveConvolution(geometry, await x.data(), await filter.data(), await dy.data());
      const y = run("FusedConv2D", { x, filter }, { ...attrs, activation: "linear" });
      expect(y.shape).toEqual(dy.shape);
      await expectClose(y, expected.y, tolerance(h * w * filterShape[2]!));
      const dx = run("MrcnnConv2DBackpropInput", { dy, filter }, { ...attrs, inputShape: xShape });
      expect(dx.shape).toEqual(xShape);
      await expectClose(dx, expected.dx, tolerance((h * w * outChannels) / groups));
      const dw = run("MrcnnConv2DBackpropFilter", { x, dy }, { ...attrs, filterShape });
      expect(dw.shape).toEqual(filterShape);
      await expectClose(dw, expected.dw, tolerance(geometry.batch * geometry.output[0] * geometry.output[1]));
      for (const one of [x, filter, dy, y, dx, dw]) one.dispose();
      expect(memory().numTensors).toBe(before);
    },
  );

  const divided = [
    { splits: 1, inChannels: 40, out: 64 },
    { splits: 4, inChannels: 37, out: 61 },
  ];
  it.each(
    tiles.flatMap((tile) =>
      divided.map(({ splits, ...channels }) => ({
        size: `${tile.threads[1] * tile.each[1]}x${tile.threads[0] * tile.each[0]}`,
        splits,
        ...channels,
        plan: { tile, splits },
      })),
    ),
  )(
    "divides the work in tiles of $size, its depth in $splits, $inChannels to $out channels",
    async ({ plan, inChannels, out }) => {
      const geometry = geometryOf([1, 13, 11, inChannels], [3, 3, inChannels, out], {
        strides: 1,
        pad: "same",
      });
      const [x, filter, bias] = [
        seeded("x", [1, 13, 11, inChannels]),
        seeded("w", [3, 3, inChannels, out]),
        seeded("b", [out]),
      ];
      const { y } = naiveConvolution(
        geometry,
        await x.data(),
        await filter.data(),
        new Float64Array(13 * 11 * out),
      );
      const b = await bias.data();
      const info = convolve(webgpuBackend(), x, filter, geometry, { bias, activation: "relu" }, plan);
      const actual = engine().makeTensorFromTensorInfo(info);
      await expectClose(
        actual,
        y.map((value, i) => Math.max(0, value + b[i % out]!)),
        tolerance(9 * inChannels),
      );
      for (const one of [x, filter, bias, actual]) one.dispose();
    },
  );

  const followed: Record<string, (v: number, channel: number, slope: ArrayLike<number>) => number> = {
    linear: (v) => v,
    relu: (v) => Math.max(0, v),
    relu6: (v) => Math.min(6, Math.max(0, v)),
    elu: (v) => (v >= 0 ? v : Math.expm1(v)),
    sigmoid: (v) => 1 / (1 + Math.exp(-v)),
    leakyrelu: (v) => (v >= 0 ? v : 0.3 * v),
    prelu: (v, channel, slope) => (v >= 0 ? v : slope[channel]! * v),
  };
  it.each(Object.keys(followed).flatMap((activation) => [3, 8].map((out) => ({ activation, out }))))(
    "adds bias and addend, then $activation, to $out channels",
    async ({ activation, out }) => {
      const shape = [2, 5, 3, out];
      const [x, filter, bias, addend, slopes] = [
        seeded("x", [2, 5, 3, 7]),
        seeded("w", [3, 3, 7, out]),
        seeded("b", [out]),
        seeded("addend", shape),
        seeded("slopes", [out]),
      ];
      const attrs = {
        strides: [1, 1] as const,
        pad: "same" as const,
        dilations: [1, 1] as const,
        dataFormat: "NHWC" as const,
        activation,
        leakyreluAlpha: 0.3,
      };
      const { y } = naiveConvolution(
        geometryOf(x.shape, filter.shape, attrs),
        await x.data(),
        await filter.data(),
        new Float64Array(sizeOf(shape)),
      );
      const [b, more, slope] = [await bias.data(), await addend.data(), await slopes.data()];
      const inputs = { x, filter, bias, ...(activation === "prelu" && { preluActivationWeights: slopes }) };
      const of = (values: Float64Array): Float64Array =>
        values.map((v, i) => followed[activation]!(v + b[i % out]!, i % out, slope));
      // FusedConv2D without an addend is in the suites of @mrcnn/nn.
      await expectClose(
        run("MrcnnConv2dAdd", { ...inputs, addend }, attrs),
        of(y.map((v, i) => v + more[i]!)),
        { atol: 2e-5, rtol: 1e-5 },
      );
    },
  );

  it.each([
    { batch: 1, rows: 1, depth: 1, columns: 1 },
    { batch: 1, rows: 1, depth: 3001, columns: 65 },
    { batch: 1, rows: 33, depth: 17, columns: 3 },
    { batch: 2, rows: 65, depth: 36, columns: 132 },
    { batch: 3, rows: 17, depth: 33, columns: 5 },
    { batch: 3, rows: 12, depth: 8, columns: 16, batchB: 1 },
    { batch: 2, rows: 5, depth: 7, columns: 3, batchA: 1 },
    { batch: 1, rows: 8, depth: 1024, columns: 364 },
  ])(
    "multiplies matrices, turned or not: %o",
    async ({ batch, rows, depth, columns, batchA = batch, batchB = batch }) => {
      const [a, b] = [
        seededSpread("a", batchA * rows * depth, 2),
        seededSpread("b", batchB * depth * columns, 2),
      ];
      const expected = naiveProduct(a, b, [batch, rows, depth, columns], { batchA, batchB });
      const turned = (from: Float32Array, n: number, height: number, width: number): Float32Array =>
        Float32Array.from(
          from,
          (_, i) =>
            from[
              Math.floor(i / (height * width)) * height * width +
                (i % height) * width +
                (Math.floor(i / height) % width)
            ]!,
        ).slice(0, n * height * width);
      for (const transposeA of [false, true]) {
        for (const transposeB of [false, true]) {
          const left =
            transposeA ?
              tensor(turned(a, batchA, rows, depth), [batchA, depth, rows])
            : tensor(a, [batchA, rows, depth]);
          const right =
            transposeB ?
              tensor(turned(b, batchB, depth, columns), [batchB, columns, depth])
            : tensor(b, [batchB, depth, columns]);
          const product = run("BatchMatMul", { a: left, b: right }, { transposeA, transposeB });
          expect(product.shape).toEqual([batch, rows, columns]);
          await expectClose(product, expected, tolerance(depth));
          for (const one of [left, right, product]) one.dispose();
        }
      }
    },
  );

  it("in float16 rounds factors only, packs weights that come again, and lets them go with their tensor", async () => {
    if (!(await startWebgpu()).features.includes("shader-f16")) {
      await expect(startWebgpu({ precision: "float16" })).rejects.toThrow(
        'startWebgpu: precision "float16" needs an adapter with the feature shader-f16',
      );
      return;
    }
    await startWebgpu({ precision: "float16" });
    try {
      const attrs = {
        strides: [1, 1] as const,
        pad: "same" as const,
        dilations: [1, 1] as const,
        dataFormat: "NHWC" as const,
      };
      const halves = (values: ArrayLike<number>): Float64Array => Float64Array.from(values, (v) => halfOf(v));
      for (const [inChannels, out] of [
        [8, 12],
        [3, 5],
      ] as const) {
        const [x, filter] = [seeded("x", [1, 9, 7, inChannels]), seeded("w", [3, 3, inChannels, out])];
        const geometry = geometryOf(x.shape, filter.shape, attrs);
        const { y } = naiveConvolution(
          geometry,
          halves(await x.data()),
          halves(await filter.data()),
          new Float64Array(63 * out),
        );
        const before = webgpuBackend().numDataIds();
        for (let i = 0; i < 3; i++) {
          const actual = run("FusedConv2D", { x, filter }, { ...attrs, activation: "linear" });
          await expectClose(actual, y, tolerance(9 * inChannels));
          actual.dispose();
        }
        expect(webgpuBackend().numDataIds()).toBe(before + 1);
        filter.dispose();
        x.dispose();
        expect(webgpuBackend().numDataIds()).toBe(before - 2);
      }
      const [a, b] = [tensor([[1e6, -1e6]]), tensor([[1], [0]])];
      const product = run(
        "_FusedMatMul",
        { a, b },
        { transposeA: false, transposeB: false, activation: "linear" },
      );
      expect([...(await product.data())]).toEqual([65504]);
    } finally {
      await startWebgpu();
    }
  });

  it("refuses a precision that is none", async () => {
    await expect(startWebgpu({ precision: "half" as never })).rejects.toThrow(
      "startWebgpu: precision must be one of float32, float16, got half.",
    );
  });

  it("cuts the depth of a filter's gradient in parts, which repeat bit for bit", async () => {
    const plan = planOf({ rows: 9, columns: 12, depth: 4 * 33 * 31, batch: 1 });
    expect(plan.splits).toBeGreaterThan(1);
    const [x, dy] = [seeded("x", [4, 33, 31, 1]), seeded("dy", [4, 33, 31, 12])];
    const geometry = geometryOf(x.shape, [3, 3, 1, 12], { strides: 1, pad: "same" });
    const once = async (): Promise<Float32Array> => {
      const dw = engine().makeTensorFromTensorInfo(filterGradient(webgpuBackend(), x, dy, geometry, plan));
      const values = Float32Array.from(await dw.data());
      dw.dispose();
      return values;
    };
    const first = await once();
    await expectClose(
      first,
      naiveConvolution(geometry, await x.data(), new Float32Array(108), await dy.data()).dw,
      tolerance(4 * 33 * 31),
    );
    for (let i = 0; i < 5; i++) expect(await once()).toEqual(first);
  });

  it.each([
    { shape: [1, 4, 4, 4], out: 4, pad: "same" as const },
    { shape: [2, 9, 14, 8], out: 12, pad: "same" as const, activation: "relu" },
    { shape: [1, 17, 3, 64], out: 68, pad: "valid" as const },
    {
      shape: [1, 6, 7, 12],
      out: 8,
      pad: [
        [0, 0],
        [2, 0],
        [0, 1],
        [0, 0],
      ] as const,
    },
  ])(
    "convolves by Winograd's method as defined, with an error of some 1e-5 of the values: %o",
    async ({ shape, out, pad, activation }) => {
      const [x, filter, bias] = [seeded("x", shape), seeded("w", [3, 3, shape[3]!, out]), seeded("b", [out])];
      const geometry = geometryOf(shape, filter.shape, { strides: 1, pad });
      const addend = seeded("addend", [geometry.batch, ...geometry.output, out]);
      const { y } = naiveConvolution(
        geometry,
        await x.data(),
        await filter.data(),
        new Float32Array(addend.size),
      );
      const [b, more] = [await bias.data(), await addend.data()];
      const expected = y.map((v, i) =>
        activation === "relu" ? Math.max(0, v + b[i % out]! + more[i]!) : v + b[i % out]! + more[i]!,
      );
      const before = webgpuBackend().numDataIds();
      for (let i = 0; i < 2; i++) {
        const actual = engine().makeTensorFromTensorInfo(
          convolveByWinograd(webgpuBackend(), x, filter, geometry, { bias, addend, activation }),
        );
        await expectClose(actual, expected, { atol: 2e-6 * Math.sqrt(9 * shape[3]!) + 2e-6, rtol: 1e-5 });
        actual.dispose();
      }
      expect(webgpuBackend().numDataIds()).toBe(before + 1); // the filter's transform, which goes with the filter
      for (const one of [x, filter, bias, addend]) one.dispose();
      expect(webgpuBackend().numDataIds()).toBe(before - 4);
    },
  );

  it("takes Winograd's method where it saves more operations than its traffic costs", () => {
    const of = (size: number, from: number, out: number, strides = 1): boolean =>
      isWinogradFaster(geometryOf([1, size, size, from], [3, 3, from, out], { strides, pad: "same" }));
    expect([of(128, 256, 256), of(64, 128, 128), of(32, 512, 512)]).toEqual([true, true, true]);
    expect([of(128, 32, 32), of(128, 256, 256, 2), of(128, 254, 256), of(4, 256, 256)]).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });

  it("plans small tiles and parts where there is little to fill a GPU with, large tiles where there is much", () => {
    const size = ({ tile, splits }: Plan): string =>
      `${tile.threads[1] * tile.each[1]}x${tile.threads[0] * tile.each[0]} by ${splits}`;
    // FPN's 3x3 on p2 of 800x1344; c5's 3x3; a sum over all pixels; the RPN's 3 outputs.
    expect(size(planOf({ rows: 67_200, columns: 256, depth: 2304, batch: 1 }))).toBe("128x128 by 1");
    expect(planOf({ rows: 1050, columns: 512, depth: 4608, batch: 1 }).splits).toBeGreaterThan(1);
    expect(planOf({ rows: 1, columns: 256, depth: 67_200, batch: 1 })).toMatchObject({
      tile: { threads: [16, 4] },
    });
    expect(planOf({ rows: 67_200, columns: 3, depth: 256, batch: 1 })).toMatchObject({
      tile: { threads: [4, 16] },
    });
  });
});
