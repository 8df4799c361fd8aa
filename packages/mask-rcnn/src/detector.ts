/** The detector that `loadMaskRcnn` returns, from weights to plain objects. */
import { engine } from "@tensorflow/tfjs-core";
import { assertOptions, ConfigError, isMrcnnError, WeightsError } from "@mrcnn/core";
import type { Disposable, RawImage } from "@mrcnn/core";
import { detectRules, dryRun } from "@mrcnn/model";
import type { DetectOptions, MaskRcnn, MaskRcnnConfig, Partially, Within } from "@mrcnn/model";
import { readShardedWeights, readWeights } from "@mrcnn/weights";
import type { SourceWeights } from "@mrcnn/weights";
import { catalogHint, findInCatalog } from "./catalog.ts";
import type { CatalogEntry } from "./catalog.ts";
import type { Category } from "./coco.ts";
import { toFound } from "./found.ts";
import type { Found } from "./found.ts";
import { createPretrained } from "./pretrained.ts";

/** A loaded model: takes images, returns plain objects. */
export interface Detector<Image> extends Disposable {
  /** The classes in the order of the labels, label 1 first. */
  readonly categories: readonly Category[];
  /**
   * Settings that neither the weights nor the options state, so that they are guesses: as
   * `Pretrained.assumed`.
   */
  readonly assumed: readonly string[];
  /**
   * What was chosen where a file holds several sets of weights, and what was left out: as `Pretrained.notes`.
   */
  readonly notes: readonly string[];
  /** Name of the TensorFlow.js backend. */
  readonly backend: string;
  /** The model itself, for uses other than detection. */
  readonly model: MaskRcnn;
  /**
   * Detects the objects of an image. Concurrent calls run one after the other. `options` default to those
   * given to `loadMaskRcnn`.
   *
   * @throws DatasetError when the image can't be read.
   */
  detect(image: Image, options?: DetectOptions): Promise<Found>;
}

/** Options that exist in every environment. */
export interface DetectorOptions extends DetectOptions {
  /** Name of the catalog's model that the user's own weights must fit. */
  readonly model?: string | undefined;
  /** Names of the classes, label 1 first, for weights that don't state them. */
  readonly classes?: readonly string[] | undefined;
  /**
   * Any part of the model's config, for what weights don't determine (anchors, eps, groups of norms, image
   * sizes): `{ anchors: { sizes: … } }`.
   */
  readonly config?: Partially<MaskRcnnConfig> | undefined;
}

/** Default of the lowest score of a detection. */
export const SCORE_THRESHOLD = 0.5;

/** What to load: an entry of the catalog, a URL, or a location that only the environment knows. */
export type WeightsPlace =
  | { readonly entry: CatalogEntry; readonly url: string }
  | { readonly entry?: undefined; readonly url: string }
  | undefined;

/** Classifies a text as a name of the catalog or a URL. */
export function placeOf(weights: string): WeightsPlace {
  const entry = findInCatalog(weights);
  if (entry !== undefined) return { entry, url: entry.url };
  return /^https?:\/\//i.test(weights) ? { url: weights } : undefined;
}

/** Makes the error for a name that is neither in the catalog nor anything else. */
export function unknownWeights(name: string, otherwise: string): ConfigError {
  return new ConfigError(
    `loadMaskRcnn: weights must be a name of the catalog, a URL${otherwise}, got "${name}". ${catalogHint(name)}`,
  );
}

/** Tells whether a path or URL is that of an index of shards, as `mrcnn convert --shards` writes it. */
export const isIndex = (name: string): boolean => /\.index\.json([?#]|$)/i.test(name);

/**
 * Reads weights from one file, or from the shards beside an index. `read` returns the bytes of a path or URL;
 * it is called for one file at a time, and none is held while the next is read.
 */
export async function readPlace(
  name: string,
  read: (name: string) => Promise<Uint8Array>,
  where: string,
): Promise<SourceWeights> {
  if (!isIndex(name)) return readWeights(await read(name), where);
  let index: unknown;
  try {
    index = JSON.parse(new TextDecoder().decode(await read(name)));
  } catch (cause) {
    if (isMrcnnError(cause) || !(cause instanceof SyntaxError)) throw cause;
    throw new WeightsError(`${where}: is no JSON (${cause.message}). It must be the index of shards.`, {
      cause,
    });
  }
  const beside = (file: string): string =>
    /^https?:/i.test(name) ? new URL(file, name).href : name.replace(/[^/\\]*$/, () => file);
  return readShardedWeights(index, (file) => read(beside(file)), where);
}

/** Makes a detector from weights, which are released once the model holds them. */
export async function createDetector<Image>(
  bring: () => Promise<SourceWeights>,
  readImage: (image: Image) => Promise<RawImage>,
  options: DetectorOptions & {
    readonly where: string;
    readonly entry?: CatalogEntry | undefined;
    readonly published: boolean;
    readonly backend: () => Promise<string>;
  },
): Promise<Detector<Image>> {
  const { where, entry, published, classes, config, backend, ...rest } = options;
  const weights = await bring();
  const name = await backend();
  const { model, ...known } = createPretrained(weights, {
    where,
    entry,
    published,
    classes,
    config,
    consume: true,
  });
  const settings = settingsOf(rest);
  await compileAhead(model, settings);
  return detectorOf(model, { ...known, backend: name, readImage, settings });
}

// On WebGPU: compiles many shaders at once, where the first detection would wait for each in turn.
async function compileAhead(model: MaskRcnn, settings: DetectOptions): Promise<void> {
  const { minSize, maxSize } = model.config.image;
  const size = {
    height: settings.minSize ?? minSize,
    width: settings.maxSize ?? settings.minSize ?? maxSize,
  };
  const backend = engine().backend as {
    compileAhead?(work: (pretend: Within) => Promise<void>): Promise<void>;
  };
  await backend.compileAhead?.((pretend) => dryRun(model, size, settings, pretend));
}

const settingsOf = ({
  scoreThreshold = SCORE_THRESHOLD,
  maxDetections,
  minSize,
  maxSize,
}: DetectOptions): DetectOptions => ({ scoreThreshold, maxDetections, minSize, maxSize });

interface DetectorParts<Image> {
  readonly categories: readonly Category[];
  readonly assumed?: readonly string[];
  readonly notes?: readonly string[];
  readonly backend: string;
  readonly readImage: (image: Image) => Promise<RawImage>;
  readonly settings: DetectOptions;
}

/** Makes a detector from an existing model, which it disposes with itself. */
export function detectorOf<Image>(
  model: MaskRcnn,
  { categories, assumed = [], notes = [], backend, readImage, settings }: DetectorParts<Image>,
): Detector<Image> {
  // Detections run one after the other, as TensorFlow.js can't run them concurrently.
  let last: Promise<unknown> = Promise.resolve();
  let isDisposed = false;
  return {
    categories,
    assumed,
    notes,
    backend,
    model,
    detect(image, options = {}) {
      const next = last.then(async () => {
        assertOptions(options, detectRules, "detect");
        if (isDisposed) throw new ConfigError("detect: the detector has been disposed. Load it again.");
        const raw = await readImage(image);
        const stated = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
        const [found] = await model.detect([raw], { ...settings, ...stated });
        return toFound(found!, categories, model.config.keypoints);
      });
      last = next.catch(() => {});
      return next;
    },
    dispose() {
      if (isDisposed) return;
      isDisposed = true;
      void last.then(() => model.dispose());
    },
  };
}

/** Tells whether an image is already decoded. */
export function isRawImage(image: unknown): image is RawImage {
  const { data, width, height } = (image ?? {}) as Partial<RawImage>;
  return (
    (data instanceof Uint8Array || data instanceof Uint8ClampedArray) &&
    typeof width === "number" &&
    typeof height === "number" &&
    data.length === 3 * width * height
  );
}

/** Tells whether an error means that a file does not hold valid weights, so that it is useless to keep it. */
export const isWeightsError = (error: unknown): boolean => isMrcnnError(error, "weights");
