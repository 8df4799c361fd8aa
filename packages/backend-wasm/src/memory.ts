/**
 * Checks the memory of TensorFlow.js's wasm module, whose exhaustion TensorFlow.js itself does not detect.
 */
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import { BackendError, MemoryError } from "@mrcnn/core";

/** Size in bytes at which the module's memory stops growing: a page less than 32 bits can address. */
export const MEMORY_LIMIT: number = 2 ** 32 - 2 ** 16;

// Memory that must remain after each allocation, for the allocations that compiled code makes without
// checking them either (XNNPACK's operators, the list of tensors).
const RESERVE = 2 ** 25;

const REMEDY =
  "Use smaller images (minSize, maxSize), fewer at a time (a smaller batchSize), or a backend that is not bound by WebAssembly's 4 GB.";

/** Exports of the module that are replaced here. */
interface Module {
  _malloc: (bytes: number) => number;
  _free: (pointer: number) => void;
  onAbort?: unknown;
}

/** State of a module: whether it still works, and the means to mark it as broken. */
export interface Guard {
  readonly isBroken: boolean;
  /**
   * Marks the module as broken, after which every allocation is refused: an interrupted function may have
   * left the allocator locked.
   */
  fail(cause: unknown): void;
}

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20).toLocaleString("en")} MB`;

/**
 * Makes the error for an allocation of `bytes` that doesn't fit into a memory of which `taken` bytes are
 * used.
 */
export function outOfMemory(bytes: number, taken: number): MemoryError {
  const shortage = `Backend wasm is out of memory: ${megabytes(bytes)} more were needed, and ${megabytes(taken)} of at most ${megabytes(MEMORY_LIMIT)} are taken.`;
  return new MemoryError(shortage, REMEDY);
}

/**
 * Checks every allocation of a module. TensorFlow.js takes malloc's 0 for an address, and truncates a size
 * beyond 32 bits: tensors then share memory with each other and with the allocator's own.
 *
 * Allocations throw MemoryError when there is no room, and BackendError once the module is broken.
 */
export function guardMemory(backend: BackendWasm, memory: WebAssembly.Memory): Guard {
  const module = backend.wasm as unknown as Module;
  // For code that knows in advance how much memory it needs.
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
  // An abort of compiled code is an error that its caller may catch; the module is unusable afterwards.
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
