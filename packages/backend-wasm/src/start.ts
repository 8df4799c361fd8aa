import { engine, env, setBackend } from "@tensorflow/tfjs-core";
import { getThreadsCount, setThreadsCount } from "@tensorflow/tfjs-backend-wasm";
import { BackendError } from "@mrcnn/core";
import { registerWasmKernels } from "./register.ts";

export interface WasmOptions {
  /** "auto", the default, takes all logical processors, up to 8. */
  readonly threads?: number | "auto";
}

/** XNNPACK's pool in TensorFlow.js's build has room for no more. */
const MOST_THREADS = 8;
const PATIENCE_MS = 20_000;

const inNode = (): boolean => typeof process !== "undefined" && process.versions?.node !== undefined;

async function processors(): Promise<number> {
  return inNode() ? (await import("node:os")).availableParallelism() : navigator.hardwareConcurrency;
}

/**
 * Registers this package's kernels and makes backend "wasm" the current one, with threads. In Node
 * TensorFlow.js itself runs one thread only; in a browser threads need a cross-origin-isolated page.
 * Where threads do not start, one is used. Workers do not keep the process alive.
 *
 * @returns how many threads it got; what runs already when the backend had been started before.
 * @throws BackendError when the backend does not start at all.
 */
export async function startWasm({ threads = "auto" }: WasmOptions = {}): Promise<number> {
  registerWasmKernels();
  const wanted = Math.min(MOST_THREADS, threads === "auto" ? await processors() : threads);
  if (!(Number.isInteger(wanted) && wanted >= 1)) {
    throw new BackendError(`startWasm: threads must be "auto" or a whole number from 1, got ${threads}.`);
  }
  if (!("wasm" in engine().registry) && !(await startThreads(wanted)) && !(await setBackend("wasm"))) {
    throw new BackendError('startWasm: backend "wasm" must start, but TensorFlow.js could not load its binary. See the warning it logged.');
  }
  await setBackend("wasm");
  // Without a pool the count is -1.
  return Math.max(1, getThreadsCount());
}

async function startThreads(count: number): Promise<boolean> {
  if (count === 1) return false;
  setThreadsCount(count);
  if (!inNode()) return setBackend("wasm");
  const flag = "WASM_HAS_MULTITHREAD_SUPPORT";
  let restore = (): void => {};
  let timer: NodeJS.Timeout | undefined;
  try {
    restore = (await import("./node-threads.ts")).allowThreads(count);
    env().set(flag, true);
    // A worker that dies while it loads leaves the start waiting for ever.
    const late = new Promise<false>((resolve) => (timer = setTimeout(() => resolve(false), PATIENCE_MS)));
    if (await Promise.race([setBackend("wasm"), late])) return true;
  } catch {
    // Bundled without its files, or no workers here: one thread.
  } finally {
    clearTimeout(timer);
    restore();
  }
  env().set(flag, false);
  return false;
}
