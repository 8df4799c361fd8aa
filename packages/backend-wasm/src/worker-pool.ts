import { BackendError } from "@mrcnn/core";
import type { Simd, SimdName } from "./simd.ts";

/** Threads that run this package's compiled functions on one shared memory. */
export interface WorkerPool {
  /** The calling thread and the workers. */
  readonly threads: number;
  /** Runs `name` once for each list of arguments, at most `threads`, and returns when all are done. */
  run(name: SimdName, calls: readonly (readonly number[])[]): void;
  dispose(): void;
}

/** What a worker is, in Node and in a browser. */
interface Channel {
  postMessage(message: unknown): void;
  terminate(): unknown;
  unref?(): void;
  once?(event: "message" | "error", listener: (value: unknown) => void): void;
  onmessage?: unknown;
  onerror?: unknown;
}

const MOST_ARGUMENTS = 32;
// Cells of the shared control array: a counter of runs, workers still busy, whether one has failed.
const RUN = 0;
const BUSY = 1;
const FAILED = 2;

// Looks at the counter before going to sleep: in a training step the next run is some microseconds
// away, and waking a thread takes as long again.
const SPINS = 5000;

// Each worker owns a slot of doubles: number of arguments (0: nothing to do this time), index of the
// function, arguments. It sleeps until the counter of runs moves.
const source = `
const start = ({ module, memory, control, slots, names, size, index }) => {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const slot = new Float64Array(slots, index * size * 8, size);
  let seen = Atomics.load(control, ${RUN});
  post("ready");
  for (;;) {
    for (let i = 0; i < ${SPINS} && Atomics.load(control, ${RUN}) === seen; i++);
    Atomics.wait(control, ${RUN}, seen);
    seen = Atomics.load(control, ${RUN});
    if (slot[0] === 0) continue;
    try {
      exports[names[slot[1]]](...slot.subarray(2, 2 + slot[0]));
    } catch {
      Atomics.store(control, ${FAILED}, 1);
    }
    slot[0] = 0;
    if (Atomics.sub(control, ${BUSY}, 1) === 1) Atomics.notify(control, ${BUSY});
  }
};
let post;
if (typeof require === "function") {
  const { parentPort } = require("node:worker_threads");
  post = (message) => parentPort.postMessage(message);
  parentPort.once("message", start);
} else {
  post = (message) => postMessage(message);
  onmessage = ({ data }) => start(data);
}
`;

async function spawn(): Promise<Channel> {
  if (typeof process !== "undefined" && process.versions?.node !== undefined) {
    const { Worker } = await import("node:worker_threads");
    return new Worker(source, { eval: true });
  }
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const worker = new Worker(url);
  URL.revokeObjectURL(url);
  return worker as unknown as Channel;
}

function whenReady(worker: Channel): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (): void => reject(new BackendError("startWasm: a worker did not start."));
    if (worker.once !== undefined) {
      worker.once("message", () => resolve());
      worker.once("error", failed);
    } else {
      worker.onmessage = () => resolve();
      worker.onerror = failed;
    }
  });
}

/** Starts `threads - 1` workers on a shared memory. They do not keep a process alive. */
export async function createWorkerPool(
  { module, memory, simd }: { module: WebAssembly.Module; memory: WebAssembly.Memory; simd: Simd },
  threads: number,
): Promise<WorkerPool> {
  const size = 2 + MOST_ARGUMENTS;
  const control = new Int32Array(new SharedArrayBuffer(12));
  const slots = new SharedArrayBuffer((threads - 1) * size * 8);
  const names = Object.keys(simd);
  const workers: Channel[] = [];
  try {
    for (let index = 0; index < threads - 1; index++) {
      const worker = await spawn();
      workers.push(worker);
      const ready = whenReady(worker);
      worker.postMessage({ module, memory, control, slots, names, size, index });
      await ready;
      worker.unref?.();
    }
  } catch (error) {
    for (const worker of workers) worker.terminate();
    throw error;
  }

  return {
    threads,
    run(name, calls) {
      const slot = new Float64Array(slots);
      const others = calls.length - 1;
      for (let i = 0; i < others; i++) {
        const args = calls[i + 1]!;
        slot[i * size + 1] = names.indexOf(name);
        slot.set(args, i * size + 2);
        slot[i * size] = args.length;
      }
      Atomics.store(control, BUSY, others);
      Atomics.add(control, RUN, 1);
      Atomics.notify(control, RUN);
      simd[name](...calls[0]!);
      for (let i = 0; i < SPINS && Atomics.load(control, BUSY) > 0; i++);
      // A browser's main thread may not sleep: it looks again and again.
      for (let busy = Atomics.load(control, BUSY); busy > 0; busy = Atomics.load(control, BUSY)) {
        try {
          Atomics.wait(control, BUSY, busy);
        } catch {
          continue;
        }
      }
      if (Atomics.exchange(control, FAILED, 0) === 1) throw new BackendError(`${name}: a worker failed. Start with one thread and look.`);
    },
    dispose() {
      for (const worker of workers) worker.terminate();
    },
  };
}
