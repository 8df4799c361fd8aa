/** Threads that run this package's compiled functions. */
import { BackendError } from "@mrcnn/core";
import { inNode, nodeModule } from "./node-module.ts";
import type { Simd, SimdName } from "./simd-functions.ts";

/** Threads that run this package's compiled functions on one shared memory. */
export interface WorkerPool {
  /** Number of threads, including the calling one. */
  readonly threads: number;
  /** Runs `name` once for each list of arguments, at most MOST_CALLS, and returns when all calls are done. */
  run(name: SimdName, calls: readonly (readonly number[])[]): void;
  dispose(): void;
}

/** The common interface of workers in Node and in browsers. */
interface Channel {
  postMessage(message: unknown): void;
  terminate(): unknown;
  unref?(): void;
  once?(event: "message" | "error", listener: (value: unknown) => void): void;
  onmessage?: unknown;
  onerror?: unknown;
}

export const MOST_CALLS = 64;
const MOST_ARGUMENTS = 32;
/** Number of doubles for each call: the number of arguments, the function's index, and the arguments. */
const SIZE = 2 + MOST_ARGUMENTS;

// Cells of the shared control array. RUN changes when there is work. TICKETS holds the number of calls in its
// upper half and the next one to take in its lower half, so that a late thread cannot mistake one run for
// another. LEFT counts calls not yet done.
const RUN = 0;
const TICKETS = 1;
const LEFT = 2;
const FAILED = 3;

// Number of polls before a thread sleeps: in a training step the next run is some microseconds away, and
// waking a thread takes as long again.
const SPINS = 5000;

// Threads take calls as they become free: on a busy machine one may be delayed for long.
const source = `
const start = ({ module, memory, control, slots, names }) => {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  let seen = Atomics.load(control, ${RUN});
  post("ready");
  for (;;) {
    for (let i = 0; i < ${SPINS} && Atomics.load(control, ${RUN}) === seen; i++);
    Atomics.wait(control, ${RUN}, seen);
    seen = Atomics.load(control, ${RUN});
    for (;;) {
      const ticket = Atomics.add(control, ${TICKETS}, 1);
      const call = ticket & 0xffff;
      if (call >= ticket >>> 16) break;
      const at = call * ${SIZE};
      try {
        exports[names[slots[at + 1]]](...slots.subarray(at + 2, at + 2 + slots[at]));
      } catch {
        Atomics.store(control, ${FAILED}, 1);
      }
      if (Atomics.sub(control, ${LEFT}, 1) === 1) Atomics.notify(control, ${LEFT});
    }
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
  if (inNode()) {
    const { Worker } = await nodeModule("node:worker_threads");
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
  const control = new Int32Array(new SharedArrayBuffer(16));
  const slots = new Float64Array(new SharedArrayBuffer(MOST_CALLS * SIZE * 8));
  const names = Object.keys(simd);
  const workers: Channel[] = [];
  try {
    while (workers.length < threads - 1) {
      const worker = await spawn();
      workers.push(worker);
      const ready = whenReady(worker);
      worker.postMessage({ module, memory, control, slots, names });
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
      const index = names.indexOf(name);
      calls.forEach((args, call) => {
        slots[call * SIZE] = args.length;
        slots[call * SIZE + 1] = index;
        slots.set(args, call * SIZE + 2);
      });
      Atomics.store(control, LEFT, calls.length);
      Atomics.store(control, TICKETS, calls.length << 16);
      Atomics.add(control, RUN, 1);
      Atomics.notify(control, RUN);
      for (let call = take(control); call >= 0; call = take(control)) {
        try {
          simd[name](...calls[call]!);
        } catch {
          Atomics.store(control, FAILED, 1);
        }
        Atomics.sub(control, LEFT, 1);
      }
      for (let i = 0; i < SPINS && Atomics.load(control, LEFT) > 0; i++);
      // A browser's main thread may not sleep: it polls instead.
      for (let left = Atomics.load(control, LEFT); left > 0; left = Atomics.load(control, LEFT)) {
        try {
          Atomics.wait(control, LEFT, left);
        } catch {
          continue;
        }
      }
      if (Atomics.exchange(control, FAILED, 0) === 1)
        throw new BackendError(`${name}: a thread failed. Start with one thread and look.`);
    },
    dispose() {
      for (const worker of workers) worker.terminate();
    },
  };
}

/** Returns the next call to make, or -1. */
function take(control: Int32Array): number {
  const ticket = Atomics.add(control, TICKETS, 1);
  const call = ticket & 0xffff;
  return call < ticket >>> 16 ? call : -1;
}
