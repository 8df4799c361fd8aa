/** The memory of TensorFlow.js's wasm module, whose end TensorFlow.js itself does not notice. */
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import { BackendError, MemoryError } from "@mrcnn/core";

/** Bytes at which the module's memory stops growing: a page less than 32 bits can address. */
export const MEMORY_LIMIT: number = 2 ** 32 - 2 ** 16;

// What must be left after each allocation, for those that compiled code makes itself (XNNPACK's operators, the list of
// tensors) and does not check either.
const RESERVE = 2 ** 25;

const REMEDY =
  "Use smaller images (minSize, maxSize), fewer at a time (a smaller batchSize), or a backend that is not bound by WebAssembly's 4 GB.";

/** What the module exports and this file replaces. */
interface Module {
  _malloc: (bytes: number) => number;
  _free: (pointer: number) => void;
  onAbort?: unknown;
}

/** Whether a module still works, and how it is told that it does not. */
export interface Guard {
  readonly isBroken: boolean;
  /** After this every allocation is refused: a function that was cut short may have left the allocator locked. */
  fail(cause: unknown): void;
}

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20).toLocaleString("en")} MB`;

/** The error for `bytes` that a memory of `taken` bytes has no room for. */
export function outOfMemory(bytes: number, taken: number): MemoryError {
  const shortage = `Backend wasm is out of memory: ${megabytes(bytes)} more were needed, and ${megabytes(taken)} of at most ${megabytes(MEMORY_LIMIT)} are taken.`;
  return new MemoryError(shortage, REMEDY);
}

/**
 * Checks every allocation of a module. TensorFlow.js takes malloc's 0 for an address, and a size beyond 32 bits
 * for its remainder: tensors then share memory with each other and with the allocator's own.
 *
 * Allocations throw MemoryError when there is no room, and BackendError once the module is broken.
 */
export function guardMemory(backend: BackendWasm, memory: WebAssembly.Memory): Guard {
  const module = backend.wasm as unknown as Module;
  // For whoever knows beforehand how much it will need.
  Object.assign(backend, { memoryLimit: MEMORY_LIMIT });
  // The exports replace themselves when they are first called.
  module._free(module._malloc(1));
  const { _malloc: malloc, _free: free } = module;
  let broken: { readonly cause: unknown } | undefined;
  const fail = (cause: unknown): void => void (broken ??= { cause });
  const whole = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      fail(error);
      throw error;
    }
  };
  // An abort of compiled code is an error that its caller may catch; the module is of no use afterwards.
  module.onAbort = fail;
  module._malloc = (bytes) => {
    if (broken !== undefined)
      throw new BackendError(
        "Backend wasm broke down before. Start it anew with startWasm(), and load what was on it again.",
        { cause: broken.cause },
      );
    const pointer = bytes <= MEMORY_LIMIT ? whole(() => malloc(bytes)) : 0;
    const reserve = pointer === 0 ? 0 : whole(() => malloc(RESERVE));
    free(reserve);
    if (reserve !== 0) return pointer;
    free(pointer);
    throw outOfMemory(bytes, memory.buffer.byteLength);
  };
  module._free = (pointer) => {
    if (broken === undefined) whole(() => free(pointer));
  };
  const dispose = backend.disposeData.bind(backend);
  backend.disposeData = (dataId, force) => broken !== undefined || dispose(dataId, force);
  return {
    get isBroken() {
      return broken !== undefined;
    },
    fail,
  };
}
