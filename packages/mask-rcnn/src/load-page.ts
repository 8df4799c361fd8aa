/** Loads a model in a page. */
import { getBackend, setBackend } from "@tensorflow/tfjs-core";
import { startWasm } from "@mrcnn/backend-wasm";
import { findGpu } from "@mrcnn/backend-webgpu/adapter";
import { BackendError, ConfigError, ofType, oneOf, startFastest } from "@mrcnn/core";
import type { ComputeDevice, OptionRules } from "@mrcnn/core";
import { readWeights } from "@mrcnn/weights";
import type { SourceWeights } from "@mrcnn/weights";
import { catalogEntry } from "./catalog.ts";
import type { CatalogEntry } from "./catalog.ts";
import { assertEffect, assertLoadOptions, loaderRules } from "./check-options.ts";
import { createDetector, isWeightsError, placeOf, readPlace, unknownWeights } from "./detector.ts";
import type { Detector, DetectorOptions } from "./detector.ts";
import { downloadInPage, forgetInPage } from "./page-cache.ts";
import type { PageDownloadOptions } from "./page-cache.ts";
import { readPageImage } from "./page-image.ts";
import type { PageImage } from "./page-image.ts";
import { locateWasmFiles } from "./wasm-files.ts";

/** Options of `loadMaskRcnn` in a page. */
export interface LoadOptions extends DetectorOptions, PageDownloadOptions {
  /**
   * The weights: a name of the catalog, a URL (relative to the page), a File or Blob, or the bytes of a file;
   * in any format that @mrcnn/weights reads, or the URL of an index of shards (`.index.json`).
   */
  readonly weights: string | URL | Blob | Uint8Array | ArrayBuffer;
  /**
   * Backend of TensorFlow.js. "auto" takes a GPU where the browser offers one, else WebAssembly. "webgpu"
   * accepts a software adapter too, which is slow. "current" keeps TensorFlow.js's current backend. Default
   * "auto".
   */
  readonly backend?: "auto" | "webgpu" | "wasm" | "cpu" | "current" | undefined;
  /**
   * Folder in which the page's server has the three `.wasm` files of @tensorflow/tfjs-backend-wasm: a URL
   * that ends in a slash. Default: where the bundler put them.
   */
  readonly wasmPath?: string | undefined;
}

/** A model in a page. */
export type MaskRcnnDetector = Detector<PageImage>;

/**
 * Loads a model: `await loadMaskRcnn({ weights: "models/maskrcnn.safetensors" })`. Downloads are kept in the
 * page's Cache Storage. The caller disposes the model.
 *
 * @throws ConfigError for an unknown name, with the nearest one; WeightsError for a download that fails, or
 * weights that are truncated, corrupt, or not those of `model`; BackendError when the backend does not start;
 * the signal's reason.
 */
export async function loadMaskRcnn(options: LoadOptions): Promise<MaskRcnnDetector> {
  assertLoadOptions(options, rules, {
    cacheDir: "Node has it; pages keep what they download in Cache Storage.",
  });
  const { weights, backend = "auto", model, wasmPath } = options;
  if (wasmPath !== undefined && backend !== "auto" && backend !== "wasm")
    throw new ConfigError(
      `loadMaskRcnn: wasmPath has no effect with backend ${JSON.stringify(backend)}. Leave it out.`,
    );
  const source = locate(weights, options);
  assertEffect(options, { isOfCatalog: source.entry !== undefined, isHere: source.isHere });
  const entry = source.entry ?? (model === undefined ? undefined : catalogEntry(model));
  try {
    return await createDetector(source.bring, readPageImage, {
      ...options,
      where: source.where,
      entry,
      published: source.entry !== undefined,
      backend: () => startBackend(backend, wasmPath),
    });
  } catch (error) {
    // Files that turned out not to be weights are useless in the cache.
    if (isWeightsError(error)) for (const url of source.urls) await forgetInPage(url);
    throw error;
  }
}

const rules: OptionRules = {
  ...loaderRules,
  wasmPath: ofType("string", "a folder's URL, ending in a slash"),
  backend: oneOf("auto", "webgpu", "wasm", "cpu", "current"),
};

interface Source {
  /** Whether the weights are local, so that nothing has to be downloaded. */
  readonly isHere: boolean;
  readonly bring: () => Promise<SourceWeights>;
  readonly where: string;
  readonly entry?: CatalogEntry | undefined;
  /** URLs of the files that were downloaded or cached. */
  readonly urls: string[];
}

function locate(weights: LoadOptions["weights"], options: LoadOptions): Source {
  const urls: string[] = [];
  const bytes = weights instanceof ArrayBuffer ? new Uint8Array(weights) : weights;
  if (bytes instanceof Uint8Array)
    return { bring: () => readWeights(bytes, "weights"), where: "weights", isHere: true, urls };
  if (bytes instanceof Blob) {
    const name = "name" in bytes ? String(bytes.name) : "weights";
    return {
      bring: async () => readWeights(new Uint8Array(await bytes.arrayBuffer()), name),
      where: name,
      isHere: true,
      urls,
    };
  }
  const { url, entry } = placeOf(String(bytes)) ?? { url: pageUrl(String(bytes)) };
  const where = entry?.name ?? url;
  const fetched = async (one: string): Promise<Uint8Array> => {
    const file = await downloadInPage(one, entry?.checksum, options);
    urls.push(one);
    return file;
  };
  return { bring: () => readPlace(url, fetched, where), where, entry, isHere: false, urls };
}

// A misspelled name of the catalog is not a relative URL: those have an extension.
function pageUrl(text: string): string {
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  if (base === undefined || !/\.[A-Za-z0-9]+([?#]|$)/.test(text))
    throw unknownWeights(text, " with an ending like .safetensors");
  return new URL(text, base).href;
}

async function startBackend(
  name: NonNullable<LoadOptions["backend"]>,
  wasmPath: string | undefined,
): Promise<string> {
  switch (name) {
    case "current":
      break;
    case "auto":
      await startFastest([
        { name: "webgpu", mayUseGpu: true, start: startGpu },
        { name: "wasm", mayUseGpu: false, start: () => startWasmHere(wasmPath) },
      ]);
      break;
    case "webgpu":
      await startWebgpu();
      break;
    case "wasm":
      await startWasmHere(wasmPath);
      break;
    case "cpu":
      await import("@tensorflow/tfjs-backend-cpu");
      await setBackend("cpu");
      break;
    default:
      throw new ConfigError(
        `loadMaskRcnn: backend must be "auto", "webgpu", "wasm", "cpu" or "current", got ${JSON.stringify(name)}.`,
      );
  }
  return getBackend();
}

// A GPU that is here but does not start leaves the work to WebAssembly; a software adapter is slower than
// that.
async function startGpu(): Promise<ComputeDevice> {
  if ((await findGpu()) === undefined) throw new BackendError("webgpu: the browser gives no GPU.");
  await startWebgpu();
  return { isGpu: true };
}

// Loaded on demand, as a page without a GPU doesn't need it.
async function startWebgpu(): Promise<void> {
  const gpu = await import("@mrcnn/backend-webgpu");
  await gpu.startWebgpu();
}

async function startWasmHere(wasmPath: string | undefined): Promise<ComputeDevice> {
  try {
    locateWasmFiles(wasmPath);
    await startWasm();
    return { isGpu: false };
  } catch (cause) {
    throw new BackendError(
      `loadMaskRcnn: backend "wasm" must start, but does not (${(cause as Error).message}). Where its binary can't be fetched, serve the three .wasm files of @tensorflow/tfjs-backend-wasm/dist and give their folder as wasmPath, in a page that is loaded anew.`,
      { cause },
    );
  }
}
