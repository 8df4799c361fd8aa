// A single image takes a way of its own on some backends (bands of rows); every one must agree with the definition.
import { dispose, fused, tensor1d, tensor4d } from "@tensorflow/tfjs-core";
import { describe, it } from "vitest";
import { expectClose, expectNoLeaks, seededInput } from "@mrcnn/testing";
import { conv2d } from "../src/index.ts";


interface Case {
  readonly x: readonly [number, number, number, number];
  readonly filter: readonly [number, number, number, number];
  readonly stride: number;
  readonly padding: number;
}

function naive(x: ArrayLike<number>, w: ArrayLike<number>, b: ArrayLike<number>, { x: [, H, W, C], filter: [h, k, , K], stride, padding }: Case): Float32Array {
  const [rows, columns] = [Math.floor((H + 2 * padding - h) / stride) + 1, Math.floor((W + 2 * padding - k) / stride) + 1];
  const y = new Float32Array(rows * columns * K);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      for (let o = 0; o < K; o++) {
        let sum = b[o]!;
        for (let i = 0; i < h; i++) {
          for (let j = 0; j < k; j++) {
            const [yy, xx] = [r * stride + i - padding, c * stride + j - padding];
            if (yy < 0 || yy >= H || xx < 0 || xx >= W) continue;
            for (let q = 0; q < C; q++) sum += x[(yy * W + xx) * C + q]! * w[((i * k + j) * C + q) * K + o]!;
          }
        }
        y[(r * columns + c) * K + o] = Math.max(0, sum);
      }
    }
  }
  return y;
}

const cases: Record<string, Case> = {
  "two bands, 3x3": { x: [1, 16, 9, 3], filter: [3, 3, 3, 4], stride: 1, padding: 1 },
  "eight bands, 3x3": { x: [1, 64, 7, 2], filter: [3, 3, 2, 3], stride: 1, padding: 1 },
  "3x3 of stride 2, even and odd columns": { x: [1, 32, 11, 2], filter: [3, 3, 2, 3], stride: 2, padding: 1 },
  "the stem, 7x7 of stride 2": { x: [1, 64, 20, 3], filter: [7, 7, 3, 2], stride: 2, padding: 3 },
  "5x3 without padding": { x: [1, 20, 8, 2], filter: [5, 3, 2, 2], stride: 1, padding: 0 },
  "rows that do not halve": { x: [1, 17, 9, 2], filter: [3, 3, 2, 2], stride: 1, padding: 1 },
};

describe("the convolution of a single image", () => {
  for (const [name, shape] of Object.entries(cases)) {
    it(`${name} equals the definition`, async () => {
      const x = seededInput("x", [...shape.x]);
      const w = seededInput("w", [...shape.filter]);
      const b = seededInput("b", [shape.filter[3]]);
      const [xs, ws, bs] = await Promise.all([x.data(), w.data(), b.data()]);
      const params = { weight: tensor4d(ws as Float32Array, [...shape.filter]), bias: tensor1d(bs as Float32Array) } as never;
      const image = tensor4d(xs as Float32Array, [...shape.x]);
      const run = () => conv2d(params, image, { stride: shape.stride, padding: shape.padding, activation: "relu" });
      const y = run();
      await expectClose(y, naive(xs, ws, bs, shape), { atol: 1e-4, rtol: 1e-4 });
      await expectNoLeaks(run);
      dispose([x, w, b, y, image]);
    });
  }

  // TensorFlow.js's own callers give strides and dilations as numbers.
  it("takes strides as numbers, with an even filter", async () => {
    const shape: Case = { x: [1, 32, 9, 2], filter: [4, 3, 2, 3], stride: 2, padding: 0 };
    const x = seededInput("x", [...shape.x]);
    const filter = seededInput("w", [...shape.filter]);
    const bias = seededInput("b", [3]);
    const [xs, ws, bs] = await Promise.all([x.data(), filter.data(), bias.data()]);
    // 32 rows to 16, of 4 by stride 2, want 2 rows more, 1 on each side; 9 columns to 5, of 3, also 1 on each side.
    const grown = new Float32Array(34 * 11 * 2);
    for (let r = 0; r < 32; r++) grown.set(xs.subarray(r * 18, r * 18 + 18), ((r + 1) * 11 + 1) * 2);
    const y = fused.conv2d({ x: x as never, filter: filter as never, bias: bias as never, strides: 2, dilations: 1, pad: "same", activation: "relu" });
    await expectClose(y, naive(grown, ws, bs, { ...shape, x: [1, 34, 11, 2] }), { atol: 1e-4, rtol: 1e-4 });
    dispose([x, filter, bias, y]);
  });
});
