/** RoIAlign (Mask R-CNN, section 3), as torchvision's `roi_align`. */
import { tensor1d, tensor2d, tidy, zeros } from "@tensorflow/tfjs-core";
import type { Rank, Tensor1D, Tensor2D, Tensor4D } from "@tensorflow/tfjs-core";
import { assertLength, assertShape, BackendError, ConfigError, ShapeError } from "@mrcnn/core";
import { runKernelOr } from "@mrcnn/core/tensors";
import type { Rois } from "@mrcnn/core";
import type { RoisOnDevice } from "@mrcnn/core/tensors";
import { roiAlignContract } from "./contract.ts";
import type { RoiAlignAttrs } from "./contract.ts";
import { separableRoiAlign } from "./separable.ts";

/** Options of `roiAlign`. */
export interface RoiAlignOptions {
  /** Bins of each RoI: [height, width]. */
  readonly outputSize: readonly [number, number];
  /** Pixels of the feature map per pixel of the image: 1/4 for stride 4. */
  readonly spatialScale: number;
  /**
   * Samples per bin and axis; 0 means ceil(extent of the RoI / bins). torchvision's models use 2,
   * detectron2's 0.
   */
  readonly samplingRatio: number;
  /**
   * Whether pixel centres lie at half integers. false shifts by half a cell and widens RoIs to at least one
   * cell, as torchvision's models do; true is detectron2's.
   */
  readonly aligned: boolean;
}

/**
 * Crops each RoI from its image's features as a grid of bins (Mask R-CNN, section 3), each the mean of
 * bilinear samples, without rounding of coordinates.
 *
 * `features` float32 [B, H, W, C]; `rois` xyxy in image pixels, on the host or, where the backend has a
 * kernel, on the device. Returns float32 [R, outputSize[0], outputSize[1], C] in the order of `rois`;
 * [0, ...] for none. Differentiable in the features only. Values are those of torchvision's `roi_align`.
 *
 * @throws ShapeError when arrays don't fit together or an image index is outside the batch.
 * @throws ConfigError for sizes or ratios that aren't whole numbers in range.
 * @throws BackendError for RoIs on a device whose backend has no kernel.
 */
export function roiAlign(features: Tensor4D, rois: Rois | RoisOnDevice, options: RoiAlignOptions): Tensor4D {
  const { outputSize, spatialScale, samplingRatio, aligned } = options;
  assertShape(features, [null, null, null, null], "roiAlign", "features");
  assertRois("roiAlign", rois, features.shape[0]);
  assertSampling("roiAlign", options);
  const [outputHeight, outputWidth] = outputSize;
  return tidy(() => {
    if (rois.imageIndex.length === 0)
      return zeros<Rank.R4>([0, outputHeight, outputWidth, features.shape[3]]);
    const attrs: RoiAlignAttrs = { outputHeight, outputWidth, spatialScale, samplingRatio, aligned };
    return runKernelOr(roiAlignContract, { features, ...roiTensors(rois) }, attrs, () =>
      separableRoiAlign(features, onHost("roiAlign", rois), attrs),
    );
  });
}

/** Returns RoIs as the tensors that a kernel takes. */
export const roiTensors = ({
  boxes,
  imageIndex,
}: Rois | RoisOnDevice): { boxes: Tensor2D; imageIndex: Tensor1D } => ({
  boxes: boxes instanceof Float32Array ? tensor2d(boxes, [imageIndex.length, 4]) : boxes,
  imageIndex: tensor1d(imageIndex, "int32"),
});

/**
 * Returns RoIs that are on the host.
 *
 * @throws BackendError when they are on the device.
 */
export function onHost(where: string, { boxes, imageIndex }: Rois | RoisOnDevice): Rois {
  if (boxes instanceof Float32Array) return { boxes, imageIndex };
  throw new BackendError(
    `${where}: rois must be on the host for a backend without a kernel, got a tensor. Read them first.`,
  );
}

/**
 * Checks the lengths and image indices of RoIs.
 *
 * @throws ShapeError when their arrays don't fit together, or an image index is outside a batch of `batch`
 * images.
 */
export function assertRois(where: string, { boxes, imageIndex }: Rois | RoisOnDevice, batch: number): void {
  if (boxes instanceof Float32Array) assertLength(boxes, imageIndex.length * 4, where, "rois.boxes");
  else assertShape(boxes, [imageIndex.length, 4], where, "rois.boxes");
  for (const image of imageIndex) {
    if (!(image >= 0 && image < batch)) {
      throw new ShapeError(
        `${where}: rois.imageIndex must be in [0, ${batch}), got ${image}. Features and rois must be of one batch.`,
      );
    }
  }
}

/**
 * Checks the output size and the sampling ratio.
 *
 * @throws ConfigError for sizes or ratios that aren't whole numbers in range.
 */
export function assertSampling(
  where: string,
  { outputSize, samplingRatio }: Pick<RoiAlignOptions, "outputSize" | "samplingRatio">,
): void {
  const whole = (value: number, least: number, name: string): void => {
    if (Number.isInteger(value) && value >= least) return;
    throw new ConfigError(`${where}: ${name} must be a whole number of at least ${least}, got ${value}.`);
  };
  whole(outputSize[0], 1, "outputSize[0]");
  whole(outputSize[1], 1, "outputSize[1]");
  whole(samplingRatio, 0, "samplingRatio");
}
