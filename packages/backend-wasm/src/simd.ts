/** This package's compiled functions on the memory of TensorFlow.js, and their division among threads. */
import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import { BackendError } from "@mrcnn/core";
import { guardMemory } from "./memory.ts";
import type { Guard } from "./memory.ts";
import { MOST_CALLS } from "./worker-pool.ts";
import type { Simd, SimdName } from "./simd-functions.ts";
import { ownMemory, sharedMemory } from "./simd-module.ts";
import type { WorkerPool } from "./worker-pool.ts";

interface Instance {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly simd: Simd;
  readonly guard: Guard;
  /** Allocations of the running kernel, which are freed when it fails. */
  made: TensorInfo[];
  pool: WorkerPool | undefined;
}

// One for each started backend, collected with it.
const instances = new WeakMap<BackendWasm, Instance>();

/**
 * Returns this package's compiled functions on the memory of TensorFlow.js, which is checked from then on,
 * and the threads that run them.
 */
export function instanceOf(backend: BackendWasm): Instance {
  const present = instances.get(backend);
  if (present !== undefined) return present;
  const loaded = backend.wasm as unknown as {
    readonly asm?: { readonly memory?: unknown };
    readonly wasmMemory?: unknown;
  };
  const memory = [loaded.asm?.memory, loaded.wasmMemory].find((one) => one instanceof WebAssembly.Memory);
  if (memory === undefined) {
    throw new BackendError(
      "backend-wasm: the memory of TensorFlow.js's wasm backend must be in reach. Install @tensorflow/tfjs-backend-wasm 4.22.",
    );
  }
  const bytes = Uint8Array.from(atob(isShared(memory) ? sharedMemory : ownMemory), (c) => c.charCodeAt(0));
  const module = new WebAssembly.Module(bytes);
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const made: Instance = {
    module,
    memory,
    simd: exports as unknown as Simd,
    guard: guardMemory(backend, memory),
    made: [],
    pool: undefined,
  };
  instances.set(backend, made);
  return made;
}

export function isShared(memory: WebAssembly.Memory): boolean {
  return typeof SharedArrayBuffer !== "undefined" && memory.buffer instanceof SharedArrayBuffer;
}

/** Number of parts per thread: a thread that is delayed leaves its share to the others. */
const PARTS = 4;

/** Returns the maximum number of parts that `inParts` makes, and so the number of scratch areas needed. */
export function partsOf(backend: BackendWasm): number {
  const { pool } = instanceOf(backend);
  return pool === undefined ? 1 : Math.min(MOST_CALLS, pool.threads * PARTS);
}

/**
 * Runs a function on [0, total) in parts that the threads share, each a multiple of `step` and at least about
 * `least` long. `args` receives a part's bounds and its number.
 */
export function inParts(
  backend: BackendWasm,
  name: SimdName,
  {
    total,
    step = 1,
    least,
    most = partsOf(backend),
  }: { total: number; step?: number; least: number; most?: number },
  args: (first: number, last: number, part: number) => readonly number[],
): void {
  const { simd, pool } = instanceOf(backend);
  const parts = Math.max(1, Math.min(most, Math.floor(total / Math.max(least, step))));
  const bound = (part: number): number =>
    part === parts ? total : Math.floor((total * part) / parts / step) * step;
  const calls = Array.from({ length: parts }, (_, part) => args(bound(part), bound(part + 1), part));
  if (pool === undefined || parts === 1) for (const call of calls) simd[name](...call);
  else pool.run(name, calls);
}

/** Returns the address of a tensor's values. */
export function address(backend: BackendWasm, info: TensorInfo): number {
  return backend.getMemoryOffset(info.dataId);
}
