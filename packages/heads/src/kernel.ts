/** What choosing detections, decoding keypoints, pasting masks and the backends that do them on the device agree on. */
import type { NamedTensorInfoMap } from "@tensorflow/tfjs-core";
import type { KernelContract } from "@mrcnn/core/tensors";
import type { DetectionConfig } from "./detection-config.ts";

/** `SelectDetectionsInputs` and `SelectDetectionsAttrs` to float32 [B, maxDetections + 1, 6]. Has no gradient. */
export const SELECT_DETECTIONS = "MrcnnSelectDetections";

/**
 * `classLogits` float32 [R, K]; `deltas` [R, K * 4]; `boxes` [R, 4], the RoIs, R / B rows for each image, of which those
 * with negative coordinates are none; `sizes` [B, 2], height and width of each image before padding.
 */
export type SelectDetectionsInputs = Pick<NamedTensorInfoMap, "classLogits" | "deltas" | "boxes" | "sizes">;

/**
 * Of `MrcnnSelectDetections`. The output's first row of an image holds the number of its detections, and 1 where there
 * may be more that the kernel had no room for (then the host chooses), else 0. Each further row: x1, y1, x2, y2, score, label.
 */
export type SelectDetectionsAttrs = Omit<DetectionConfig, "windows">;

/** The contract of `MrcnnSelectDetections`, which takes no `windows` and refuses to support them. */
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
 * `DecodeKeypointsInputs` and `DecodeKeypointsAttrs` to int32 [R, K, 2]: of each heatmap the position of its best pixel,
 * row times the enlarged map's width plus column, the first of equals; and the bits of its float32 score. Has no gradient.
 */
export const DECODE_KEYPOINTS = "MrcnnDecodeKeypoints";

/**
 * `heatmaps` float32 [R, side, side, K]; `sizes` [R, 4]: width and height that each RoI's maps are enlarged to, in whole
 * pixels, and the small map's pixels in one of those, along x and y.
 */
export type DecodeKeypointsInputs = Pick<NamedTensorInfoMap, "heatmaps" | "sizes">;

/** Of `MrcnnDecodeKeypoints`. */
export interface DecodeKeypointsAttrs {
  readonly side: number;
  /** As in `DecodeKeypointsOptions`. */
  readonly rule: "torchvision" | "detectron2";
}

/** The contract of `MrcnnDecodeKeypoints`. */
export const decodeKeypointsContract: KernelContract<DecodeKeypointsAttrs> = {
  name: DECODE_KEYPOINTS,
  attributes: ["side", "rule"],
};

/**
 * `PasteMasksInputs` and `PasteMasksAttrs` to int32 [words]: a bit for each pixel of each window, set where the mask,
 * interpolated between its four neighbours with zeros around it, is the object. Bits beyond a window are 0. Has no gradient.
 */
export const PASTE_MASKS = "MrcnnPasteMasks";

/**
 * `masks` float32 [R, side, side], probabilities; `windows` int32 [N, 8], `low` int32 and `share` float32 as in the `PastePlan`
 * of @mrcnn/masks.
 */
export type PasteMasksInputs = Pick<NamedTensorInfoMap, "masks" | "windows" | "low" | "share">;

/** Of `MrcnnPasteMasks`. */
export interface PasteMasksAttrs {
  readonly words: number;
  /** A pixel is the object above this, or for detectron2 at least at this. */
  readonly threshold: number;
  /** Whose order of operations. */
  readonly method: "torchvision" | "detectron2";
}

/** The contract of `MrcnnPasteMasks`. */
export const pasteMasksContract: KernelContract<PasteMasksAttrs> = {
  name: PASTE_MASKS,
  attributes: ["words", "threshold", "method"],
};
