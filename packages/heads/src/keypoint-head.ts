/**
 * The keypoint head (He et al. 2017, section 5), as torchvision's KeypointRCNNHeads and
 * KeypointRCNNPredictor.
 */
import { tidy, zeros } from "@tensorflow/tfjs-core";
import type { Tensor4D } from "@tensorflow/tfjs-core";
import type { Random } from "@mrcnn/core";
import { conv2dTranspose, initConv2dTranspose, upsampleBilinear } from "@mrcnn/nn";
import type { Conv2dParams } from "@mrcnn/nn";
import { applyConvs, initConvs } from "./convs.ts";

/** The size of a keypoint head. */
export interface KeypointHeadConfig {
  readonly inChannels: number;
  /** Channels of each 3 × 3 convolution; the paper's eight of 512. */
  readonly layers: readonly number[];
  /** Number of keypoints of an object; 17 for COCO's persons. */
  readonly keypoints: number;
}

/**
 * Parameters of the keypoint head under torchvision's names, to be spread into `roi_heads`:
 * `keypoint_head.0.weight`, `keypoint_head.2.weight` (ReLUs take the places between),
 * `keypoint_predictor.kps_score_lowres.weight`.
 */
export type KeypointHeadParams = {
  readonly keypoint_head: { readonly [place: string]: Conv2dParams };
  readonly keypoint_predictor: { readonly kps_score_lowres: Conv2dParams };
};

/** Creates random weights: kaiming normal (fan out) and zero biases, as torchvision. */
export function initKeypointHead(config: KeypointHeadConfig, random: Random): KeypointHeadParams {
  const { inChannels, layers, keypoints } = config;
  const kps_score_lowres = { size: 4, inChannels: layers.at(-1) ?? inChannels, outChannels: keypoints };
  return {
    keypoint_head: Object.fromEntries(
      initConvs(inChannels, layers, random).map(([conv], i) => [2 * i, conv]),
    ),
    keypoint_predictor: {
      kps_score_lowres: initConv2dTranspose(kps_score_lowres, random, { init: "kaiming_normal_fan_out" }),
    },
  };
}

/**
 * Applies the keypoint branch: 3 × 3 convolutions, a transposed 4 × 4 convolution and a bilinear resize that
 * each double the side. `pooled` [R, 14, 14, C] to heatmaps of logits [R, 56, 56, K]; R may be 0.
 */
export function applyKeypointHead(params: KeypointHeadParams, pooled: Tensor4D): Tensor4D {
  const { weight } = params.keypoint_predictor.kps_score_lowres;
  const [rois, height, width] = pooled.shape;
  const size = { height: 4 * height, width: 4 * width };
  if (rois === 0) return zeros([0, size.height, size.width, weight.shape[2]]);
  return tidy(() => {
    const convs = Object.values(params.keypoint_head).map((conv) => [conv] as const);
    const convolved = applyConvs(convs, pooled, {}, "applyKeypointHead");
    const low = conv2dTranspose(params.keypoint_predictor.kps_score_lowres, convolved, {
      stride: 2,
      padding: 1,
    });
    return upsampleBilinear(low, size);
  });
}
