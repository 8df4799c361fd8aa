/**
 * Replaces the workers of TensorFlow.js's threaded build, which this package doesn't use, by idle ones.
 *
 * That build is the only one whose memory workers can share, but its loader waits for eight workers of its
 * own that often do not start: in Node it makes them from a blob: URL, which worker_threads refuses; in a
 * page it gives them its own source text, which a minifier may have made dependent on its context. This
 * package has workers of its own.
 */
import { inNode } from "./node-module.ts";

const LOADED = { cmd: "loaded" };

/** Replaces a worker of the loader's pool, which never receives any work: it reports that it is loaded. */
class IdleWorker {
  onmessage: ((event: { data: object }) => void) | undefined;
  postMessage(): void {
    setImmediate(() => this.onmessage?.({ data: LOADED }));
  }
  on(): void {}
  ref(): void {}
  unref(): void {}
  terminate(): void {}
}

const isLoad = (message: unknown): boolean => {
  const { cmd, wasmModule, urlOrBlob } = (message ?? {}) as Record<string, unknown>;
  return cmd === "load" && wasmModule instanceof WebAssembly.Module && urlOrBlob instanceof Blob;
};

/**
 * Replaces the page's Worker, which has other uses too: only workers that are told to load the backend are
 * terminated, and reported as loaded.
 */
const idleInPage = (Base: typeof Worker): typeof Worker =>
  class extends Base {
    override postMessage(message: unknown, rest?: Transferable[] | StructuredSerializeOptions): void {
      if (!isLoad(message)) {
        super.postMessage(message, rest as StructuredSerializeOptions);
        return;
      }
      this.terminate();
      queueMicrotask(() => this.dispatchEvent(new MessageEvent("message", { data: LOADED })));
    }
  };

/** Gives idle workers to the loader of backend "wasm", until the returned function is called. */
export function withIdleWorkers(): () => void {
  const before = Object.getOwnPropertyDescriptor(globalThis, "Worker");
  const idle = inNode() || typeof Worker === "undefined" ? IdleWorker : idleInPage(Worker);
  // In Node the loader sets `Worker` itself before it makes workers.
  Object.defineProperty(globalThis, "Worker", { get: () => idle, set: () => {}, configurable: true });
  return () => {
    if (before === undefined) Reflect.deleteProperty(globalThis, "Worker");
    else Object.defineProperty(globalThis, "Worker", before);
  };
}
