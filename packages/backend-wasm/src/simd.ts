import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import { BackendError } from "@mrcnn/core";
import { ownMemory, sharedMemory } from "./simd-module.ts";

/** The compiled functions of assembly/, whose comments describe them. Pointers are byte addresses. */
export interface Simd {
  filterGradientScratch(...sizes: number[]): number;
  filterGradient(x: number, dy: number, out: number, scratch: number, ...rest: number[]): void;
  transpose(from: number, to: number, rows: number, columns: number, first: number, last: number): void;
  maxPoolGradient(x: number, dy: number, dx: number, ...rest: number[]): void;
  groupNormForward(x: number, weight: number, bias: number, y: number, mean: number, rstd: number, scratch: number, ...rest: number[]): void;
  groupNormBackward(dy: number, x: number, weight: number, mean: number, rstd: number, dx: number, totals: number, scratch: number, ...rest: number[]): void;
  gatherRows(from: number, out: number, starts: number, offsets: number, weights: number, rows: number, width: number): void;
  scatterRows(from: number, to: number, starts: number, offsets: number, weights: number, rows: number, width: number): void;
}

interface Loaded {
  readonly asm?: { readonly memory?: unknown };
  readonly wasmMemory?: unknown;
}

// One instance for each started backend, gone with it.
const instances = new WeakMap<BackendWasm, Simd>();

/** This package's compiled kernels, working on the memory of TensorFlow.js's. */
export function simd(backend: BackendWasm): Simd {
  const present = instances.get(backend);
  if (present !== undefined) return present;
  const loaded = backend.wasm as unknown as Loaded;
  const memory = [loaded.asm?.memory, loaded.wasmMemory].find((one) => one instanceof WebAssembly.Memory);
  if (memory === undefined) {
    throw new BackendError("backend-wasm: the memory of TensorFlow.js's wasm backend must be in reach. Install @tensorflow/tfjs-backend-wasm 4.22.");
  }
  const isShared = typeof SharedArrayBuffer !== "undefined" && memory.buffer instanceof SharedArrayBuffer;
  const bytes = Uint8Array.from(atob(isShared ? sharedMemory : ownMemory), (c) => c.charCodeAt(0));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
  const made = exports as unknown as Simd;
  instances.set(backend, made);
  return made;
}

/** Where a tensor's values begin. */
export function address(backend: BackendWasm, info: TensorInfo): number {
  return backend.getMemoryOffset(info.dataId);
}
