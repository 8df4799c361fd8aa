import type { Tensor4D } from "@tensorflow/tfjs-core";
import type { FeatureMaps, Rois } from "@mrcnn/core";
import { poolPyramid } from "./pool-pyramid.ts";
import type { LevelOptions } from "./pool-pyramid.ts";
import { roiAlign } from "./roi-align.ts";
import type { RoiAlignOptions } from "./roi-align.ts";

/** Of `roiAlignPyramid`; the scales follow from the maps and the image. */
export interface PyramidOptions extends Omit<RoiAlignOptions, "spatialScale">, LevelOptions {}

/**
 * RoIAlign from the level of a feature pyramid that suits each roi's size (Feature Pyramid
 * Networks, eq. 1), as torchvision's MultiScaleRoIAlign and detectron2's ROIPooler do it: each map's
 * scale is the power of two nearest to map height / image height.
 *
 * `features` finest first, [B, H, W, C] each with the same B and C; `rois` on the host, xyxy in image
 * pixels. Returns [R, outputSize[0], outputSize[1], C] in the order of `rois`. Differentiable in the
 * features only.
 *
 * @throws ConfigError when a named level is missing.
 * @throws ShapeError when levels aren't successive powers of two, and as `roiAlign` does.
 */
export function roiAlignPyramid(features: FeatureMaps, rois: Rois, options: PyramidOptions): Tensor4D {
  const { outputSize, samplingRatio, aligned } = options;
  return poolPyramid("roiAlignPyramid", features, rois, options, (map, part, level) =>
    roiAlign(map, part, { outputSize, samplingRatio, aligned, spatialScale: 2 ** -level }),
  );
}
