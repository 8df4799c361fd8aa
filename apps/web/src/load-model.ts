/** Loads a model in the worker, from weights or from a training run. */
import { startWasm } from "@mrcnn/backend-wasm";
import { WeightsError } from "@mrcnn/core";
import { loadMaskRcnn } from "@mrcnn/mask-rcnn";
import type { DownloadProgress, LoadOptions, MaskRcnnDetector } from "@mrcnn/mask-rcnn";
import { catalogEntry, findInCatalog } from "@mrcnn/mask-rcnn/catalog";
import type { Category } from "@mrcnn/mask-rcnn/catalog";
import { parseRun } from "@mrcnn/model";
import type { DetectOptions, MaskRcnn, MaskRcnnConfig } from "@mrcnn/model";
import type { BackendName, KeypointInfo, ModelInfo, ModelSource, PathFile } from "./protocol.ts";

/** Settings of the model; absent ones are those of its config. */
export interface Settings extends DetectOptions {
  /** Images are not resized. */
  readonly nativeSize?: boolean | undefined;
}

/** A model that is ready to detect. */
export interface LoadedModel {
  readonly model: MaskRcnn;
  readonly info: ModelInfo;
  readonly settings: Settings;
  dispose(): void;
}

/** Callbacks and the abort signal of a load. */
export interface Watch {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: DownloadProgress) => void;
  /** Called when the device is lost, with everything on it. */
  readonly onLost: (reason: string) => void;
}

interface Plan {
  readonly name: string;
  readonly weights: LoadOptions["weights"];
  readonly config?: MaskRcnnConfig | undefined;
  readonly classes?: readonly string[] | undefined;
  readonly categories?: readonly Category[] | undefined;
  readonly settings: Settings;
}

/**
 * Loads a model onto a backend.
 *
 * @throws as `loadMaskRcnn`; WeightsError for files that are neither weights nor a run.
 */
export async function loadModel(
  source: ModelSource,
  backend: BackendName,
  { signal, onProgress, onLost }: Watch,
): Promise<LoadedModel> {
  const { name, weights, config, classes, categories, settings } = await planOf(source);
  const device = backend === "webgpu" ? await startGpu(onLost) : undefined;
  const detector = await loadMaskRcnn({
    weights,
    config,
    classes,
    signal,
    onProgress,
    backend: backend === "webgpu" ? "current" : backend,
  });
  const { model } = detector;
  return {
    model,
    settings,
    info: {
      name,
      categories: categories ?? detector.categories,
      hasMasks: model.config.mask,
      keypoints: keypointsOf(model.config),
      backend,
      device: device ?? (backend === "wasm" ? threadsOf(await startWasm()) : "one thread"),
      parameters: parametersOf(detector),
      assumed: detector.assumed,
      notes: detector.notes,
      scoreThreshold: settings.scoreThreshold ?? model.config.box.scoreThreshold,
      maxDetections: settings.maxDetections ?? model.config.box.maxDetections,
    },
    dispose: () => detector.dispose(),
  };
}

const threadsOf = (threads: number): string => (threads === 1 ? "one thread" : `${threads} threads`);

const parametersOf = ({ model }: MaskRcnnDetector): number =>
  [...model.variables.values()].reduce((sum, { size }) => sum + size, 0);

// Only COCO's persons have limbs. torchvision's scores are logits, shown from a sigmoid of one half;
// detectron2's are probabilities within a heatmap, shown from the threshold of its own images.
function keypointsOf({ keypoints, numerics }: MaskRcnnConfig): KeypointInfo | undefined {
  if (keypoints.length === 0) return undefined;
  const person = catalogEntry("keypointrcnn_resnet50_fpn").keypoints!;
  const skeleton = String(keypoints) === String(person.names) ? person.skeleton : [];
  return { names: keypoints, skeleton, threshold: numerics === "detectron2" ? 0.05 : 0 };
}

async function planOf(source: ModelSource): Promise<Plan> {
  switch (source.kind) {
    case "url": {
      const { weights } = source;
      return {
        name: findInCatalog(weights)?.name ?? new URL(weights).pathname.split("/").at(-1)!,
        weights,
        settings: {},
      };
    }
    case "files": {
      const run = findRun(source.files);
      if (run !== undefined) return planOfRun(run);
      const { file } = weightsAmong(source.files);
      return { name: file.name, weights: file, classes: source.classes, settings: {} };
    }
  }
}

const WEIGHTS = /\.(pth|pt|pkl|h5|hdf5|safetensors)$/i;

function weightsAmong(files: readonly PathFile[]): PathFile {
  const [only] = files.length === 1 ? files : files.filter(({ path }) => WEIGHTS.test(path));
  if (only !== undefined) return only;
  throw new WeightsError(
    `${files
      .map(({ path }) => path)
      .slice(0, 3)
      .join(
        ", ",
      )}: there must be a file of weights (.pth, .pkl, .h5, .safetensors), or a run's config.json and checkpoints.`,
  );
}

interface Run {
  readonly name: string;
  readonly config: PathFile;
  readonly weights: LoadOptions["weights"];
}

/** Returns the newest checkpoint of the run among dropped files. */
function findRun(files: readonly PathFile[]): Run | undefined {
  const config = files.find(({ path }) => /(^|\/)config\.json$/.test(path));
  if (config === undefined) return undefined;
  const folder = config.path.slice(0, -"config.json".length);
  const newest = files
    .filter(
      ({ path }) => path.startsWith(`${folder}checkpoints/`) && /step-\d+\/weights\.safetensors$/.test(path),
    )
    .toSorted((a, b) => (a.path < b.path ? 1 : -1))[0];
  const name = folder.replace(/\/$/, "").split("/").at(-1) || "run";
  if (newest === undefined)
    throw new WeightsError(
      `${name}: its checkpoints must hold step-N/weights.safetensors. Drop the whole folder of the run, after its first checkpoint.`,
    );
  return { name, config, weights: newest.file };
}

// A run's config has a few kB; a far larger file is not one, and its text may not fit into memory.
const LARGEST_CONFIG = 16 << 20;

async function planOfRun({ name, config, weights }: Run): Promise<Plan> {
  const { path, file } = config;
  if (file.size > LARGEST_CONFIG)
    throw new WeightsError(
      `${path}: the config of a run has some kB, this file ${Math.ceil(file.size / 2 ** 20)} MB. Drop the folder of a run of \`mrcnn train\`.`,
    );
  const text = await file.text();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new WeightsError(
      `${path}: is no JSON (${(cause as Error).message}). Drop the folder of a run of \`mrcnn train\`.`,
      { cause },
    );
  }
  const { config: model, categories, settings } = parseRun(value, path);
  return { name, weights, config: model, categories, settings };
}

async function startGpu(onLost: (reason: string) => void): Promise<string> {
  const { startWebgpu, webgpuBackend } = await import("@mrcnn/backend-webgpu");
  const { description } = await startWebgpu();
  void webgpuBackend().device.lost.then(({ message }) => onLost(message));
  return description;
}
