import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import type { PartialKernelFunc } from "@mrcnn/core/tensors";
import type { MrcnnWebgpuBackend } from "./backend.ts";

/** What a kernel of this package is given. */
export interface KernelArgs<In, Attrs> {
  readonly inputs: In;
  readonly attrs: Attrs;
  readonly backend: MrcnnWebgpuBackend;
}

/** A kernel as the registry wants it; one that covers part of its contract says so by `supports`. */
export function kernel<In, Attrs>(
  name: string,
  run: (args: KernelArgs<In, Attrs>) => TensorInfo | TensorInfo[],
  supports?: (attrs: Attrs) => boolean,
): KernelConfig {
  const kernelFunc = run as unknown as PartialKernelFunc;
  if (supports !== undefined) kernelFunc.supports = supports as (attrs: object) => boolean;
  return { kernelName: name, backendName: "webgpu", kernelFunc };
}

/** A tensor, not initialised: an output, or scratch for `release`. */
export function allocate(
  backend: MrcnnWebgpuBackend,
  shape: readonly number[],
  dtype: "float32" | "int32" = "float32",
): TensorInfo {
  return backend.makeTensorInfo([...shape], dtype);
}

/** int32 zeros, for counters. */
export function zeros(backend: MrcnnWebgpuBackend, shape: readonly number[]): TensorInfo {
  return backend.makeTensorInfo([...shape], "int32", new Int32Array(shape.reduce((n, size) => n * size, 1)));
}

/** Frees scratch; commands that use it and are not submitted yet still find it. */
export function release(backend: MrcnnWebgpuBackend, ...infos: readonly TensorInfo[]): void {
  for (const { dataId } of infos) backend.disposeData(dataId);
}
