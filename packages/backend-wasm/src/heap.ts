/** Access of kernels to the memory of TensorFlow.js's wasm backend. */
import "@tensorflow/tfjs-backend-wasm";
import { getKernel, util } from "@tensorflow/tfjs-core";
import type { KernelConfig, NamedTensorInfoMap, TensorInfo } from "@tensorflow/tfjs-core";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import { BackendError } from "@mrcnn/core";
import { instanceOf } from "./simd.ts";

/** Arguments of a kernel in this package. */
export interface KernelArgs<In, Attrs> {
  readonly inputs: In;
  readonly attrs: Attrs;
  readonly backend: BackendWasm;
}

/** A kernel's input tensors, by name. */
export type Inputs<Name extends string> = Readonly<Record<Name, TensorInfo>>;

/**
 * Makes a kernel for the registry. `original`, if any, is the kernel it replaces: its set-up, which binds the
 * compiled functions, still has to run. When a kernel fails, its allocations are freed, as no other code
 * knows of them.
 */
export function kernel<In, Attrs>(
  name: string,
  run: (args: KernelArgs<In, Attrs>) => TensorInfo | TensorInfo[],
  original?: KernelConfig,
): KernelConfig {
  const kernelFunc = (args: KernelArgs<In, Attrs>): TensorInfo | TensorInfo[] => {
    const { backend } = args;
    const instance = instanceOf(backend);
    const { made } = instance;
    instance.made = [];
    try {
      return run(args);
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError) instance.guard.fail(error);
      release(backend, ...instance.made);
      throw error;
    } finally {
      instance.made = made;
    }
  };
  return {
    kernelName: name,
    backendName: "wasm",
    kernelFunc: kernelFunc as unknown as KernelConfig["kernelFunc"],
    // Done for each backend before anything is allocated for the user.
    setupFunc: (backend) => {
      instanceOf(backend as BackendWasm);
      original?.setupFunc?.(backend);
    },
  };
}

/** Returns TensorFlow.js's own kernel `name`. Call it while modules load: later it may have been replaced. */
export function builtin(name: string): KernelConfig {
  const config = getKernel(name, "wasm");
  if (config === undefined)
    throw new BackendError(
      `backend-wasm: TensorFlow.js's wasm backend must have a kernel ${name}. Install @tensorflow/tfjs-backend-wasm 4.22.`,
    );
  return config;
}

/** Runs a kernel outside the tape; the caller owns the result and frees it with `release`. */
export function call(
  config: KernelConfig,
  backend: BackendWasm,
  inputs: NamedTensorInfoMap,
  attrs: object,
): TensorInfo {
  return remembered(backend, config.kernelFunc({ inputs, attrs: attrs as never, backend }) as TensorInfo);
}

/** Frees tensors that `call` or `allocate` returned. */
export function release(backend: BackendWasm, ...infos: readonly TensorInfo[]): void {
  for (const info of infos) backend.disposeData(info.dataId);
}

/** Allocates an output or a scratch array, not initialised. */
export function allocate(backend: BackendWasm, shape: readonly number[]): TensorInfo {
  return remembered(backend, backend.makeOutput([...shape], "float32"));
}

function remembered(backend: BackendWasm, info: TensorInfo): TensorInfo {
  instanceOf(backend).made.push(info);
  return info;
}

/**
 * Returns the values of a tensor in the heap. Any allocation may move the heap: call it after the last
 * `allocate`.
 */
export function floats(backend: BackendWasm, info: TensorInfo): Float32Array {
  return backend.typedArrayFromHeap(info) as Float32Array;
}

export function ints(backend: BackendWasm, info: TensorInfo): Int32Array {
  return backend.typedArrayFromHeap(info) as Int32Array;
}

/** Returns the same memory under another shape, counted as a separate reference. */
export function reshaped(backend: BackendWasm, info: TensorInfo, shape: readonly number[]): TensorInfo {
  backend.incRef(info.dataId);
  return { dataId: info.dataId, shape: [...shape], dtype: info.dtype };
}

export const sizeOf = (shape: readonly number[]): number => util.sizeFromShape([...shape]);
