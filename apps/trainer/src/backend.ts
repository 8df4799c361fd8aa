import { availableParallelism } from "node:os";
import { loadTensorflow, registerCudaKernels, tensorflowAvailable } from "@mrcnn/backend-cuda";
import { startWasm } from "@mrcnn/backend-wasm";
import * as tf from "@tensorflow/tfjs";
import { UsageError } from "./errors.ts";
import type { Terminal } from "./terminal.ts";

export const backendNames = ["auto", "tensorflow", "webgpu", "wasm", "cpu"] as const;
export type BackendName = (typeof backendNames)[number];

// Each gives the number of threads it computes with.
const starters: Readonly<Record<"tensorflow" | "wasm" | "cpu", () => Promise<number>>> = {
  async tensorflow() {
    await loadTensorflow();
    registerCudaKernels();
    await tf.setBackend("tensorflow");
    return availableParallelism();
  },
  wasm: () => startWasm(),
  async cpu() {
    tf.enableProdMode(); // or it advertises tfjs-node on stderr
    await tf.setBackend("cpu");
    return 1;
  },
};

/**
 * Loads a backend and makes it TensorFlow.js's current one.
 *
 * @returns how many threads it computes with.
 * @throws when it can't run here.
 */
export async function startBackend(name: Exclude<BackendName, "auto">): Promise<number> {
  if (name === "webgpu") throw new UsageError("--backend webgpu: not in Node yet. Use tensorflow (`npm run setup:tensorflow`), wasm or cpu.");
  const threads = await starters[name]();
  await tf.ready();
  return threads;
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
      const threads = await startBackend("wasm");
      terminal.note(`Backend: wasm, ${threads} threads, because tensorflow does not load (${(error as Error).message.split("\n")[0]}).`);
    }
  } else {
    const threads = await startBackend("wasm");
    terminal.note(`Backend: wasm, ${threads} threads (\`npm run setup:tensorflow\` computes large networks faster).`);
  }
  return tf.getBackend();
}
