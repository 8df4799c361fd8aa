/** Kernels of matrix products, with bias and relu. */
import type { KernelConfig, NamedTensorInfoMap, TensorInfo } from "@tensorflow/tfjs-core";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import { filterGradient, product } from "../convolution.ts";
import type { Epilogue, Geometry } from "../convolution.ts";
import { allocate, builtin, call, kernel, release, sizeOf } from "../heap.ts";
import { address, inParts } from "../simd.ts";

const original = builtin("BatchMatMul");
const originalFused = builtin("_FusedMatMul");

interface Attrs {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

const plain: Geometry = { strides: [1, 1], dilations: [1, 1], padding: [0, 0, 0, 0] };
/** Number of rows that the gradient of a filter treats as one line of pixels. */
const LINE = 256;

function turned(backend: BackendWasm, x: TensorInfo): TensorInfo {
  const [rows, columns] = x.shape.slice(-2) as [number, number];
  const out = allocate(backend, [...x.shape.slice(0, -2), columns, rows]);
  for (let n = 0; n < sizeOf(x.shape.slice(0, -2)); n++) {
    const bytes = n * rows * columns * 4;
    const [from, to] = [address(backend, x) + bytes, address(backend, out) + bytes];
    inParts(
      backend,
      "transpose",
      { total: rows, step: 4, least: Math.ceil(100_000 / columns) },
      (first, last) => [from, to, rows, columns, first, last],
    );
  }
  return out;
}

/** Computes out [m, n] = aᵀ b of a [k, m] and b [k, n], as the gradient of a 1x1 filter over k pixels. */
function transposedProduct(
  backend: BackendWasm,
  [a, offsetA]: readonly [TensorInfo, number],
  [b, offsetB]: readonly [TensorInfo, number],
  out: readonly [TensorInfo, number],
  [m, k, n]: readonly [number, number, number],
): void {
  const lines = Math.floor(k / LINE);
  const part = (first: number, height: number, width: number, add: number): void =>
    filterGradient(
      backend,
      [a, offsetA + first * m],
      [b, offsetB + first * n],
      out,
      { batch: 1, input: [height, width, m], output: [height, width, n], kernel: [1, 1], geometry: plain },
      add,
    );
  if (lines > 0) part(0, lines, LINE, 0);
  if (k % LINE > 0) part(lines * LINE, 1, k % LINE, lines > 0 ? 1 : 0);
}

/**
 * Multiplies [..., m, k] x [..., k, n]; returns undefined where the batches would have to be broadcast
 * partially.
 */
function multiply(
  backend: BackendWasm,
  a: TensorInfo,
  b: TensorInfo,
  { transposeA, transposeB }: Attrs,
  epilogue: Epilogue = {},
): TensorInfo | undefined {
  const batches = [sizeOf(a.shape.slice(0, -2)), sizeOf(b.shape.slice(0, -2))] as const;
  const batch = Math.max(...batches);
  if (batches.some((one) => one !== 1 && one !== batch) || Math.min(...batches) === 0) return undefined;
  const same = a.shape.slice(0, -2).join() === b.shape.slice(0, -2).join();
  if (!same && Math.min(...batches) !== 1) return undefined;
  const [m, k] = transposeA ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!];
  const n = transposeB ? b.shape.at(-2)! : b.shape.at(-1)!;
  if (m * k * n === 0) return undefined;

  const outer =
    (
      a.shape.length !== b.shape.length ? a.shape.length > b.shape.length : batches[0] >= batches[1]
    ) ?
      a
    : b;
  const out = allocate(backend, [...outer.shape.slice(0, -2), m, n]);
  const right = transposeB ? turned(backend, b) : b;
  const hasEpilogue = epilogue.bias !== undefined || epilogue.relu === true;
  // A row times a matrix reads the matrix once: packing it would take longer.
  const asGradient = (transposeA || m === 1) && !hasEpilogue;
  const left = transposeA && !asGradient ? turned(backend, a) : a;
  for (let i = 0; i < batch; i++) {
    const offsets = [batches[0] === 1 ? 0 : i * m * k, batches[1] === 1 ? 0 : i * k * n] as const;
    const args = [
      [left, offsets[0]],
      [right, offsets[1]],
      [out, i * m * n],
      [m, k, n],
    ] as const;
    if (asGradient) transposedProduct(backend, ...args);
    else product(backend, ...args, epilogue);
  }
  if (right !== b) release(backend, right);
  if (left !== a) release(backend, left);
  return out;
}

const isFloat = (...infos: readonly TensorInfo[]): boolean => infos.every(({ dtype }) => dtype === "float32");

export const batchMatMul: KernelConfig = kernel<NamedTensorInfoMap, Attrs>(
  "BatchMatMul",
  ({ inputs, attrs, backend }) => {
    const { a, b } = inputs as { a: TensorInfo; b: TensorInfo };
    return (
      (isFloat(a, b) ? multiply(backend, a, b, attrs) : undefined) ?? call(original, backend, inputs, attrs)
    );
  },
  original,
);

/**
 * Multiplies with a bias per column, and without activation or with relu; other activations are left to
 * TensorFlow.js.
 */
export const fusedMatMul: KernelConfig = kernel<NamedTensorInfoMap, Attrs & { readonly activation: string }>(
  "_FusedMatMul",
  ({ inputs, attrs, backend }) => {
    const { a, b, bias } = inputs as { a: TensorInfo; b: TensorInfo; bias?: TensorInfo };
    const { activation, transposeB } = attrs;
    const columns = transposeB ? b.shape.at(-2) : b.shape.at(-1);
    const fits = bias === undefined || (bias.shape.length === 1 && bias.shape[0] === columns);
    const isOurs = fits && (activation === "linear" || activation === "relu") && isFloat(a, b);
    const result = isOurs ? multiply(backend, a, b, attrs, { bias, relu: activation === "relu" }) : undefined;
    return result ?? call(originalFused, backend, inputs, attrs);
  },
  originalFused,
);
