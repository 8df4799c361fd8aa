/**
 * Contracts of the RoIAlign kernels for the backends that accelerate them: names, inputs, attributes,
 * gradients.
 */
import { engine } from "@tensorflow/tfjs-core";
import type { GradConfig, NamedAttrMap, NamedTensorInfoMap, Tensor, Tensor4D } from "@tensorflow/tfjs-core";
import type { KernelContract } from "@mrcnn/core/tensors";

/**
 * RoIAlign on one feature map: takes `RoiAlignInputs` and `RoiAlignAttrs`, returns float32
 * [R, outputHeight, outputWidth, C].
 */
export const ROI_ALIGN = "MrcnnRoiAlign";

/**
 * The gradient of RoIAlign with respect to the features: takes `RoiAlignGradInputs` and `RoiAlignGradAttrs`,
 * returns float32 of `inputShape`.
 */
export const ROI_ALIGN_GRAD = "MrcnnRoiAlignGrad";

/**
 * Inputs of `MrcnnRoiAlign`: `features` float32 [B, H, W, C]; `boxes` float32 [R, 4], xyxy in pixels of the
 * image; `imageIndex` int32 [R]. R > 0.
 */
export type RoiAlignInputs = Pick<NamedTensorInfoMap, "features" | "boxes" | "imageIndex">;

/**
 * Inputs of `MrcnnRoiAlignGrad` and `MrcnnRoiAlignPyramidGrad`: `dy` float32
 * [R, outputHeight, outputWidth, C]; the others as in `RoiAlignInputs`.
 */
export type RoiAlignGradInputs = Pick<NamedTensorInfoMap, "dy" | "boxes" | "imageIndex">;

/** Attributes of the kernel `MrcnnRoiAlign`. */
export interface RoiAlignAttrs {
  readonly outputHeight: number;
  readonly outputWidth: number;
  /** Pixels of the feature map per pixel of the image. */
  readonly spatialScale: number;
  /** Samples per bin and axis; 0 means ceil(extent of the RoI / bins). */
  readonly samplingRatio: number;
  /** Whether pixel centres lie at half integers. */
  readonly aligned: boolean;
}

/** Attributes of the kernel `MrcnnRoiAlignGrad`. */
export interface RoiAlignGradAttrs extends RoiAlignAttrs {
  /** Shape of the features, [B, H, W, C]. */
  readonly inputShape: readonly [number, number, number, number];
}

/** The gradient of `MrcnnRoiAlign` with respect to the features, by `MrcnnRoiAlignGrad`; boxes get none. */
export const roiAlignGradConfig: GradConfig = {
  kernelName: ROI_ALIGN,
  inputsToSave: ["features", "boxes", "imageIndex"],
  gradFunc: (dy, saved, attrs) => {
    const [features, boxes, imageIndex] = saved as [Tensor4D, Tensor, Tensor];
    return {
      features: () =>
        engine().runKernel(ROI_ALIGN_GRAD, { dy: dy as Tensor, boxes, imageIndex }, {
          ...attrs,
          inputShape: features.shape,
        } as NamedAttrMap) as Tensor,
    };
  },
};

const ofRoiAlign = ["outputHeight", "outputWidth", "samplingRatio", "aligned"] as const;

/** The contract of `MrcnnRoiAlign`, whose gradient backends register. */
export const roiAlignContract: KernelContract<RoiAlignAttrs> = {
  name: ROI_ALIGN,
  attributes: [...ofRoiAlign, "spatialScale"],
  gradient: roiAlignGradConfig,
};

/**
 * RoIAlign on a feature pyramid, each RoI pooled from the level assigned to it: takes `RoiAlignPyramidInputs`
 * and `RoiAlignPyramidAttrs`, returns float32 [R, outputHeight, outputWidth, C].
 */
export const ROI_ALIGN_PYRAMID = "MrcnnRoiAlignPyramid";

/**
 * The gradient of `MrcnnRoiAlignPyramid` with respect to the maps: takes `RoiAlignGradInputs` and
 * `RoiAlignPyramidAttrs`, returns one tensor for each of `inputShapes`.
 */
export const ROI_ALIGN_PYRAMID_GRAD = "MrcnnRoiAlignPyramidGrad";

/**
 * Inputs of `MrcnnRoiAlignPyramid`: maps "level0", "level1", ..., finest first, float32 [B, H, W, C] each;
 * `boxes` and `imageIndex` as in `RoiAlignInputs`.
 */
export type RoiAlignPyramidInputs = NamedTensorInfoMap & Pick<NamedTensorInfoMap, "boxes" | "imageIndex">;

/** Attributes of the kernel `MrcnnRoiAlignPyramid` and its gradient. */
export interface RoiAlignPyramidAttrs extends Omit<RoiAlignAttrs, "spatialScale"> {
  /** Pixels of each map per pixel of the image. */
  readonly spatialScales: readonly number[];
  /**
   * For each map but the first the smallest area of a RoI that is assigned to it (see `levelAreas`),
   * ascending.
   */
  readonly areas: readonly number[];
  /** Shapes of the maps. */
  readonly inputShapes: readonly (readonly [number, number, number, number])[];
}

/**
 * The gradient of `MrcnnRoiAlignPyramid` with respect to the maps, by one run of `MrcnnRoiAlignPyramidGrad`;
 * boxes get none.
 */
export const roiAlignPyramidGradConfig: GradConfig = {
  kernelName: ROI_ALIGN_PYRAMID,
  inputsToSave: ["boxes", "imageIndex"],
  gradFunc: (dy, saved, attrs) => {
    const [boxes, imageIndex] = saved as [Tensor, Tensor];
    const gradients = engine().runKernel(
      ROI_ALIGN_PYRAMID_GRAD,
      { dy: dy as Tensor, boxes, imageIndex },
      attrs,
    ) as Tensor[];
    return Object.fromEntries(gradients.map((gradient, i) => [`level${i}`, () => gradient]));
  },
};

/** The contract of `MrcnnRoiAlignPyramid`, whose gradient backends register. */
export const roiAlignPyramidContract: KernelContract<RoiAlignPyramidAttrs> = {
  name: ROI_ALIGN_PYRAMID,
  attributes: [...ofRoiAlign, "spatialScales", "areas", "inputShapes"],
  gradient: roiAlignPyramidGradConfig,
};
