/// <reference types="@webgpu/types" />
/** What a WebGPU adapter is; loads nothing of TensorFlow.js. */

/** The adapter that was chosen. */
export interface WebgpuDevice {
  /** In words, as far as the environment tells. */
  readonly description: string;
  /** Whether it is a program and no GPU: right, but slow. */
  readonly isSoftware: boolean;
  /** Of the optional features those that it has and this package knows. */
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

/** The GPU that a page or worker has, described; undefined where WebGPU is missing, or is but a software adapter. */
export async function findGpu(
  powerPreference: GPUPowerPreference = "high-performance",
): Promise<WebgpuDevice | undefined> {
  const { gpu } = (globalThis.navigator ?? {}) as { gpu?: GPU };
  const adapter = await gpu?.requestAdapter({ powerPreference }).catch(() => null);
  if (adapter == null) return undefined;
  const found = describeAdapter(adapter);
  return found.isSoftware ? undefined : found;
}
