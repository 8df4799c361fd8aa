import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";

// Bundlers know `new URL("…", import.meta.url)` with the name written out: they take the file along and put
// in the URL under which the page gets it.
const taken = {
  "tfjs-backend-wasm.wasm": new URL("@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm", import.meta.url).href,
  "tfjs-backend-wasm-simd.wasm": new URL("@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm", import.meta.url).href,
  "tfjs-backend-wasm-threaded-simd.wasm": new URL("@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm", import.meta.url).href,
};

/** Tells TensorFlow.js where its binaries are: in a folder of the page's server, else where the bundler put them. */
export function locateWasmFiles(folder: string | undefined): void {
  const inFolder = (base: string): Record<string, string> => Object.fromEntries(Object.keys(taken).map((name) => [name, base + name]));
  setWasmPaths(folder === undefined ? taken : inFolder(folder));
}
