/** What choosing detections and the backends that do it on the device agree on. */
import type { NamedTensorInfoMap } from "@tensorflow/tfjs-core";
import type { KernelContract } from "@mrcnn/core";
import type { DetectionConfig } from "./select-detections.ts";

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

/** For `runKernelOr` and `hasKernel`. */
export const selectDetectionsContract: KernelContract = { name: SELECT_DETECTIONS };
