/** RoIAlign on a feature pyramid, as torchvision's MultiScaleRoIAlign and detectron2's ROIPooler. */
import { tidy, zeros } from "@tensorflow/tfjs-core";
import type { Rank, Tensor4D } from "@tensorflow/tfjs-core";
import { hasKernel, runKernel } from "@mrcnn/core/tensors";
import type { Rois } from "@mrcnn/core";
import type { FeatureMaps, RoisOnDevice } from "@mrcnn/core/tensors";
import { roiAlignPyramidContract } from "./contract.ts";
import type { RoiAlignPyramidAttrs } from "./contract.ts";
import { poolPyramid, pyramidMaps } from "./pool-pyramid.ts";
import type { LevelOptions } from "./pool-pyramid.ts";
import { levelAreas } from "./pyramid-levels.ts";
import { assertRois, assertSampling, onHost, roiAlign, roiTensors } from "./roi-align.ts";
import type { RoiAlignOptions } from "./roi-align.ts";

/** Options of `roiAlignPyramid`; the scales follow from the maps and the image. */
export interface PyramidOptions extends Omit<RoiAlignOptions, "spatialScale">, LevelOptions {}

/**
 * Applies RoIAlign to a feature pyramid, each RoI on the level assigned to its size (Feature Pyramid
 * Networks, eq. 1), as torchvision's MultiScaleRoIAlign and detectron2's ROIPooler do: each map's scale is
 * the power of two nearest to map height / image height.
 *
 * `features` finest first, [B, H, W, C] each with the same B and C; `rois` xyxy in image pixels, on the host
 * or, where the backend has a kernel, on the device. Returns [R, outputSize[0], outputSize[1], C] in the
 * order of `rois`. Differentiable in the features only.
 *
 * @throws ConfigError when a named level is missing.
 * @throws ShapeError when levels aren't successive powers of two, and as `roiAlign` does.
 */
export function roiAlignPyramid(
  features: FeatureMaps,
  rois: Rois | RoisOnDevice,
  options: PyramidOptions,
): Tensor4D {
  const { outputSize, samplingRatio, aligned, levels: _, ...levelOptions } = options;
  const { maps, minLevel } = pyramidMaps("roiAlignPyramid", features, options);
  if (levelOptions.levelRule !== "matterport") {
    const [outputHeight, outputWidth] = outputSize;
    const attrs: RoiAlignPyramidAttrs = {
      outputHeight,
      outputWidth,
      samplingRatio,
      aligned,
      spatialScales: maps.map((__, i) => 2 ** -(minLevel + i)),
      areas: levelAreas({ minLevel, maxLevel: minLevel + maps.length - 1, ...levelOptions }),
      inputShapes: maps.map(({ shape }) => shape),
    };
    if (hasKernel(roiAlignPyramidContract, attrs)) {
      assertRois("roiAlignPyramid", rois, maps[0]!.shape[0]);
      assertSampling("roiAlignPyramid", options);
      return tidy(() => {
        if (rois.imageIndex.length === 0)
          return zeros<Rank.R4>([0, outputHeight, outputWidth, maps[0]!.shape[3]]);
        const inputs = {
          ...Object.fromEntries(maps.map((map, i) => [`level${i}`, map])),
          ...roiTensors(rois),
        };
        return runKernel<Tensor4D, RoiAlignPyramidAttrs>(roiAlignPyramidContract, inputs, attrs)!;
      });
    }
  }
  return poolPyramid(
    "roiAlignPyramid",
    features,
    onHost("roiAlignPyramid", rois),
    options,
    (map, part, level) =>
      roiAlign(map, part, { outputSize, samplingRatio, aligned, spatialScale: 2 ** -level }),
  );
}
