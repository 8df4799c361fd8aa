/** Finds and describes WebGPU adapters, without loading TensorFlow.js. */

/// <reference types="@webgpu/types" />

/** A WebGPU adapter. */
export interface WebgpuDevice {
  /** Name of the adapter, as far as the environment states it. */
  readonly description: string;
  /** Whether it is a software adapter: correct, but slow. */
  readonly isSoftware: boolean;
  /** Optional features that the adapter has and this package uses. */
  readonly features: readonly string[];
}

const wanted = ["timestamp-query", "shader-f16", "subgroups"] as const;

/** Describes an adapter of `navigator.gpu`, or of Dawn. */
export function describeAdapter(adapter: GPUAdapter): WebgpuDevice {
  const {
    vendor = "",
    architecture = "",
    device = "",
    description = "",
    isFallbackAdapter,
  } = (adapter as { info?: Partial<GPUAdapterInfo> & { isFallbackAdapter?: boolean } }).info ?? {};
  const words = [description, [vendor, architecture, device].filter((word) => word !== "").join(" ")].filter(
    (word) => word !== "",
  );
  const text = words[0] ?? "unknown adapter";
  const isFallback =
    isFallbackAdapter === true || (adapter as { isFallbackAdapter?: boolean }).isFallbackAdapter === true;
  const isSoftware =
    isFallback || /swiftshader|llvmpipe|lavapipe|software|basic render/i.test(words.join(" "));
  return {
    description: text,
    isSoftware,
    features: wanted.filter((name) => (adapter.features as ReadonlySet<string>).has(name)),
  };
}

/**
 * Finds and describes the GPU of a page or worker; undefined where WebGPU is missing, or has only a software
 * adapter.
 */
export async function findGpu(
  powerPreference: GPUPowerPreference = "high-performance",
): Promise<WebgpuDevice | undefined> {
  const { gpu } = (globalThis.navigator ?? {}) as { gpu?: GPU };
  const adapter = await gpu?.requestAdapter({ powerPreference }).catch(() => null);
  if (adapter == null) return undefined;
  const found = describeAdapter(adapter);
  return found.isSoftware ? undefined : found;
}
