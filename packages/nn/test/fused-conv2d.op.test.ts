// Backends take a convolution with what follows it (bias, a sum, relu) in ways of their own: a single image,
// wide inputs, bands of rows, one op for all. Every one must agree with the definition.
import { dispose, fused, grad } from "@tensorflow/tfjs-core";
import type { Tensor, Tensor4D } from "@tensorflow/tfjs-core";
import { describe, it } from "vitest";
import { expectClose, expectGradients, expectNoLeaks, seededInput } from "@mrcnn/testing";
import { conv2d, dense } from "../src/index.ts";

interface Case {
  readonly x: readonly [number, number, number, number];
  /** [height, width, out]. */
  readonly filter: readonly [number, number, number];
  readonly stride?: number;
  readonly padding?: number;
  readonly dilation?: number;
  readonly bias?: false;
  readonly addend?: true;
  readonly relu?: false;
}

const sizeOf = ({
  x: [batch, height, width],
  filter: [h, w, out],
  stride = 1,
  padding = 0,
  dilation = 1,
}: Case): [number, number, number, number] => {
  const along = (n: number, k: number): number =>
    Math.floor((n + 2 * padding - dilation * (k - 1) - 1) / stride) + 1;
  return [batch, along(height, h), along(width, w), out];
};

function naive(
  x: ArrayLike<number>,
  w: ArrayLike<number>,
  b: ArrayLike<number>,
  addend: ArrayLike<number>,
  one: Case,
): Float32Array {
  const {
    x: [, H, W, C],
    filter: [h, k, K],
    stride = 1,
    padding = 0,
    dilation = 1,
    relu,
  } = one;
  const [batch, rows, columns] = sizeOf(one);
  const y = new Float32Array(batch * rows * columns * K);
  let at = 0;
  for (let n = 0; n < batch; n++) {
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        for (let o = 0; o < K; o++, at++) {
          let sum = (b[o] ?? 0) + (addend[at] ?? 0);
          for (let i = 0; i < h; i++) {
            for (let j = 0; j < k; j++) {
              const [yy, xx] = [r * stride + i * dilation - padding, c * stride + j * dilation - padding];
              if (yy < 0 || yy >= H || xx < 0 || xx >= W) continue;
              for (let q = 0; q < C; q++)
                sum += x[((n * H + yy) * W + xx) * C + q]! * w[((i * k + j) * C + q) * K + o]!;
            }
          }
          y[at] = relu === false ? sum : Math.max(0, sum);
        }
      }
    }
  }
  return y;
}

const cases: Record<string, Case> = {
  "two bands, 3x3": { x: [1, 16, 9, 3], filter: [3, 3, 4], padding: 1 },
  "eight bands, 3x3": { x: [1, 64, 7, 2], filter: [3, 3, 3], padding: 1 },
  "3x3 of stride 2, even and odd columns": { x: [1, 32, 11, 2], filter: [3, 3, 3], stride: 2, padding: 1 },
  "the stem, 7x7 of stride 2": { x: [1, 64, 20, 3], filter: [7, 7, 2], stride: 2, padding: 3 },
  "5x3 without padding": { x: [1, 20, 8, 2], filter: [5, 3, 2] },
  "rows that do not halve": { x: [1, 17, 9, 2], filter: [3, 3, 2], padding: 1 },
  "one wide image, 3x3": { x: [1, 6, 5, 256], filter: [3, 3, 17], padding: 1 },
  "one wide image, 3x3 of stride 2, without relu": {
    x: [1, 7, 5, 260],
    filter: [3, 3, 4],
    stride: 2,
    padding: 1,
    relu: false,
  },
  "one wide, large image, 3x3": { x: [1, 64, 5, 256], filter: [3, 3, 4], padding: 1 },
  "one wide, large image, 3x5 of stride 2": {
    x: [1, 66, 7, 256],
    filter: [3, 5, 3],
    stride: 2,
    padding: 1,
    relu: false,
  },
  "one wide image plus another": { x: [1, 5, 4, 256], filter: [3, 3, 5], padding: 1, addend: true },
  "one image, 1x1, plus another": { x: [1, 5, 4, 33], filter: [1, 1, 16], addend: true },
  "two images plus others, without relu": {
    x: [2, 5, 7, 6],
    filter: [3, 3, 16],
    padding: 1,
    addend: true,
    relu: false,
  },
  "two images plus others, stride 2": {
    x: [2, 6, 7, 16],
    filter: [3, 3, 32],
    stride: 2,
    padding: 1,
    addend: true,
  },
  "a sum without bias": { x: [2, 4, 4, 3], filter: [3, 3, 5], padding: 1, bias: false, addend: true },
  "dilated by 2": { x: [2, 9, 8, 4], filter: [3, 3, 5], padding: 2, dilation: 2 },
  "dilated by 2, one image, plus another": {
    x: [1, 9, 8, 4],
    filter: [3, 3, 5],
    padding: 2,
    dilation: 2,
    addend: true,
  },
};

describe("a convolution with what follows it", () => {
  for (const [name, one] of Object.entries(cases)) {
    it(`${name}: equals the definition`, async () => {
      const { stride = 1, padding = 0, dilation = 1 } = one;
      const [h, w, out] = one.filter;
      const x = seededInput("x", [...one.x]) as Tensor4D;
      const weight = seededInput("w", [h, w, one.x[3], out]);
      const bias = seededInput("b", [out]);
      const addend = seededInput("a", sizeOf(one)) as Tensor4D;
      const [xs, ws, bs, as] = await Promise.all([x.data(), weight.data(), bias.data(), addend.data()]);
      const params = (one.bias === false ? { weight } : { weight, bias }) as never;
      const run = (): Tensor =>
        conv2d(params, x, {
          stride,
          padding,
          dilation,
          ...(one.addend && { addend }),
          ...(one.relu !== false && { activation: "relu" }),
        });
      const y = run();
      await expectClose(y, naive(xs, ws, one.bias === false ? [] : bs, one.addend ? as : [], one), {
        atol: 1e-4,
        rtol: 1e-4,
      });
      await expectNoLeaks(run);
      dispose([x, weight, bias, addend, y]);
    });
  }

  it("has the numeric gradient of all it sums", async () => {
    const inputs = [
      seededInput("x", [1, 4, 4, 2]),
      seededInput("w", [3, 3, 2, 3]),
      seededInput("b", [3]),
      seededInput("a", [1, 4, 4, 3]),
    ];
    for (const activation of [undefined, "relu"] as const) {
      await expectGradients(
        (x, weight, bias, addend) =>
          conv2d({ weight, bias } as never, x as Tensor4D, {
            padding: 1,
            addend: addend as Tensor4D,
            activation,
          }),
        inputs,
      );
    }
    dispose(inputs);
  });

  it("has a bias gradient that sums many rows", async () => {
    const x = seededInput("x", [2, 151, 67, 1]) as Tensor4D;
    const [weight, bias, dy] = [
      seededInput("w", [1, 1, 1, 5]),
      seededInput("b", [5]),
      seededInput("dy", [2, 151, 67, 5]),
    ];
    const gradient = grad((b: Tensor) => conv2d({ weight, bias: b } as never, x))(bias, dy);
    const wanted = new Float64Array(5);
    for (const [i, value] of (await dy.data()).entries()) wanted[i % 5] = wanted[i % 5]! + value;
    await expectClose(gradient, wanted, { atol: 1e-2, rtol: 1e-4 });
    dispose([x, weight, bias, dy, gradient]);
  });

  // TensorFlow.js's own callers give strides and dilations as numbers.
  it("takes strides as numbers, with an even filter", async () => {
    const shape: Case = { x: [1, 32, 9, 2], filter: [4, 3, 3], stride: 2 };
    const x = seededInput("x", [...shape.x]);
    const filter = seededInput("w", [4, 3, 2, 3]);
    const bias = seededInput("b", [3]);
    const [xs, ws, bs] = await Promise.all([x.data(), filter.data(), bias.data()]);
    // 32 rows to 16, of 4 by stride 2, want 2 rows more, 1 on each side; 9 columns to 5, of 3, also 1 on each side.
    const grown = new Float32Array(34 * 11 * 2);
    for (let r = 0; r < 32; r++) grown.set(xs.subarray(r * 18, r * 18 + 18), ((r + 1) * 11 + 1) * 2);
    const y = fused.conv2d({
      x: x as never,
      filter: filter as never,
      bias: bias as never,
      strides: 2,
      dilations: 1,
      pad: "same",
      activation: "relu",
    });
    await expectClose(y, naive(grown, ws, bs, [], { ...shape, x: [1, 34, 11, 2] }), {
      atol: 1e-4,
      rtol: 1e-4,
    });
    dispose([x, filter, bias, y]);
  });
});

describe("dense, with what follows it", () => {
  for (const [rows, terms, columns] of [
    [1, 3, 2],
    [7, 64, 48],
    [33, 1024, 5],
    [3, 2049, 17],
  ] as const) {
    it(`${rows} rows of ${terms} to ${columns}: equals the definition`, async () => {
      const x = seededInput("x", [rows, terms]);
      const weight = seededInput("w", [terms, columns]);
      const bias = seededInput("b", [columns]);
      const [xs, ws, bs] = await Promise.all([x.data(), weight.data(), bias.data()]);
      const wanted = naive(xs, ws, bs, [], { x: [rows, 1, 1, terms], filter: [1, 1, columns] });
      const y = dense({ weight, bias } as never, x as never, { activation: "relu" });
      await expectClose(y, wanted, { atol: 1e-3, rtol: 1e-4 });
      dispose([x, weight, bias, y]);
    });
  }
});
