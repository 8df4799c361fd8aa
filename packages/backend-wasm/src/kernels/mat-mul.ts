import type { KernelConfig, NamedTensorInfoMap, TensorInfo } from "@tensorflow/tfjs-core";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import { allocate, builtin, call, floats, kernel, release, sizeOf, withView } from "../heap.ts";
import type { KernelArgs } from "../heap.ts";
import { address, simd } from "../simd.ts";

const original = builtin("BatchMatMul");
const fused = builtin("_FusedMatMul");

interface Attrs {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

function turned(backend: BackendWasm, x: TensorInfo): TensorInfo {
  const [rows, columns] = x.shape.slice(-2) as [number, number];
  const out = allocate(backend, [...x.shape.slice(0, -2), columns, rows]);
  const bytes = rows * columns * 4;
  for (let n = 0; n < sizeOf(x.shape.slice(0, -2)); n++) {
    simd(backend).transpose(address(backend, x) + n * bytes, address(backend, out) + n * bytes, rows, columns, 0, rows);
  }
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
