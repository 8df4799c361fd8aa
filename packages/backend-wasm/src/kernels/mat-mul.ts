import type { KernelConfig, NamedTensorInfoMap, TensorInfo } from "@tensorflow/tfjs-core";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import { allocate, builtin, call, floats, kernel, release, sizeOf, withView } from "../heap.ts";
import type { KernelArgs } from "../heap.ts";

const original = builtin("BatchMatMul");
const fused = builtin("_FusedMatMul");

interface Attrs {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/** Each of `count` matrices [rows, columns] turned over, in square tiles that stay in the cache. */
export function transposeInto(to: Float32Array, from: Float32Array, count: number, rows: number, columns: number): void {
  const tile = 16;
  for (let n = 0; n < count; n++) {
    const base = n * rows * columns;
    for (let i0 = 0; i0 < rows; i0 += tile) {
      const i1 = Math.min(rows, i0 + tile);
      for (let j0 = 0; j0 < columns; j0 += tile) {
        const j1 = Math.min(columns, j0 + tile);
        for (let j = j0; j < j1; j++) {
          for (let i = i0; i < i1; i++) to[base + j * rows + i] = from[base + i * columns + j]!;
        }
      }
    }
  }
}

function turned(backend: BackendWasm, x: TensorInfo): TensorInfo {
  const rank = x.shape.length;
  const [rows, columns] = [x.shape[rank - 2]!, x.shape[rank - 1]!];
  const out = allocate(backend, [...x.shape.slice(0, -2), columns, rows]);
  transposeInto(floats(backend, out), floats(backend, x), sizeOf(x.shape.slice(0, -2)), rows, columns);
  return out;
}

/** `multiply` without its transpose flags: XNNPACK only takes matrices as they lie, the rest is a naive loop. */
function untransposed(
  { inputs, attrs, backend }: KernelArgs<NamedTensorInfoMap, Attrs>,
  multiply: (inputs: NamedTensorInfoMap, attrs: Attrs) => TensorInfo,
): TensorInfo {
  const { a, b } = inputs as { a: TensorInfo; b: TensorInfo };
  const made: TensorInfo[] = [];
  const straight = (x: TensorInfo, flag: boolean): TensorInfo => {
    if (!flag) return x;
    const out = turned(backend, x);
    made.push(out);
    return out;
  };
  const result = multiply(
    { ...inputs, a: straight(a, attrs.transposeA), b: straight(b, attrs.transposeB) },
    { ...attrs, transposeA: false, transposeB: false },
  );
  release(backend, ...made);
  return result;
}

/** [..., M, K] x [..., K, N]; equal batches go matrix by matrix through XNNPACK. */
function multiply(backend: BackendWasm, inputs: NamedTensorInfoMap, attrs: Attrs): TensorInfo {
  const { a, b } = inputs as { a: TensorInfo; b: TensorInfo };
  const batch = sizeOf(a.shape.slice(0, -2));
  const [m, k] = a.shape.slice(-2) as [number, number];
  const n = b.shape.at(-1)!;
  if (batch === 1 || batch !== sizeOf(b.shape.slice(0, -2)) || m * n * k < 4096) return call(original, backend, inputs, attrs);
  const shape = [...(a.shape.length >= b.shape.length ? a : b).shape.slice(0, -2), m, n];
  const out = allocate(backend, shape);
  for (let i = 0; i < batch; i++) {
    const y = withView(backend, a, i * m * k, [m, k], (ai) =>
      withView(backend, b, i * k * n, [k, n], (bi) => call(original, backend, { a: ai, b: bi }, attrs)),
    );
    floats(backend, out).set(floats(backend, y), i * m * n);
    release(backend, y);
  }
  return out;
}

/** Matrix product: transposed arguments are turned over first, batches split. */
export const batchMatMul: KernelConfig = kernel<NamedTensorInfoMap, Attrs>(
  "BatchMatMul",
  (args) => untransposed(args, (inputs, attrs) => multiply(args.backend, inputs, attrs)),
  original,
);

/** Matrix product with bias and activation: transposed arguments are turned over first. */
export const fusedMatMul: KernelConfig = kernel<NamedTensorInfoMap, Attrs>(
  "_FusedMatMul",
  (args) => untransposed(args, (inputs, attrs) => call(fused, args.backend, inputs, attrs)),
  fused,
);

/** C [M, N] = A [M, K] x B [K, N] as they lie in memory. */
export function matMul(backend: BackendWasm, a: TensorInfo, b: TensorInfo): TensorInfo {
  return call(original, backend, { a, b }, { transposeA: false, transposeB: false });
}
