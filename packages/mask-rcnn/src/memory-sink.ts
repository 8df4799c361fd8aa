/** Collects a download in memory. */
import type { Sink } from "./transfer.ts";

/** A sink in memory. */
export interface MemorySink extends Sink {
  /** Allocates the whole file at once, so that it is never in memory twice. */
  reserve(total: number): void;
  /** Returns the bytes collected so far. */
  bytes(): Uint8Array<ArrayBuffer>;
}

/** Makes a sink that collects a file in memory. */
export function createMemorySink(): MemorySink {
  let buffer = new Uint8Array(0);
  let length = 0;
  let validator: string | undefined;
  const grow = (size: number): void => {
    if (size <= buffer.length) return;
    const larger = new Uint8Array(size);
    larger.set(buffer.subarray(0, length));
    buffer = larger;
  };
  return {
    get length() {
      return length;
    },
    get validator() {
      return validator;
    },
    async restart(next) {
      length = 0;
      validator = next;
    },
    async append(chunk) {
      if (length + chunk.length > buffer.length) grow(Math.max(length + chunk.length, 2 * buffer.length));
      buffer.set(chunk, length);
      length += chunk.length;
    },
    reserve: grow,
    bytes: () => (length === buffer.length ? buffer : buffer.slice(0, length)),
  };
}
