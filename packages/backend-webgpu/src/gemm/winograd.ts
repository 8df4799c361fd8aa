/**
 * Winograd's convolution F(4x4, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
 * 2015): a patch of 6x6 pixels makes 4x4 outputs by 36 multiplications for each pair of channels instead of
 * 144. Between its transforms it is 36 matrix products, [patches, in] by [in, out].
 */
import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { MrcnnWebgpuBackend } from "../backend.ts";
import { run, spread } from "../program.ts";
import { epilogueOf } from "./epilogue.ts";
import type { Epilogue } from "./epilogue.ts";
import { multiply, rowsAt } from "./gemm.ts";
import { elements, matrix } from "./operand.ts";
import { OPERATIONS_PER_BYTE } from "./tile.ts";
import type { Geometry } from "./window.ts";

const PATCH = 6;
const OUT = 4;
const POINTS = PATCH * PATCH;

// Matrices for the points 0, 1, -1, 2, -2 and infinity: y = A'[(G g) * (B' d)].
const ofFilter = [
  [1 / 4, 0, 0],
  [-1 / 6, -1 / 6, -1 / 6],
  [-1 / 6, 1 / 6, -1 / 6],
  [1 / 24, 1 / 12, 1 / 6],
  [1 / 24, -1 / 12, 1 / 6],
  [0, 0, 1],
];
const ofInput = [
  [4, 0, -5, 0, 1, 0],
  [0, -4, -4, 1, 1, 0],
  [0, 4, -4, -1, 1, 0],
  [0, -2, -1, 2, 1, 0],
  [0, 2, -1, -2, 1, 0],
  [0, 4, 0, -5, 0, 1],
];
const ofOutput = [
  [1, 1, 1, 1, 1, 0],
  [0, 1, -1, 2, -2, 0],
  [0, 1, 1, 4, 4, 0],
  [0, 1, -1, 8, -8, 1],
];

const patchesOf = ({ batch, output: [height, width] }: Geometry): number =>
  batch * Math.ceil(height / OUT) * Math.ceil(width / OUT);

/**
 * Tells whether Winograd's convolution takes less time than windows, by operations and bytes: it needs a
 * fourth of the operations or a little more, but patches and their products are written and read again, 2.25
 * values for each.
 */
export function isWinogradFaster(geometry: Geometry): boolean {
  const { batch, output, kernel, strides, dilations, groups, inChannels, outChannels } = geometry;
  if (
    kernel[0] !== 3 ||
    kernel[1] !== 3 ||
    strides[0] * strides[1] * dilations[0] * dilations[1] * groups !== 1
  )
    return false;
  if (inChannels % 4 !== 0 || outChannels % 4 !== 0) return false;
  const pixels = batch * output[0] * output[1];
  const points = patchesOf(geometry) * POINTS;
  const saved = 2 * (9 * pixels - points) * inChannels * outChannels;
  const moved = 4 * (2 * points * (inChannels + outChannels) + (2 * POINTS + 9) * inChannels * outChannels);
  return saved > OPERATIONS_PER_BYTE * moved;
}

/** Generates `y` = the matrix times `x`, of vec4s by name, without the zeros. */
function transform(
  factors: readonly (readonly number[])[],
  x: (column: number) => string,
  y: (row: number) => string,
): string {
  return factors
    .map((row, i) => {
      const terms = row.flatMap((factor, j) =>
        factor === 0 ?
          []
        : [factor === 1 ? x(j) : `${Number.isInteger(factor) ? factor : factor.toPrecision(9)} * ${x(j)}`],
      );
      return `let ${y(i)} = ${terms.join(" + ")};`;
    })
    .join("\n  ");
}

/** Transforms along both axes: from `from` [n, n] to `to` [m, m]; names end in their row and column. */
function transformBoth(factors: readonly (readonly number[])[], from: string, to: string): string {
  const [m, n] = [factors.length, factors[0]!.length];
  const down = Array.from({ length: n }, (_, column) =>
    transform(
      factors,
      (i) => `${from}${i}_${column}`,
      (i) => `half_${to}${i}_${column}`,
    ),
  );
  const across = Array.from({ length: m }, (_, row) =>
    transform(
      factors,
      (j) => `half_${to}${row}_${j}`,
      (j) => `${to}${row}_${j}`,
    ),
  );
  return [...down, ...across].join("\n  ");
}

const grid = (n: number, line: (i: number, j: number) => string): string =>
  Array.from({ length: n * n }, (_, at) => line(Math.floor(at / n), at % n)).join("\n  ");

const head = `
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = (id.x + id.y * groups.x) * 64 + local;
  if (index >= params.threads) { return; }
  let quad = index % params.quads;
  let patch_ = index / params.quads;`;

// Position of a patch: its image, and its first output.
const place = `
  let across = patch_ % params.patchesX;
  let down = patch_ / params.patchesX;
  let image = down / params.patchesY;
  let firstY = down % params.patchesY * ${OUT};
  let firstX = across * ${OUT};`;

/**
 * Transforms the filter. One thread transforms four neighbouring outputs of one input's filter: 36 values of
 * 9.
 */
function transformFilter(
  backend: MrcnnWebgpuBackend,
  filter: TensorInfo,
  inChannels: number,
  outChannels: number,
): TensorInfo {
  const out = backend.makeTensorInfo([POINTS, inChannels, outChannels], "float32");
  const quads = outChannels / 4;
  const threads = inChannels * quads;
  run(backend, {
    name: "winograd filter",
    source: `${head}
  ${grid(3, (i, j) => `let g${i}_${j} = w[${i * 3 + j} * params.threads + index];`)}
  ${transformBoth(ofFilter, "g", "u")}
  ${grid(PATCH, (i, j) => `result[${i * PATCH + j} * params.threads + index] = u${i}_${j};`)}
}`,
    inputs: { w: elements(filter, true) },
    outputs: { result: elements(out, true) },
    params: { quads, threads },
    workgroups: spread(Math.ceil(threads / 64)),
  });
  return out;
}

/**
 * Transforms the input. One thread transforms four neighbouring channels of one patch: 36 values of 36, which
 * overlap those of other patches.
 */
function transformInput(backend: MrcnnWebgpuBackend, x: TensorInfo, geometry: Geometry): TensorInfo {
  const { input, output, before, inChannels } = geometry;
  const patches = patchesOf(geometry);
  const out = backend.makeTensorInfo([POINTS, patches, inChannels], "float32");
  const quads = inChannels / 4;
  const threads = patches * quads;
  run(backend, {
    name: "winograd input",
    source: `
fn pixel(image: u32, y: i32, x: i32, quad: u32) -> vec4<f32> {
  if (y < 0 || x < 0 || u32(y) >= params.height || u32(x) >= params.width) { return vec4<f32>(0); }
  return a[((image * params.height + u32(y)) * params.width + u32(x)) * params.quads + quad];
}
${head}${place}
  let y = i32(firstY) - i32(params.beforeY);
  let x = i32(firstX) - i32(params.beforeX);
  ${grid(PATCH, (i, j) => `let d${i}_${j} = pixel(image, y + ${i}, x + ${j}, quad);`)}
  ${transformBoth(ofInput, "d", "v")}
  ${grid(PATCH, (i, j) => `result[${i * PATCH + j} * params.threads + index] = v${i}_${j};`)}
}`,
    inputs: { a: elements(x, true) },
    outputs: { result: elements(out, true) },
    params: {
      quads,
      threads,
      height: input[0],
      width: input[1],
      beforeY: before[0],
      beforeX: before[1],
      patchesY: Math.ceil(output[0] / OUT),
      patchesX: Math.ceil(output[1] / OUT),
    },
    workgroups: spread(Math.ceil(threads / 64)),
  });
  return out;
}

/**
 * Transforms the products to the output. One thread makes 4x4 outputs of four neighbouring channels, and
 * applies the epilogue.
 */
function transformOutput(
  backend: MrcnnWebgpuBackend,
  products: TensorInfo,
  geometry: Geometry,
  epilogue: Epilogue,
): TensorInfo {
  const { batch, output, outChannels } = geometry;
  const out = backend.makeTensorInfo([batch, ...output, outChannels], "float32");
  const quads = outChannels / 4;
  const threads = patchesOf(geometry) * quads;
  const last = epilogueOf(epilogue, true);
  run(backend, {
    name: `winograd output ${last.key}`,
    source: `${last.source}
fn write(image: u32, y: u32, x: u32, quad: u32, sum: vec4<f32>) {
  if (y >= params.height || x >= params.width) { return; }
  let at = ((image * params.height + y) * params.width + x) * params.quads + quad;
  result[at] = finish(sum, at * 4, quad * 4);
}
${head}${place}
  ${grid(PATCH, (i, j) => `let m${i}_${j} = products[${i * PATCH + j} * params.threads + index];`)}
  ${transformBoth(ofOutput, "m", "y")}
  ${grid(OUT, (i, j) => `write(image, firstY + ${i}, firstX + ${j}, quad, y${i}_${j});`)}
}`,
    inputs: { products: elements(products, true), ...last.inputs },
    outputs: { result: elements(out, true) },
    params: {
      quads,
      threads,
      height: output[0],
      width: output[1],
      patchesY: Math.ceil(output[0] / OUT),
      patchesX: Math.ceil(output[1] / OUT),
      ...last.params,
    },
    workgroups: spread(Math.ceil(threads / 64)),
  });
  return out;
}

/**
 * Computes a convolution of 3x3, stride 1 and channels that are multiples of 4, in float32 whatever the
 * precision. The transformed filter is kept while the filter lives.
 */
export function convolveByWinograd(
  backend: MrcnnWebgpuBackend,
  x: TensorInfo,
  filter: TensorInfo,
  geometry: Geometry,
  epilogue: Epilogue,
): TensorInfo {
  const { inChannels, outChannels } = geometry;
  const patches = patchesOf(geometry);
  const factors = backend.derive(filter, "winograd", () =>
    transformFilter(backend, filter, inChannels, outChannels),
  );
  const points = transformInput(backend, x, geometry);
  const products = backend.makeTensorInfo([POINTS, patches, outChannels], "float32");
  multiply(backend, {
    extent: { rows: patches, columns: outChannels, depth: inChannels, batch: POINTS },
    a: matrix(
      "a",
      points,
      { outer: inChannels, depth: 1, batch: patches * inChannels },
      { outer: patches, depth: inChannels },
    ),
    b: matrix(
      "b",
      factors,
      { outer: 1, depth: outChannels, batch: inChannels * outChannels },
      { outer: outChannels, depth: inChannels },
    ),
    out: products,
    target: rowsAt({ step: outChannels, batch: patches * outChannels }),
  });
  const out = transformOutput(backend, products, geometry, epilogue);
  for (const { dataId } of [points, products]) backend.disposeData(dataId);
  return out;
}
