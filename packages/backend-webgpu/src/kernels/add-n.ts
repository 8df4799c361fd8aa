/** Kernel of AddN for any number of terms. */
import { AddN } from "@tensorflow/tfjs-core";
import type { KernelConfig, KernelFunc, NamedTensorInfoMap, TensorInfo } from "@tensorflow/tfjs-core";
import type { MrcnnWebgpuBackend } from "../backend.ts";

/**
 * Sums the terms in groups. TensorFlow.js's kernel binds all terms at once, which a device refuses beyond its
 * number of storage buffers (at least 8).
 */
export function addN({ kernelFunc }: KernelConfig): KernelConfig {
  const sum: KernelFunc = (params) => {
    const backend = params.backend as MrcnnWebgpuBackend;
    const most = backend.device.limits.maxStorageBuffersPerShaderStage - 1;
    let terms = params.inputs as unknown as TensorInfo[];
    const made = new Set<TensorInfo>();
    while (terms.length > most) {
      const partial = sumOf(terms.slice(0, most));
      for (const term of terms.slice(0, most)) if (made.has(term)) backend.disposeData(term.dataId);
      made.add(partial);
      terms = [partial, ...terms.slice(most)];
    }
    const total = sumOf(terms);
    for (const term of terms) if (made.has(term)) backend.disposeData(term.dataId);
    return total;

    function sumOf(part: readonly TensorInfo[]): TensorInfo {
      return kernelFunc({ ...params, inputs: part as unknown as NamedTensorInfoMap }) as TensorInfo;
    }
  };
  return { kernelName: AddN, backendName: "webgpu", kernelFunc: sum };
}
