/** Starts and stops backend "wasm" with threads. */
import { engine, env, registerBackend, setBackend } from "@tensorflow/tfjs-core";
import { setThreadsCount } from "@tensorflow/tfjs-backend-wasm";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import { BackendError } from "@mrcnn/core";
import { withIdleWorkers } from "./idle-workers.ts";
import { inNode, nodeModule } from "./node-module.ts";
import { withoutListeners } from "./process-listeners.ts";
import { registerWasmKernels } from "./register.ts";
import { instanceOf, isShared } from "./simd.ts";
import { createWorkerPool } from "./worker-pool.ts";

export interface WasmOptions {
  /** Number of threads; "auto" takes all logical processors, up to 8. Default "auto". */
  readonly threads?: number | "auto";
}

const MOST_THREADS = 8;
const PATIENCE_MS = 20_000;
// Flag that makes TensorFlow.js load the build with shared memory. In Node its default is false.
const SHARED = "WASM_HAS_MULTITHREAD_SUPPORT";

async function processors(): Promise<number> {
  return inNode() ? (await nodeModule("node:os")).availableParallelism() : navigator.hardwareConcurrency;
}

/**
 * Registers this package's kernels and makes backend "wasm" the current one, with threads. In a browser
 * threads need a cross-origin-isolated page. Where they do not start, one thread is used. The workers do not
 * keep a process alive. A backend that broke down is started again.
 *
 * @returns the number of threads; that of the running backend when it had been started before.
 * @throws BackendError when the backend does not start at all.
 */
export function startWasm(options: WasmOptions = {}): Promise<number> {
  const next = last.then(() => start(options));
  last = next.catch(() => {});
  return next;
}

/**
 * Stops backend "wasm" and its threads, and frees its memory, which otherwise never shrinks. All tensors on
 * it and the models made of them are lost; `startWasm` starts it again. Waits for a start in progress; does
 * nothing when the backend does not run.
 */
export function stopWasm(): Promise<void> {
  const next = last.then(stop);
  last = next.catch(() => {});
  return next;
}

function stop(): void {
  const { registry, registryFactory } = engine();
  const backend = registry["wasm"] as BackendWasm | undefined;
  const registered = registryFactory["wasm"];
  if (backend === undefined || registered === undefined) return;
  instanceOf(backend).pool?.dispose();
  retire(backend);
  engine().removeBackend("wasm");
  if (inNode()) env().set(SHARED, false);
  registerBackend("wasm", registered.factory, registered.priority);
}

// Tensors outlive their backend: they may still be disposed, but not read.
function retire(backend: BackendWasm): void {
  const gone = (): never => {
    throw new BackendError("Backend wasm was stopped, and what was on it is gone. Load the model again.");
  };
  Object.assign(backend, {
    disposeData: () => true,
    refCount: () => 0,
    incRef: gone,
    read: async () => gone(),
    readSync: gone,
    write: gone,
    makeOutput: gone,
    getMemoryOffset: gone,
    typedArrayFromHeap: gone,
    // TensorFlow.js's own method calls compiled code, which may have broken down.
    dispose: () => Object.assign(backend, { wasm: null }),
  });
}

// TensorFlow.js has one backend "wasm": concurrent starts and stops run one after the other.
let last: Promise<unknown> = Promise.resolve();

async function start({ threads = "auto" }: WasmOptions): Promise<number> {
  registerWasmKernels();
  const wanted = Math.min(MOST_THREADS, threads === "auto" ? await processors() : threads);
  if (!(Number.isInteger(wanted) && wanted >= 1)) {
    throw new BackendError(`startWasm: threads must be "auto" or a whole number from 1, got ${threads}.`);
  }
  const running = engine().registry["wasm"] as BackendWasm | undefined;
  if (running !== undefined && instanceOf(running).guard.isBroken) stop();
  const isFirst = !("wasm" in engine().registry);
  const clean = withoutListeners();
  const isThreaded = isFirst && wanted > 1 && (await startShared());
  const isStarted = isThreaded || (await setBackend("wasm"));
  clean();
  if (!isStarted) {
    throw new BackendError(
      'startWasm: backend "wasm" must start, but TensorFlow.js could not load its binary. See the warning it logged.',
    );
  }
  await setBackend("wasm");
  const backend = engine().backend as BackendWasm;
  if (isThreaded) await addWorkers(backend, wanted);
  return instanceOf(backend).pool?.threads ?? 1;
}

/** Starts the build with shared memory, where such memory exists, without the threads of its own. */
async function startShared(): Promise<boolean> {
  setThreadsCount(1);
  const restore = withIdleWorkers();
  try {
    if (inNode()) env().set(SHARED, true);
    // A page first fetches the binary, which may take any time.
    const starting = setBackend("wasm");
    if (await (inNode() ? inTime(starting) : starting)) return true;
  } catch {
    // Failed: one thread is used.
  } finally {
    restore();
  }
  env().set(SHARED, false);
  return false;
}

async function addWorkers(backend: BackendWasm, threads: number): Promise<void> {
  const instance = instanceOf(backend);
  if (!isShared(instance.memory)) return;
  try {
    instance.pool = await inTime(createWorkerPool(instance, threads));
  } catch {
    // No workers here: one thread is used.
  }
}

async function inTime<T>(work: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>(
    (resolve) => (timer = setTimeout(() => resolve(undefined), PATIENCE_MS)),
  );
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
