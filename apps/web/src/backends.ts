/** The page's choice of a TensorFlow.js backend. */
import { findGpu } from "@mrcnn/backend-webgpu/adapter";
import { startFastest } from "@mrcnn/core";
import type { ComputeDevice } from "@mrcnn/core";
import type { BackendName } from "./protocol.ts";

/** The page's backends with their titles, best first. */
export const backends: readonly { readonly name: BackendName; readonly title: string }[] = [
  { name: "webgpu", title: "WebGPU" },
  { name: "wasm", title: "WebAssembly" },
  { name: "cpu", title: "JavaScript" },
];

/**
 * Chooses the requested backend, else the fastest that the browser has. Nothing is started here.
 */
export async function chooseBackend(wanted: BackendName | "auto"): Promise<BackendName> {
  if (wanted !== "auto") return wanted;
  const { name } = await startFastest<ComputeDevice>([
    {
      name: "webgpu",
      mayUseGpu: true,
      // A software adapter is slower than WebAssembly.
      start: async () => {
        if ((await findGpu()) === undefined) throw new Error("the browser gives no GPU");
        return { isGpu: true };
      },
    },
    { name: "wasm", mayUseGpu: false, start: async () => ({ isGpu: false }) },
  ]);
  return name as BackendName;
}
