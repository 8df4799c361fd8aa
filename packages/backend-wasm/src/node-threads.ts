/**
 * TensorFlow.js's threaded build is the one whose memory workers can share, but in Node its loader
 * does not start: it makes its own workers from a blob: URL, which worker_threads refuses. This
 * package has workers of its own and needs none of those.
 */

/** Stands in for a worker of the loader's pool, to which nothing is ever given: it says that it is loaded. */
class IdleWorker {
  onmessage: ((event: { data: object }) => void) | undefined;
  postMessage(): void {
    setImmediate(() => this.onmessage?.({ data: { cmd: "loaded" } }));
  }
  on(): void {}
  ref(): void {}
  unref(): void {}
  terminate(): void {}
}

/** Until the returned function is called, the loader of backend "wasm" gets idle workers. */
export function withIdleWorkers(): () => void {
  const before = Object.getOwnPropertyDescriptor(globalThis, "Worker");
  // The loader sets `Worker` itself before it makes some.
  Object.defineProperty(globalThis, "Worker", { get: () => IdleWorker, set: () => {}, configurable: true });
  return () => {
    if (before === undefined) Reflect.deleteProperty(globalThis, "Worker");
    else Object.defineProperty(globalThis, "Worker", before);
  };
}
