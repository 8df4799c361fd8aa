import { tensor1d, tensor2d, tidy, zeros } from "@tensorflow/tfjs-core";
import type { Rank, Tensor4D } from "@tensorflow/tfjs-core";
import { assertLength, assertShape, ConfigError, runKernelOr, ShapeError } from "@mrcnn/core";
import type { Rois } from "@mrcnn/core";
import { roiAlignContract } from "./kernel.ts";
import type { RoiAlignAttrs } from "./kernel.ts";
import { separableRoiAlign } from "./separable.ts";

/** Of `roiAlign`. */
export interface RoiAlignOptions {
  /** Bins of each roi: [height, width]. */
  readonly outputSize: readonly [number, number];
  /** Pixels of the feature map per pixel of the image: 1/4 for stride 4. */
  readonly spatialScale: number;
  /** Samples per bin and axis; 0 means ceil(extent of the roi / bins). torchvision's models use 2, detectron2's 0. */
  readonly samplingRatio: number;
  /**
   * Whether pixel centres lie at half integers. false shifts by half a cell and widens rois to at
   * least one cell, as torchvision's models do; true is detectron2's.
   */
  readonly aligned: boolean;
}

/**
 * RoIAlign (Mask R-CNN, section 3): crops each roi from its image's features as a grid of bins,
 * each the mean of bilinear samples, without any rounding of coordinates.
 *
 * `features` float32 [B, H, W, C]; `rois` on the host, xyxy in image pixels. Returns float32
 * [R, outputSize[0], outputSize[1], C] in the order of `rois`; [0, ...] for none. Differentiable in
 * the features only. Values are those of torchvision's `roi_align`.
 *
 * @throws ShapeError when arrays don't fit together or an image index is outside the batch.
 * @throws ConfigError for sizes or ratios that aren't whole numbers in range.
 */
export function roiAlign(features: Tensor4D, rois: Rois, options: RoiAlignOptions): Tensor4D {
  const { outputSize, spatialScale, samplingRatio, aligned } = options;
  const [outputHeight, outputWidth] = outputSize;
  assertShape(features, [null, null, null, null], "roiAlign", "features");
  const [batch, , , channels] = features.shape;
  const count = rois.imageIndex.length;
  assertLength(rois.boxes, count * 4, "roiAlign", "rois.boxes");
  for (const image of rois.imageIndex) {
    if (!(image >= 0 && image < batch)) {
      throw new ShapeError(`roiAlign: rois.imageIndex must be in [0, ${batch}), got ${image}. Features and rois must be of one batch.`);
    }
  }
  const whole = (value: number, least: number, name: string): void => {
    if (Number.isInteger(value) && value >= least) return;
    throw new ConfigError(`roiAlign: ${name} must be a whole number of at least ${least}, got ${value}.`);
  };
  whole(outputHeight, 1, "outputSize[0]");
  whole(outputWidth, 1, "outputSize[1]");
  whole(samplingRatio, 0, "samplingRatio");

  return tidy(() => {
    if (count === 0) return zeros<Rank.R4>([0, outputHeight, outputWidth, channels]);
    const attrs: RoiAlignAttrs = { outputHeight, outputWidth, spatialScale, samplingRatio, aligned };
    const inputs = {
      features,
      boxes: tensor2d(rois.boxes, [count, 4]),
      imageIndex: tensor1d(rois.imageIndex, "int32"),
    };
    return runKernelOr(roiAlignContract, inputs, attrs, () => separableRoiAlign(features, rois, attrs));
  });
}
