import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import type { MrcnnWebgpuBackend } from "./backend.ts";

/** What a kernel of this package is given. */
export interface KernelArgs<In, Attrs> {
  readonly inputs: In;
  readonly attrs: Attrs;
  readonly backend: MrcnnWebgpuBackend;
}

/** A kernel as the registry wants it. */
export function kernel<In, Attrs>(name: string, run: (args: KernelArgs<In, Attrs>) => TensorInfo | TensorInfo[]): KernelConfig {
  return { kernelName: name, backendName: "webgpu", kernelFunc: run as unknown as KernelConfig["kernelFunc"] };
}

/** A float32 tensor, not initialised: an output, or scratch for `release`. */
export function allocate(backend: MrcnnWebgpuBackend, shape: readonly number[]): TensorInfo {
  return backend.makeTensorInfo([...shape], "float32");
}

/** Frees scratch; commands that use it and are not submitted yet still find it. */
export function release(backend: MrcnnWebgpuBackend, ...infos: readonly TensorInfo[]): void {
  for (const { dataId } of infos) backend.disposeData(dataId);
}
