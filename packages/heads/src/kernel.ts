/**
 * Contracts of the kernels that select detections, decode keypoints and paste masks, for the backends that
 * accelerate them.
 */
import type { NamedTensorInfoMap } from "@tensorflow/tfjs-core";
import type { KernelContract } from "@mrcnn/core/tensors";
import type { DetectionConfig } from "./detection-config.ts";

/**
 * Selection of detections: takes `SelectDetectionsInputs` and `SelectDetectionsAttrs`, returns float32
 * [B, maxDetections + 1, 6]. Has no gradient.
 */
export const SELECT_DETECTIONS = "MrcnnSelectDetections";

/**
 * Inputs of `MrcnnSelectDetections`: `classLogits` float32 [R, K]; `deltas` [R, K * 4]; `boxes` [R, 4], the
 * RoIs, R / B rows for each image, where rows with negative coordinates hold none; `sizes` [B, 2], height and
 * width of each image before padding.
 */
export type SelectDetectionsInputs = Pick<NamedTensorInfoMap, "classLogits" | "deltas" | "boxes" | "sizes">;

/**
 * Attributes of the kernel `MrcnnSelectDetections`. The first row of an image in the output holds the number
 * of its detections, and 1 where the kernel had no room for all candidates (then the host selects), else 0.
 * Each further row holds x1, y1, x2, y2, score, label.
 */
export type SelectDetectionsAttrs = Omit<DetectionConfig, "windows">;

/**
 * The contract of `MrcnnSelectDetections`. It lists `windows` only so that kernels can refuse to support
 * them.
 */
export const selectDetectionsContract: KernelContract<DetectionConfig> = {
  name: SELECT_DETECTIONS,
  attributes: [
    "scoreThreshold",
    "nmsThreshold",
    "maxDetections",
    "minSize",
    "weights",
    "decoding",
    "classes",
    "suppression",
    "firstLabel",
    "inclusiveThreshold",
    "windows",
  ],
};

/**
 * Decoding of keypoints: takes `DecodeKeypointsInputs` and `DecodeKeypointsAttrs`, returns int32 [R, K, 2]:
 * for each heatmap the position of its best pixel, row times the enlarged map's width plus column, the first
 * among equals; and the bits of its float32 score. Has no gradient.
 */
export const DECODE_KEYPOINTS = "MrcnnDecodeKeypoints";

/**
 * Inputs of `MrcnnDecodeKeypoints`: `heatmaps` float32 [R, side, side, K]; `sizes` [R, 4]: width and height
 * to which each RoI's maps are enlarged, in whole pixels, and the small map's pixels per enlarged pixel along
 * x and y.
 */
export type DecodeKeypointsInputs = Pick<NamedTensorInfoMap, "heatmaps" | "sizes">;

/** Attributes of the kernel `MrcnnDecodeKeypoints`. */
export interface DecodeKeypointsAttrs {
  readonly side: number;
  /** Definition of a score, as in `DecodeKeypointsOptions`. */
  readonly rule: "torchvision" | "detectron2";
}

/** The contract of `MrcnnDecodeKeypoints`. */
export const decodeKeypointsContract: KernelContract<DecodeKeypointsAttrs> = {
  name: DECODE_KEYPOINTS,
  attributes: ["side", "rule"],
};

/**
 * Pasting of masks: takes `PasteMasksInputs` and `PasteMasksAttrs`, returns int32 [words]: a bit for each
 * pixel of each window, set where the mask, interpolated between its four neighbours with zeros around it,
 * passes the threshold. Bits beyond a window are 0. Has no gradient.
 */
export const PASTE_MASKS = "MrcnnPasteMasks";

/**
 * Inputs of `MrcnnPasteMasks`: `masks` float32 [R, side, side], probabilities; `windows` int32 [N, 8], `low`
 * int32 and `share` float32 as in the `PastePlan` of @mrcnn/masks.
 */
export type PasteMasksInputs = Pick<NamedTensorInfoMap, "masks" | "windows" | "low" | "share">;

/** Attributes of the kernel `MrcnnPasteMasks`. */
export interface PasteMasksAttrs {
  readonly words: number;
  /** Value above which, or for detectron2 at or above which, a pixel belongs to the object. */
  readonly threshold: number;
  /** The library whose order of operations is followed. */
  readonly method: "torchvision" | "detectron2";
}

/** The contract of `MrcnnPasteMasks`. */
export const pasteMasksContract: KernelContract<PasteMasksAttrs> = {
  name: PASTE_MASKS,
  attributes: ["words", "threshold", "method"],
};
