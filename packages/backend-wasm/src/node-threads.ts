/**
 * What TensorFlow.js's threaded build lacks in Node. Its loader starts workers from a blob: URL,
 * which worker_threads refuses; hands them a copy of itself that its bundler broke; and takes half
 * of the logical processors for the physical ones, which leaves one thread where there are two.
 */
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";

const require = createRequire(import.meta.url);
const folder = "@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-threaded-simd";
/** How many workers the loader makes, whatever the number of threads. */
const POOL = 8;

/** Stands in for a worker of the pool that no thread will need: it only says that it is loaded. */
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

function workerSource(): string {
  const { wasmWorkerContents } = require(`${folder}.worker.js`) as { wasmWorkerContents: string };
  const loader = JSON.stringify(require.resolve(`${folder}.js`));
  // The loader's text comes from its file rather than from the copy that is sent.
  return `${wasmWorkerContents.replaceAll("\n", "\\n")}
global.importScripts = () => (0, eval)(fs.readFileSync(${loader}, "utf8"));`;
}

/**
 * Until the returned function is called, starting backend "wasm" finds workers it can use and
 * `threads` processors. Workers never keep the process alive.
 */
export function allowThreads(threads: number): () => void {
  const source = workerSource();
  let made = 0;
  class PoolWorker extends Worker {
    constructor() {
      super(source, { eval: true, stdin: false });
      this.unref();
    }
    // The loader does this to each worker whose thread runs, which is all the time.
    override ref(): void {}
  }
  // The pool gives out its last workers first.
  const make = function (): PoolWorker | IdleWorker {
    return ++made <= POOL - (threads - 1) ? new IdleWorker() : new PoolWorker();
  };
  const before = Object.getOwnPropertyDescriptor(globalThis, "Worker");
  // The loader sets `Worker` itself before it makes some.
  Object.defineProperty(globalThis, "Worker", { get: () => make, set: () => {}, configurable: true });
  const os = require("node:os") as typeof import("node:os");
  const { cpus } = os;
  os.cpus = () => Array.from({ length: 2 * threads }, () => cpus()[0]!);
  return () => {
    if (before === undefined) Reflect.deleteProperty(globalThis, "Worker");
    else Object.defineProperty(globalThis, "Worker", before);
    os.cpus = cpus;
  };
}
