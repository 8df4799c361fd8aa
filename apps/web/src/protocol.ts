/**
 * What the page and its worker say to each other. Everything is plain data that structured cloning
 * knows. The page sends one `load`, then one `detect` or `inspect` at a time; each is answered once.
 */
import type { Detections, ImageSize } from "@mrcnn/core";
import type { Category } from "@mrcnn/mask-rcnn/catalog";
import type { Inside } from "./inspect.ts";
import type { Outlines } from "./outlines.ts";
import type { Problem } from "./problems.ts";

/** What TensorFlow.js computes with. */
export type BackendName = "webgpu" | "wasm" | "cpu";

/** A file, and where it lay in what was dropped: "run/config.json". */
export interface PathFile {
  readonly path: string;
  readonly file: File;
}

/** Where a model comes from. */
export type ModelSource =
  /** A name of the catalog, or the absolute URL of weights. */
  | { readonly kind: "url"; readonly weights: string }
  /** Weights, or the run directory of a training. `model` is the catalog's name they must fit, `classes` their names. */
  | {
      readonly kind: "files";
      readonly files: readonly PathFile[];
      readonly classes?: readonly string[] | undefined;
    };

/** What the page needs to know of a loaded model. */
export interface ModelInfo {
  readonly name: string;
  /** In the order of the labels, label 1 first. */
  readonly categories: readonly Category[];
  readonly hasMasks: boolean;
  /** How keypoints are shown; absent when the model has none. */
  readonly keypoints?: KeypointInfo | undefined;
  readonly backend: BackendName;
  /** Threads of wasm; the adapter's name of WebGPU. */
  readonly device: string;
  /** Weights and buffers. */
  readonly parameters: number;
  /** What weights can't tell and nobody says, as `path=value` of the config: a guess. */
  readonly assumed: readonly string[];
  /** What was chosen where a file leaves a choice: sentences. */
  readonly notes: readonly string[];
  /** The lowest score that the worker answers with. */
  readonly scoreThreshold: number;
  /** The best so many objects of an image are kept. */
  readonly maxDetections: number;
}

/** Names, limbs, and the score from which keypoints are shown. */
export interface KeypointInfo {
  readonly names: readonly string[];
  readonly skeleton: readonly (readonly [number, number])[];
  readonly threshold: number;
}

/** An image to detect on: a file's bytes, or pixels that are handed over. */
export type Picture = Blob | ImageBitmap;

/** What was found in an image. */
export interface Found {
  readonly size: ImageSize;
  readonly detections: Detections;
  /** The masks' edges, for drawing; one for each object when the model has masks. */
  readonly outlines: readonly Outlines[];
  /** From the image's arrival to the answer. */
  readonly seconds: number;
}

/** How the model is run; what is absent is the model's own. */
export interface DetectOptions {
  /** Length of the shorter edge that the network sees, pixels. */
  readonly minSize?: number | undefined;
  /** The best so many objects are kept. */
  readonly maxDetections?: number | undefined;
}

export type ToWorker =
  /** Answered under its number, `load`. */
  | {
      readonly type: "load";
      readonly load: number;
      readonly source: ModelSource;
      readonly backend: BackendName;
    }
  /** Stops a load. What has been downloaded is kept. */
  | { readonly type: "cancel" }
  | {
      readonly type: "detect";
      readonly id: number;
      readonly picture: Picture;
      readonly options: DetectOptions;
    }
  /** The same, from inside. */
  | {
      readonly type: "inspect";
      readonly id: number;
      readonly picture: Picture;
      readonly options: DetectOptions;
    };

export type FromWorker =
  /** `total` is absent where the server does not say it. */
  | {
      readonly type: "progress";
      readonly bytes: number;
      readonly total?: number | undefined;
      readonly rate: number;
    }
  /** A load was heard of: a worker that computes hears of none. */
  | { readonly type: "loading"; readonly load: number }
  | { readonly type: "loaded"; readonly load: number; readonly model: ModelInfo }
  /** Also when another load came meanwhile. */
  | { readonly type: "cancelled"; readonly load: number }
  | {
      readonly type: "found";
      readonly id: number;
      readonly found: Found;
      readonly frame?: ImageBitmap | undefined;
    }
  | { readonly type: "inspected"; readonly id: number; readonly inside: Inside }
  /** Of the load when `id` is absent; `isSource`: the files themselves are at fault, so no other backend helps. */
  | {
      readonly type: "failed";
      readonly load?: number | undefined;
      readonly id?: number | undefined;
      readonly problem: Problem;
      readonly isOutOfMemory?: boolean | undefined;
      readonly isSource?: boolean | undefined;
    }
  /** The GPU is gone: this worker is of no more use. */
  | { readonly type: "lost"; readonly reason: string };
