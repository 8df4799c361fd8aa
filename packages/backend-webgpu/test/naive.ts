import type { Geometry } from "../src/gemm/window.ts";

/** A convolution of x by w, and its two gradients for dy, by their definition in float64. */
export function naiveConvolution(
  g: Geometry,
  x: ArrayLike<number>,
  w: ArrayLike<number>,
  dy: ArrayLike<number>,
): { y: Float64Array; dx: Float64Array; dw: Float64Array } {
  const [inGroup, outGroup] = [g.inChannels / g.groups, g.outChannels / g.groups];
  const y = new Float64Array(g.batch * g.output[0] * g.output[1] * g.outChannels);
  const dx = new Float64Array(g.batch * g.input[0] * g.input[1] * g.inChannels);
  const dw = new Float64Array(g.kernel[0] * g.kernel[1] * inGroup * g.outChannels);
  for (let n = 0; n < g.batch; n++) {
    for (let r = 0; r < g.output[0]; r++) {
      for (let c = 0; c < g.output[1]; c++) {
        const to = ((n * g.output[0] + r) * g.output[1] + c) * g.outChannels;
        for (let i = 0; i < g.kernel[0]; i++) {
          for (let j = 0; j < g.kernel[1]; j++) {
            const row = r * g.strides[0] + i * g.dilations[0] - g.before[0];
            const column = c * g.strides[1] + j * g.dilations[1] - g.before[1];
            if (row < 0 || row >= g.input[0] || column < 0 || column >= g.input[1]) continue;
            const from = ((n * g.input[0] + row) * g.input[1] + column) * g.inChannels;
            for (let o = 0; o < g.outChannels; o++) {
              const group = Math.floor(o / outGroup);
              for (let q = 0; q < inGroup; q++) {
                const [at, tap] = [
                  from + group * inGroup + q,
                  ((i * g.kernel[1] + j) * inGroup + q) * g.outChannels + o,
                ];
                y[to + o]! += x[at]! * w[tap]!;
                dx[at]! += dy[to + o]! * w[tap]!;
                dw[tap]! += x[at]! * dy[to + o]!;
              }
            }
          }
        }
      }
    }
  }
  return { y, dx, dw };
}

/** [rows, depth] by [depth, columns] for each of the batch, in float64. */
export function naiveProduct(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  [batch, rows, depth, columns]: readonly [number, number, number, number],
  { batchA = batch, batchB = batch } = {},
): Float64Array {
  const out = new Float64Array(batch * rows * columns);
  for (let n = 0; n < batch; n++) {
    const [atA, atB] = [batchA === 1 ? 0 : n * rows * depth, batchB === 1 ? 0 : n * depth * columns];
    for (let i = 0; i < rows; i++)
      for (let k = 0; k < depth; k++)
        for (let j = 0; j < columns; j++)
          out[(n * rows + i) * columns + j]! += a[atA + i * depth + k]! * b[atB + k * columns + j]!;
  }
  return out;
}
