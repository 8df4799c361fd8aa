import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";

/** Tells TensorFlow.js where its binaries are: in a folder of the page's server, else where the bundler put them. */
export function locateWasmFiles(folder: string | undefined): void {
  const files = folder === undefined ? bundled() : inFolder(folder.replace(/\/?$/, "/"));
  if (files !== undefined) setWasmPaths(files);
}

const inFolder = (folder: string): Record<string, string> =>
  Object.fromEntries(
    ["tfjs-backend-wasm.wasm", "tfjs-backend-wasm-simd.wasm", "tfjs-backend-wasm-threaded-simd.wasm"].map(
      (name) => [name, folder + name],
    ),
  );

// Bundlers know `new URL("…", import.meta.url)` with the name written out: they take the file along and put
// in the URL under which the page gets it.
function bundled(): Record<string, string> | undefined {
  try {
    return {
      "tfjs-backend-wasm.wasm": installed(
        new URL("@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm", import.meta.url),
      ),
      "tfjs-backend-wasm-simd.wasm": installed(
        new URL("@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm", import.meta.url),
      ),
      "tfjs-backend-wasm-threaded-simd.wasm": installed(
        new URL("@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm", import.meta.url),
      ),
    };
  } catch {
    return undefined; // a script that is no module has no URL: TensorFlow.js looks beside it
  }
}

// Where nobody looked the name up (no bundler, or vite's server while one develops), it stands behind this
// module's own folder, but is installed beside this package.
const installed = ({ href }: URL): string =>
  href.replace(/\/@mrcnn\/mask-rcnn\/dist\/(?=@tensorflow\/)/, "/");
