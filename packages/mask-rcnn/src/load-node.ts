/** Loads a model in Node. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { ConfigError, ofType, oneOf, WeightsError } from "@mrcnn/core";
import type { OptionRules, RawImage } from "@mrcnn/core";
import { decodeImage, readImageFile, whyNoFile } from "@mrcnn/datasets/node";
import { readWeights } from "@mrcnn/weights";
import type { SourceWeights } from "@mrcnn/weights";
import { catalogEntry } from "./catalog.ts";
import type { CatalogEntry } from "./catalog.ts";
import { assertEffect, assertLoadOptions, loaderRules } from "./check-options.ts";
import {
  createDetector,
  isRawImage,
  isWeightsError,
  placeOf,
  readPlace,
  unknownWeights,
} from "./detector.ts";
import type { Detector, DetectorOptions } from "./detector.ts";
import { downloadFile, fileInCatalog, forget } from "./download.ts";
import type { DownloadOptions } from "./download.ts";
import { startBackend } from "./start-backend-node.ts";
import type { NodeBackendName } from "./start-backend-node.ts";

/** An image in Node: decoded already, a path, a file: URL, or the bytes of an image file. */
export type NodeImage = RawImage | string | URL | Uint8Array | ArrayBuffer;

/** Options of `loadMaskRcnn` in Node. */
export interface LoadOptions extends DetectorOptions, DownloadOptions {
  /**
   * The weights: a name of the catalog, an http(s) URL, a path or file: URL, or the bytes of a file; in any
   * format that @mrcnn/weights reads, or an index of shards (`.index.json`).
   */
  readonly weights: string | URL | Uint8Array | ArrayBuffer;
  /**
   * "auto" takes the first that starts of native TensorFlow on a GPU, WebGPU on a GPU, native TensorFlow on
   * the processor and WebAssembly. "webgpu" takes a software adapter too, which is slow. "current" leaves
   * TensorFlow.js's as it is. Default "auto".
   */
  readonly backend?: NodeBackendName | undefined;
}

/** A model in Node. */
export type MaskRcnnDetector = Detector<NodeImage>;

/**
 * Loads a model: `await loadMaskRcnn({ weights: "maskrcnn_resnet50_fpn" })`. Weights that the catalog names
 * are downloaded once, verified, and kept in the user's cache; a local file that is one of the catalog's is
 * recognised by its checksum. The caller disposes the model.
 *
 * @throws ConfigError for an unknown name, with the nearest one; WeightsError for a download that fails, or
 * weights that are truncated, corrupt, or not those of `model`; BackendError when the backend does not start;
 * the signal's reason.
 */
export async function loadMaskRcnn(options: LoadOptions): Promise<MaskRcnnDetector> {
  assertLoadOptions(options, rules, { wasmPath: "Pages have it; Node finds the files itself." });
  const { weights, backend = "auto", model, signal } = options;
  const source = locate(weights, options);
  assertEffect(options, { isOfCatalog: source.entry !== undefined, isHere: source.isHere });
  const published =
    source.entry ??
    (source.isFile === true && model === undefined && whyNoFile(source.where) === undefined ?
      await fileInCatalog(source.where)
    : undefined);
  const entry = published ?? (model === undefined ? undefined : catalogEntry(model));
  try {
    return await createDetector(source.bring, readImage, {
      ...options,
      where: source.where,
      entry,
      published: published !== undefined,
      backend: () => startBackend(backend, signal),
    });
  } catch (error) {
    // Files without a published hash turned out not to be weights.
    if (isWeightsError(error)) for (const url of source.unverified) await forget(url, options);
    throw error;
  }
}

const rules: OptionRules = {
  ...loaderRules,
  cacheDir: ofType("string", "the path of a folder"),
  backend: oneOf("auto", "tensorflow", "webgpu", "wasm", "cpu", "current"),
};

interface Source {
  /** Whether the weights are local, so that nothing has to be downloaded. */
  readonly isHere: boolean;
  /** Whether `where` is the path of a file. */
  readonly isFile?: boolean;
  readonly bring: () => Promise<SourceWeights>;
  readonly where: string;
  readonly entry?: CatalogEntry | undefined;
  /** URLs of files just downloaded without a hash to verify them. */
  readonly unverified: string[];
}

function locate(weights: LoadOptions["weights"], options: LoadOptions): Source {
  const unverified: string[] = [];
  const bytes = weights instanceof ArrayBuffer ? new Uint8Array(weights) : weights;
  if (bytes instanceof Uint8Array)
    return { bring: () => readWeights(bytes, "weights"), where: "weights", isHere: true, unverified };
  const text = bytes instanceof URL && bytes.protocol === "file:" ? fileURLToPath(bytes) : String(bytes);
  const place = placeOf(text);
  if (place === undefined) {
    // Probably a misspelled name.
    if (!existsSync(text)) throw unknownWeights(text, ", or the path of a file");
    return { bring: () => readWeightsFile(text), where: text, isHere: true, isFile: true, unverified };
  }
  const { url, entry } = place;
  const where = entry?.name ?? url;
  const fetched = async (one: string): Promise<Uint8Array> => {
    const file = await downloadFile({ url: one, checksum: entry?.checksum }, options);
    if (file.downloaded && entry?.checksum === undefined) unverified.push(one);
    return readBytes(file.path);
  };
  return { bring: () => readPlace(url, fetched, where), where, entry, isHere: false, unverified };
}

/**
 * Reads a weights file of any format, or the shards beside an index (`.index.json`).
 *
 * @throws WeightsError naming the file when it is missing, truncated, corrupt, or of an unknown model.
 */
export const readWeightsFile = (path: string): Promise<SourceWeights> => readPlace(path, readBytes, path);

async function readBytes(path: string): Promise<Uint8Array> {
  const noFile = whyNoFile(path);
  if (noFile !== undefined) throw new WeightsError(`${path}: the weights can't be read: ${noFile}`);
  try {
    return await readFile(path);
  } catch (cause) {
    throw new WeightsError(
      `${path}: the weights can't be read: ${(cause as Error).message}. Check the path.`,
      { cause },
    );
  }
}

async function readImage(image: NodeImage): Promise<RawImage> {
  if (isRawImage(image)) return image;
  if (image instanceof Uint8Array || image instanceof ArrayBuffer)
    return decodeImage(image instanceof ArrayBuffer ? new Uint8Array(image) : image, "image");
  if (typeof image === "string" || image instanceof URL)
    return readImageFile(image instanceof URL ? fileURLToPath(image) : image);
  throw new ConfigError(
    "detect: the image must be { data: RGB bytes, width, height }, a path, a file: URL or the bytes of an image file. RGBA and grey pixels must become RGB first.",
  );
}
