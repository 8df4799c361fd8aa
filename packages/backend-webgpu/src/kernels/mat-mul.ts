/** Kernels of matrix products, with their epilogue. */
import { _FusedMatMul, BatchMatMul } from "@tensorflow/tfjs-core";
import type { KernelConfig, KernelFunc, NamedTensorInfoMap, TensorInfo } from "@tensorflow/tfjs-core";
import type { MrcnnWebgpuBackend } from "../backend.ts";
import { canFollow } from "../gemm/epilogue.ts";
import type { Epilogue } from "../gemm/epilogue.ts";
import { factorOf } from "../gemm/factor.ts";
import { multiply, rowsAt } from "../gemm/gemm.ts";
import { matrix } from "../gemm/operand.ts";

interface Attrs extends Pick<Epilogue, "activation" | "leakyreluAlpha"> {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/** Multiplies a batch [..., rows, depth] by [..., depth, columns]; a batch of one is broadcast. */
function matMul(
  backend: MrcnnWebgpuBackend,
  a: TensorInfo,
  b: TensorInfo,
  { transposeA = false, transposeB = false }: Attrs,
  epilogue: Epilogue,
): TensorInfo {
  const [rows, depth] = transposeA ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!];
  const columns = transposeB ? b.shape.at(-2)! : b.shape.at(-1)!;
  const [ofA, ofB] = [a, b].map(({ shape }) => shape.slice(0, -2).reduce((product, n) => product * n, 1)) as [
    number,
    number,
  ];
  const batch = ofA === 0 || ofB === 0 ? 0 : Math.max(ofA, ofB);
  const out = backend.makeTensorInfo([...(ofA >= ofB ? a : b).shape.slice(0, -2), rows, columns], "float32");
  const sizeA = ofA === 1 ? 0 : rows * depth;
  const sizeB = ofB === 1 ? 0 : depth * columns;
  const factor = factorOf(backend, b);
  multiply(backend, {
    extent: { rows, columns, depth, batch },
    a: matrix(
      "a",
      a,
      transposeA ? { outer: 1, depth: rows, batch: sizeA } : { outer: depth, depth: 1, batch: sizeA },
      { outer: rows, depth },
    ),
    b: matrix(
      "b",
      factor.tensor,
      transposeB ? { outer: depth, depth: 1, batch: sizeB } : { outer: 1, depth: columns, batch: sizeB },
      { outer: columns, depth },
      factor.element,
    ),
    tile: backend.precision === "float16" ? "f16" : "f32",
    out,
    target: rowsAt({ step: columns, batch: rows * columns }),
    epilogue,
  });
  return out;
}

const kernelOf =
  (original: KernelFunc): KernelFunc =>
  (params) => {
    const { a, b, bias, preluActivationWeights } = params.inputs as NamedTensorInfoMap & {
      a: TensorInfo;
      b: TensorInfo;
    };
    const attrs = params.attrs as unknown as Attrs;
    const epilogue = {
      bias,
      preluActivationWeights,
      activation: attrs.activation,
      leakyreluAlpha: attrs.leakyreluAlpha,
    };
    const [ofA, ofB] = [a, b].map(({ shape }) => shape.slice(0, -2)) as [number[], number[]];
    const isOne = (shape: readonly number[]): boolean => shape.every((n) => n === 1);
    const isSame = ofA.length === ofB.length && ofA.every((n, i) => n === ofB[i]);
    const columns = attrs.transposeB === true ? b.shape.at(-2)! : b.shape.at(-1)!;
    if (
      a.dtype !== "float32" ||
      b.dtype !== "float32" ||
      !(isSame || ((isOne(ofA) || isOne(ofB)) && ofA.length === ofB.length)) ||
      !canFollow(epilogue, columns)
    )
      return original(params);
    return matMul(params.backend as MrcnnWebgpuBackend, a, b, attrs, epilogue);
  };

/** Replaces TensorFlow.js's kernel, which is kept for other broadcasts and for integers. */
export const batchMatMul = ({ kernelFunc }: KernelConfig): KernelConfig => ({
  kernelName: BatchMatMul,
  backendName: "webgpu",
  kernelFunc: kernelOf(kernelFunc),
});

/** Replaces TensorFlow.js's fused kernel likewise, with bias and activation. */
export const fusedMatMul = ({ kernelFunc }: KernelConfig): KernelConfig => ({
  kernelName: _FusedMatMul,
  backendName: "webgpu",
  kernelFunc: kernelOf(kernelFunc),
});
