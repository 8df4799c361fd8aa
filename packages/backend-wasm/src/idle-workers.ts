/**
 * TensorFlow.js's threaded build is the one whose memory workers can share, but its loader waits for eight
 * workers of its own that often do not start: in Node it makes them from a blob: URL, which worker_threads
 * refuses; in a page it gives them its own source text, which a minifier has taken out of its context. This
 * package has workers of its own and needs none of those.
 */
import { inNode } from "./node-module.ts";

const LOADED = { cmd: "loaded" };

/** Stands in for a worker of the loader's pool, to which nothing is ever given: it says that it is loaded. */
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

/** Workers of the page, which has others too: only those that are told to load the backend are let go, and said to be loaded. */
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

/** Until the returned function is called, the loader of backend "wasm" gets idle workers. */
export function withIdleWorkers(): () => void {
  const before = Object.getOwnPropertyDescriptor(globalThis, "Worker");
  const idle = inNode() || typeof Worker === "undefined" ? IdleWorker : idleInPage(Worker);
  // In Node the loader sets `Worker` itself before it makes some.
  Object.defineProperty(globalThis, "Worker", { get: () => idle, set: () => {}, configurable: true });
  return () => {
    if (before === undefined) Reflect.deleteProperty(globalThis, "Worker");
    else Object.defineProperty(globalThis, "Worker", before);
  };
}
