/** The location of TensorFlow.js's WebAssembly binaries in a page. */
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";

/**
 * Tells TensorFlow.js the location of its binaries: a folder on the page's server, else where the bundler put
 * them.
 */
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

// Bundlers recognise `new URL("…", import.meta.url)` with a literal name: they copy the file and substitute
// the URL under which the page gets it.
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
    return undefined; // a script that is not a module has no URL: TensorFlow.js looks beside the script
  }
}

// Where nothing resolved the name (no bundler, or vite's development server), the URL is below this module's
// own folder, but the file is installed beside this package.
const installed = ({ href }: URL): string =>
  href.replace(/\/@mrcnn\/mask-rcnn\/dist\/(?=@tensorflow\/)/, "/");
