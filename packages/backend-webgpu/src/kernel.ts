/** Helpers of this package's kernels: registration, allocation and release. */
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import type { PartialKernelFunc } from "@mrcnn/core/tensors";
import type { MrcnnWebgpuBackend } from "./backend.ts";

/** Arguments of a kernel in this package. */
export interface KernelArgs<In, Attrs> {
  readonly inputs: In;
  readonly attrs: Attrs;
  readonly backend: MrcnnWebgpuBackend;
}

/** Makes a kernel for the registry; `supports` tells the part of its contract that it covers. */
export function kernel<In, Attrs>(
  name: string,
  run: (args: KernelArgs<In, Attrs>) => TensorInfo | TensorInfo[],
  supports?: (attrs: Attrs) => boolean,
): KernelConfig {
  const kernelFunc = run as unknown as PartialKernelFunc;
  if (supports !== undefined) kernelFunc.supports = supports as (attrs: object) => boolean;
  return { kernelName: name, backendName: "webgpu", kernelFunc };
}

/** Allocates a tensor, not initialised: an output, or scratch to be freed by `release`. */
export function allocate(
  backend: MrcnnWebgpuBackend,
  shape: readonly number[],
  dtype: "float32" | "int32" = "float32",
): TensorInfo {
  return backend.makeTensorInfo([...shape], dtype);
}

/** Allocates int32 zeros, for counters. */
export function zeros(backend: MrcnnWebgpuBackend, shape: readonly number[]): TensorInfo {
  return backend.makeTensorInfo([...shape], "int32", new Int32Array(shape.reduce((n, size) => n * size, 1)));
}

/** Frees scratch tensors; commands that use them and are not yet submitted remain valid. */
export function release(backend: MrcnnWebgpuBackend, ...infos: readonly TensorInfo[]): void {
  for (const { dataId } of infos) backend.disposeData(dataId);
}
