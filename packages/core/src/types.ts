/**
 * The records passed between the stages of Mask R-CNN, declared once so that the packages (rpn, heads,
 * targets, losses, model, trainer) stay independent of each other.
 *
 * Conventions of all packages: boxes are (x1, y1, x2, y2), float32 pixels of the network input, with
 * exclusive continuous right and bottom edges; images and features are NHWC; label 0 is background; pyramids
 * list the finest level first; host arrays are flat and row-major.
 */
import type { CocoId } from "./ids.ts";

/** Height and width in pixels. */
export interface ImageSize {
  readonly height: number;
  readonly width: number;
}

/** A decoded image: interleaved 8-bit RGB, row-major, `data.length = height * width * 3`. */
export interface RawImage extends ImageSize {
  readonly data: Uint8Array | Uint8ClampedArray;
}

/** An image in the network's input format: float32 [height, width, 3], row-major. */
export interface FloatImage extends ImageSize {
  readonly data: Float32Array;
}

/** COCO run-length encoding: column-major runs, the first run counts zeros (it may be 0). */
export interface Rle {
  readonly size: ImageSize;
  readonly counts: Uint32Array;
}

/**
 * A binary mask stored only within a window (`left`, `top`, `width`, `height`) of an image of `size`; `data`
 * is row-major, 0 or 1, `width * height` long. Outside the window it is 0.
 */
export interface Bitmap {
  readonly size: ImageSize;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/**
 * The objects of one image; the entries of all arrays belong to the same objects. Boxes [N * 4]; labels
 * 1..K-1.
 */
export interface GroundTruth {
  readonly boxes: Float32Array;
  readonly labels: Int32Array;
  /** Masks, one per object, or empty when the data has boxes only. */
  readonly masks: readonly Bitmap[];
  readonly isCrowd: Uint8Array;
}

/** One image of a data set with its objects, both in the pixels of `image`. */
export interface Sample {
  /** The image's id in its data set (COCO's `image.id`). */
  readonly id: CocoId;
  /** The name that errors and reports use: usually the file name. */
  readonly name: string;
  readonly image: RawImage;
  readonly groundTruth: GroundTruth;
}

/** A data set whose images are read on demand. `classNames[0]` is the background. */
export interface Dataset {
  readonly length: number;
  readonly classNames: readonly string[];
  /**
   * Reads image `index`, counted from 0.
   *
   * @throws DatasetError naming the image when it can't be read.
   */
  get(index: number): Promise<Sample>;
}

/** Images normalised and padded to the same size: `data` float32 [B, size.height, size.width, 3]. */
export interface ImageBatch {
  readonly data: Float32Array;
  readonly size: ImageSize;
  /** Each image's size before padding (after resizing). */
  readonly imageSizes: readonly ImageSize[];
}

/** The input of a training step: images and their ground truth in the pixels of the network input. */
export interface TrainingBatch {
  readonly images: ImageBatch;
  readonly groundTruth: readonly GroundTruth[];
  /** Names for error messages, one per image. */
  readonly names: readonly string[];
}

/** Regions of interest on the host: boxes [R * 4]; `imageIndex` [R], each one's image in the batch. */
export interface Rois {
  readonly boxes: Float32Array;
  readonly imageIndex: Int32Array;
}

/** Proposals of a batch, per image best first. `scores` [R] are objectness probabilities. */
export interface Proposals extends Rois {
  readonly scores: Float32Array;
}

/** Sampled anchors of a batch; indices are flat: `image * A + anchor`. */
export interface RpnTargets {
  /** Anchors labelled object, ascending within each image. */
  readonly positive: Int32Array;
  /** Anchors labelled background. */
  readonly negative: Int32Array;
  /** Regression targets of `positive`, [P * 4]. */
  readonly deltas: Float32Array;
}

/** Sampled RoIs of a batch and their targets. */
export interface RoiTargets {
  /** The sampled RoIs, in image order. */
  readonly rois: Rois;
  /** Class of each RoI, [R]; 0 is background. */
  readonly labels: Int32Array;
  /** Indices into `rois` of the P positives, ascending. */
  readonly positive: Int32Array;
  /** Index of the matched object within its image's ground truth, [P]. */
  readonly matchedGt: Int32Array;
  /** Regression targets of the positives (already multiplied by the coder's weights), [P * 4]. */
  readonly deltas: Float32Array;
}

/**
 * Detections of one image without masks, best first: boxes [N * 4] in the network input, labels [N] from 1,
 * scores [N] in 0..1.
 */
export interface BoxDetections {
  readonly boxes: Float32Array;
  readonly labels: Int32Array;
  readonly scores: Float32Array;
}

/** The keypoints of N objects, `count` of each. */
export interface Keypoints {
  /** Number of keypoints K: 17 for COCO's persons. */
  readonly count: number;
  /**
   * Coordinates (x, y, visibility) in pixels of the boxes' image, [N * K * 3]; a detected keypoint's
   * visibility is 1.
   */
  readonly points: Float32Array;
  /** Score of each point, [N * K]: the heatmap's value there, or with detectron2's rule its probability. */
  readonly scores: Float32Array;
}

/** Detections of one image in its original pixels, best first. */
export interface Detections extends BoxDetections {
  /** Size of the original image. */
  readonly imageSize: ImageSize;
  /** Masks, one per box; absent when the model has no mask head. */
  readonly masks?: readonly Rle[];
  /** Keypoints of every box; absent when the model has no keypoint head. */
  readonly keypoints?: Keypoints;
}

/** An evaluated image: its detections and ground truth, in the image's original pixels. */
export interface EvaluatedImage {
  /** The image's id, `Sample.id`. */
  readonly id: CocoId;
  readonly detections: Detections;
  readonly groundTruth: GroundTruth;
}

/** A tensor's values outside TensorFlow.js: `data` row-major, as many as `shape` says. */
export interface HostArray {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array | Uint8Array;
}
/** Weights on the host by state_dict name: the contents of weight files. */
export type NamedArrays = ReadonlyMap<string, HostArray>;

/** An object that holds device memory until it is disposed. */
export interface Disposable {
  /** Frees the memory; the object can't be used afterwards. */
  dispose(): void;
}
