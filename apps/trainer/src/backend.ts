import { availableParallelism } from "node:os";
import { loadTensorflow, registerCudaKernels, tensorflowAvailable } from "@mrcnn/backend-cuda";
import type { Precision } from "@mrcnn/backend-cuda";
import { startWasm } from "@mrcnn/backend-wasm";
import * as tf from "@tensorflow/tfjs";
import { UsageError } from "./errors.ts";
import { bf16Instructions } from "./hardware.ts";
import type { Terminal } from "./terminal.ts";

export const backendNames = ["auto", "tensorflow", "webgpu", "wasm", "cpu"] as const;
export type BackendName = (typeof backendNames)[number];

/** Where and how to compute. */
export interface BackendOptions {
  readonly backend: BackendName;
  readonly precision?: Precision;
  readonly threads?: number;
  /** Of a GPU, in MB. */
  readonly memoryLimit?: number;
}
type How = Omit<BackendOptions, "backend">;

// Each gives the number of threads it computes with.
const starters: Readonly<Record<"tensorflow" | "wasm" | "cpu", (how: How) => Promise<number>>> = {
  async tensorflow({ precision, threads, memoryLimit }) {
    await loadTensorflow({ ...(precision && { precision }), ...(threads && { threads }), ...(memoryLimit && { memoryLimitMb: memoryLimit }) });
    registerCudaKernels();
    await tf.setBackend("tensorflow");
    return threads ?? availableParallelism();
  },
  wasm: ({ threads }) => startWasm(threads === undefined ? {} : { threads }),
  async cpu() {
    tf.enableProdMode(); // or it advertises tfjs-node on stderr
    await tf.setBackend("cpu");
    return 1;
  },
};

// What only backend "tensorflow" can do.
function ofTensorflow({ precision = "float32", memoryLimit }: How): string | undefined {
  if (precision !== "float32") return `--precision ${precision}`;
  return memoryLimit === undefined ? undefined : `--memory-limit ${memoryLimit}`;
}

/**
 * Refuses options that the backend asked for can't do, before anything is loaded.
 *
 * @throws UsageError that names the option.
 */
export function assertBackendCan(options: BackendOptions): void {
  const { backend, threads } = options;
  const option = ofTensorflow(options);
  if (option !== undefined && backend !== "tensorflow" && backend !== "auto") throw new UsageError(`${option}: backend ${backend} can't do that. Use --backend tensorflow, or leave it out.`);
  if (option !== undefined && !tensorflowAvailable()) throw new UsageError(`${option}: only backend tensorflow can do that, and it is not here. Run \`npm run setup:tensorflow\`, or leave it out.`);
  if (threads !== undefined && threads > 1 && backend === "cpu") throw new UsageError(`--threads ${threads}: backend cpu computes with one thread. Use --backend wasm or tensorflow.`);
}

/**
 * Loads a backend and makes it TensorFlow.js's current one.
 *
 * @returns how many threads it computes with.
 * @throws when it can't run here.
 */
export async function startBackend(name: Exclude<BackendName, "auto">, how: How = {}): Promise<number> {
  if (name === "webgpu") throw new UsageError("--backend webgpu: not in Node yet. Use tensorflow (`npm run setup:tensorflow`), wasm or cpu.");
  const threads = await starters[name](how);
  await tf.ready();
  return threads;
}

/**
 * Starts the backend asked for; `auto` takes tensorflow where it loads, else wasm, and says so in one line.
 *
 * @returns its name.
 */
export async function chooseBackend(options: BackendOptions, terminal: Terminal): Promise<string> {
  const { backend: name, precision } = options;
  if (name !== "auto") {
    await startBackend(name, options);
  } else if (tensorflowAvailable()) {
    try {
      await startBackend("tensorflow", options);
      terminal.note("Backend: tensorflow.");
    } catch (error) {
      if (ofTensorflow(options) !== undefined) throw error;
      const threads = await startBackend("wasm", options);
      terminal.note(`Backend: wasm, ${threads} threads, because tensorflow does not load (${(error as Error).message.split("\n")[0]}).`);
    }
  } else {
    const threads = await startBackend("wasm", options);
    terminal.note(`Backend: wasm, ${threads} threads (\`npm run setup:tensorflow\` computes large networks faster).`);
  }
  if (precision === "bf16" && bf16Instructions()?.length === 0) terminal.note("This processor has no bf16 arithmetic: --precision bf16 is not faster here.");
  return tf.getBackend();
}
