/** The mask head (He et al. 2017, FPN version), as torchvision's MaskRCNNHeads and MaskRCNNPredictor. */
import { add, gather, matMul, reshape, tensor1d, tidy, transpose, zeros } from "@tensorflow/tfjs-core";
import type { Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import { assertLength } from "@mrcnn/core";
import type { Random } from "@mrcnn/core";
import { conv2d, conv2dTranspose, initConv2d, initConv2dTranspose, inSequence } from "@mrcnn/nn";
import type { Conv2dParams, ConvLayer, LayerNormOptions, Norm } from "@mrcnn/nn";
import { applyConvs, initConvs } from "./convs.ts";

/** The size of a mask head. */
export interface MaskHeadConfig {
  readonly inChannels: number;
  /**
   * Channels of each 3 × 3 convolution; the paper's [256, 256, 256, 256] with a pyramid, none on conv5 (C4).
   */
  readonly layers: readonly number[];
  /** Norm after each convolution, which then has no bias. Default none. */
  readonly norm?: Norm;
  /** Channels after the transposed convolution; the paper's 256. */
  readonly reduced: number;
  /** Number of classes, background included. */
  readonly classes: number;
}

/**
 * Parameters of the mask head under torchvision's names, to be spread into `roi_heads`:
 * `mask_head.0.0.weight`, `mask_predictor.conv5_mask.weight`.
 */
export type MaskHeadParams = {
  readonly mask_head: readonly ConvLayer[];
  readonly mask_predictor: { readonly conv5_mask: Conv2dParams; readonly mask_fcn_logits: Conv2dParams };
};

/**
 * Creates random weights: kaiming normal (fan out) as in torchvision. Biases begin at 0, the predictor's as
 * well, which torchvision leaves at torch's uniform default.
 */
export function initMaskHead(config: MaskHeadConfig, random: Random): MaskHeadParams {
  const { inChannels, layers, norm, reduced, classes } = config;
  const init = "kaiming_normal_fan_out" as const;
  return {
    mask_head: initConvs(inChannels, layers, random, norm),
    mask_predictor: {
      conv5_mask: initConv2dTranspose(
        { size: 2, inChannels: layers.at(-1) ?? inChannels, outChannels: reduced },
        random,
        { init },
      ),
      mask_fcn_logits: initConv2d({ size: 1, inChannels: reduced, outChannels: classes }, random, { init }),
    },
  };
}

function applyTrunk(params: MaskHeadParams, pooled: Tensor4D, options: LayerNormOptions): Tensor4D {
  return inSequence(pooled, [
    (x) => applyConvs(params.mask_head, x, options, "applyMaskHead"),
    (x) => conv2dTranspose(params.mask_predictor.conv5_mask, x, { stride: 2, activation: "relu" }),
  ]);
}

/**
 * Applies the mask branch: 3 × 3 convolutions, a transposed 2 × 2 convolution that doubles the side, and a
 * 1 × 1 convolution with a channel per class. `pooled` [R, 14, 14, C] to logits [R, 28, 28, K]; R may be 0.
 *
 * @throws ConfigError when there are norms and `options.norm` doesn't say which kind.
 */
export function applyMaskHead(
  params: MaskHeadParams,
  pooled: Tensor4D,
  options: LayerNormOptions = {},
): Tensor4D {
  const [rois, height, width] = pooled.shape;
  // TensorFlow refuses to convolve an empty batch.
  if (rois === 0)
    return zeros([0, 2 * height, 2 * width, params.mask_predictor.mask_fcn_logits.weight.shape[3]]);
  return tidy(() => conv2d(params.mask_predictor.mask_fcn_logits, applyTrunk(params, pooled, options)));
}

/**
 * Applies the mask branch for one class per RoI only, which is all that detection needs: `pooled`
 * [R, 14, 14, C] and `labels` [R] to logits [R, 28, 28]; R may be 0.
 *
 * @throws ShapeError unless there is a label for each RoI.
 */
export function applyMaskHeadOfLabels(
  params: MaskHeadParams,
  pooled: Tensor4D,
  labels: Int32Array,
  options: LayerNormOptions = {},
): Tensor3D {
  const [rois, height, width] = pooled.shape;
  assertLength(labels, rois, "applyMaskHeadOfLabels", "labels");
  const size = [rois, 2 * height, 2 * width] as [number, number, number];
  if (rois === 0) return zeros(size);
  return tidy(() => {
    const { weight, bias } = params.mask_predictor.mask_fcn_logits;
    const [, , channels, classes] = weight.shape;
    const rows = tensor1d(labels, "int32");
    const own = reshape(gather(transpose(reshape(weight, [channels, classes])), rows), [rois, channels, 1]);
    const logits: Tensor3D = reshape(
      matMul(reshape(applyTrunk(params, pooled, options), [rois, size[1] * size[2], channels]), own),
      size,
    );
    return bias === undefined ? logits : add(logits, reshape(gather(bias, rows), [rois, 1, 1]));
  });
}
