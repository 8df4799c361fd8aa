/**
 * Messages between the page and its worker. Everything is plain data for structured cloning. The page sends
 * one `load`, then one `detect` or `inspect` at a time; each is answered once.
 */
import type { Detections, ImageSize } from "@mrcnn/core";
import type { Category } from "@mrcnn/mask-rcnn/catalog";
import type { Inside } from "./inspect.ts";
import type { Outlines } from "./outlines.ts";
import type { Problem } from "./problems.ts";

/** Names of TensorFlow.js's backends. */
export type BackendName = "webgpu" | "wasm" | "cpu";

/** A file, and its path in the dropped folder: "run/config.json". */
export interface PathFile {
  readonly path: string;
  readonly file: File;
}

/** Source of a model. */
export type ModelSource =
  /** A name of the catalog, or the absolute URL of weights. */
  | { readonly kind: "url"; readonly weights: string }
  /**
   * Weights, or the run directory of a training. `model` is the catalog's name they must fit, `classes` the
   * names of the classes.
   */
  | {
      readonly kind: "files";
      readonly files: readonly PathFile[];
      readonly classes?: readonly string[] | undefined;
    };

/** Information about a loaded model for the page. */
export interface ModelInfo {
  readonly name: string;
  /** The classes in the order of the labels, label 1 first. */
  readonly categories: readonly Category[];
  readonly hasMasks: boolean;
  /** How keypoints are shown; absent when the model has none. */
  readonly keypoints?: KeypointInfo | undefined;
  readonly backend: BackendName;
  /** Number of threads of wasm; name of WebGPU's adapter. */
  readonly device: string;
  /** Number of values in weights and buffers. */
  readonly parameters: number;
  /**
   * Settings that are guesses because neither the weights nor the user state them, as `path=value` of the
   * config.
   */
  readonly assumed: readonly string[];
  /** What was chosen where a file is ambiguous: sentences. */
  readonly notes: readonly string[];
  /** The lowest score in the worker's answers. */
  readonly scoreThreshold: number;
  /** Maximum number of detections per image; those with the highest scores are kept. */
  readonly maxDetections: number;
}

/** Names, limbs, and the lowest score of the keypoints that are shown. */
export interface KeypointInfo {
  readonly names: readonly string[];
  readonly skeleton: readonly (readonly [number, number])[];
  readonly threshold: number;
}

/** An image to detect on: a file's bytes, or pixels whose ownership is transferred. */
export type Picture = Blob | ImageBitmap;

/** The objects detected in an image. */
export interface Found {
  readonly size: ImageSize;
  readonly detections: Detections;
  /** Outlines of the masks, for drawing; one for each object when the model has masks. */
  readonly outlines: readonly Outlines[];
  /** Time from the image's arrival to the answer. */
  readonly seconds: number;
}

/** Options of a detection; absent ones are those of the model. */
export interface DetectOptions {
  /** Length in pixels of the shorter edge of the network's input. */
  readonly minSize?: number | undefined;
  /** Maximum number of detections; those with the highest scores are kept. */
  readonly maxDetections?: number | undefined;
}

export type ToWorker =
  /** Loads a model. Answers repeat its number, `load`. */
  | {
      readonly type: "load";
      readonly load: number;
      readonly source: ModelSource;
      readonly backend: BackendName;
    }
  /** Stops a load. Downloaded files are kept. */
  | { readonly type: "cancel" }
  | {
      readonly type: "detect";
      readonly id: number;
      readonly picture: Picture;
      readonly options: DetectOptions;
    }
  /** Detects as `detect`, and returns the results of every stage. */
  | {
      readonly type: "inspect";
      readonly id: number;
      readonly picture: Picture;
      readonly options: DetectOptions;
    };

export type FromWorker =
  /** Progress of a download. `total` is absent where the server does not state it. */
  | {
      readonly type: "progress";
      readonly bytes: number;
      readonly total?: number | undefined;
      readonly rate: number;
    }
  /** Acknowledges a load; a worker that is computing can't. */
  | { readonly type: "loading"; readonly load: number }
  | { readonly type: "loaded"; readonly load: number; readonly model: ModelInfo }
  /** A load was stopped, also when another one has replaced it. */
  | { readonly type: "cancelled"; readonly load: number }
  | {
      readonly type: "found";
      readonly id: number;
      readonly found: Found;
      readonly frame?: ImageBitmap | undefined;
    }
  | { readonly type: "inspected"; readonly id: number; readonly inside: Inside }
  /**
   * A failure, of the load when `id` is absent; `isSource`: the files themselves are at fault, so that no
   * other backend helps.
   */
  | {
      readonly type: "failed";
      readonly load?: number | undefined;
      readonly id?: number | undefined;
      readonly problem: Problem;
      readonly isOutOfMemory?: boolean | undefined;
      readonly isSource?: boolean | undefined;
    }
  /** The GPU is lost: this worker is unusable. */
  | { readonly type: "lost"; readonly reason: string };
