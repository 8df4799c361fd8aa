import { engine, env, setBackend } from "@tensorflow/tfjs-core";
import { setThreadsCount } from "@tensorflow/tfjs-backend-wasm";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import { BackendError } from "@mrcnn/core";
import { withIdleWorkers } from "./idle-workers.ts";
import { inNode, nodeModule } from "./node-module.ts";
import { registerWasmKernels } from "./register.ts";
import { instanceOf, isShared } from "./simd.ts";
import { createWorkerPool } from "./worker-pool.ts";

export interface WasmOptions {
  /** "auto", the default, takes all logical processors, up to 8. */
  readonly threads?: number | "auto";
}

const MOST_THREADS = 8;
const PATIENCE_MS = 20_000;

async function processors(): Promise<number> {
  return inNode() ? (await nodeModule("node:os")).availableParallelism() : navigator.hardwareConcurrency;
}

/**
 * Registers this package's kernels and makes backend "wasm" the current one, with threads. In a
 * browser threads need a cross-origin-isolated page. Where they do not start, one is used. The
 * workers do not keep a process alive.
 *
 * @returns how many threads it runs; what runs already when the backend had been started before.
 * @throws BackendError when the backend does not start at all.
 */
export function startWasm(options: WasmOptions = {}): Promise<number> {
  const next = last.then(() => start(options));
  last = next.catch(() => {});
  return next;
}

// TensorFlow.js has one backend "wasm": whoever asks for it while it starts waits.
let last: Promise<unknown> = Promise.resolve();

async function start({ threads = "auto" }: WasmOptions): Promise<number> {
  registerWasmKernels();
  const wanted = Math.min(MOST_THREADS, threads === "auto" ? await processors() : threads);
  if (!(Number.isInteger(wanted) && wanted >= 1)) {
    throw new BackendError(`startWasm: threads must be "auto" or a whole number from 1, got ${threads}.`);
  }
  const isFirst = !("wasm" in engine().registry);
  const isThreaded = isFirst && wanted > 1 && (await startShared());
  if (!isThreaded && !(await setBackend("wasm"))) {
    throw new BackendError('startWasm: backend "wasm" must start, but TensorFlow.js could not load its binary. See the warning it logged.');
  }
  await setBackend("wasm");
  const backend = engine().backend as BackendWasm;
  if (isThreaded) await addWorkers(backend, wanted);
  return instanceOf(backend).pool?.threads ?? 1;
}

/** Starts the build with a shared memory, where there is such memory. Its own threads stay out of the way. */
async function startShared(): Promise<boolean> {
  setThreadsCount(1);
  const flag = "WASM_HAS_MULTITHREAD_SUPPORT";
  const restore = withIdleWorkers();
  try {
    if (inNode()) env().set(flag, true);
    // A page fetches the binary first, for which there is no right time.
    const starting = setBackend("wasm");
    if (await (inNode() ? inTime(starting) : starting)) return true;
  } catch {
    // One thread, then.
  } finally {
    restore();
  }
  env().set(flag, false);
  return false;
}

async function addWorkers(backend: BackendWasm, threads: number): Promise<void> {
  const instance = instanceOf(backend);
  if (!isShared(instance.memory)) return;
  try {
    instance.pool = await inTime(createWorkerPool(instance, threads));
  } catch {
    // No workers here: one thread.
  }
}

async function inTime<T>(work: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), PATIENCE_MS)));
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
