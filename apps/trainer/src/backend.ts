import { loadTensorflow, registerCudaKernels, tensorflowAvailable } from "@mrcnn/backend-cuda";
import { registerWasmKernels } from "@mrcnn/backend-wasm";
import * as tf from "@tensorflow/tfjs";
import { UsageError } from "./errors.ts";
import type { Terminal } from "./terminal.ts";

export const backendNames = ["auto", "tensorflow", "webgpu", "wasm", "cpu"] as const;
export type BackendName = (typeof backendNames)[number];

const starters: Readonly<Record<"tensorflow" | "wasm" | "cpu", () => Promise<void>>> = {
  async tensorflow() {
    await loadTensorflow();
    registerCudaKernels();
    await tf.setBackend("tensorflow");
  },
  async wasm() {
    await import("@tensorflow/tfjs-backend-wasm");
    registerWasmKernels();
    await tf.setBackend("wasm");
  },
  async cpu() {
    tf.enableProdMode(); // or it advertises tfjs-node on stderr
    await tf.setBackend("cpu");
  },
};

/** Loads a backend and makes it TensorFlow.js's current one. @throws when it can't run here. */
export async function startBackend(name: Exclude<BackendName, "auto">): Promise<void> {
  if (name === "webgpu") throw new UsageError("--backend webgpu: not in Node yet. Use tensorflow (`npm run setup:tensorflow`), wasm or cpu.");
  await starters[name]();
  await tf.ready();
}

/**
 * Starts the backend asked for; `auto` takes tensorflow where it loads, else wasm, and says so in one line.
 *
 * @returns its name.
 */
export async function chooseBackend(name: BackendName, terminal: Terminal): Promise<string> {
  if (name !== "auto") {
    await startBackend(name);
  } else if (tensorflowAvailable()) {
    try {
      await startBackend("tensorflow");
      terminal.note("Backend: tensorflow.");
    } catch (error) {
      await startBackend("wasm");
      terminal.note(`Backend: wasm, because tensorflow does not load (${(error as Error).message.split("\n")[0]}).`);
    }
  } else {
    await startBackend("wasm");
    terminal.note("Backend: wasm (`npm run setup:tensorflow` would make it several times faster).");
  }
  return tf.getBackend();
}
