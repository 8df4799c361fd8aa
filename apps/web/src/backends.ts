import type { BackendName } from "./protocol.ts";

/** The backends of this page, best first, in words. */
export const backends: readonly { readonly name: BackendName; readonly title: string }[] = [
  { name: "webgpu", title: "WebGPU" },
  { name: "wasm", title: "WebAssembly" },
  { name: "cpu", title: "JavaScript" },
];

/** Whether the browser gives out a GPU. Software adapters are slower than wasm: they only count when asked for. */
export async function hasGpu(gpu: GpuLike | undefined = (navigator as { gpu?: GpuLike }).gpu): Promise<boolean> {
  try {
    const adapter = await gpu?.requestAdapter({ powerPreference: "high-performance" });
    return adapter !== null && adapter !== undefined && adapter.info?.isFallbackAdapter !== true && adapter.isFallbackAdapter !== true;
  } catch {
    return false;
  }
}

/** As much of WebGPU as is looked at; TypeScript's DOM has none. */
export interface GpuLike {
  requestAdapter(options: { powerPreference: "high-performance" }): Promise<{ readonly info?: { readonly isFallbackAdapter?: boolean }; readonly isFallbackAdapter?: boolean } | null>;
}

/** What to compute with: what was asked for, else the best that is here. */
export async function chooseBackend(wanted: BackendName | "auto"): Promise<BackendName> {
  if (wanted !== "auto") return wanted;
  return (await hasGpu()) ? "webgpu" : "wasm";
}
