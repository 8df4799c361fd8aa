import { findGpu } from "@mrcnn/backend-webgpu/adapter";
import type { BackendName } from "./protocol.ts";

/** The backends of this page, best first, in words. */
export const backends: readonly { readonly name: BackendName; readonly title: string }[] = [
  { name: "webgpu", title: "WebGPU" },
  { name: "wasm", title: "WebAssembly" },
  { name: "cpu", title: "JavaScript" },
];

/** What to compute with: what was asked for, else a GPU where the browser gives one, else wasm. Software adapters are slower than that. */
export async function chooseBackend(wanted: BackendName | "auto"): Promise<BackendName> {
  if (wanted !== "auto") return wanted;
  return (await findGpu()) === undefined ? "wasm" : "webgpu";
}
