/** The device halves of the pipeline, shared by detection and training. */
import type { Tensor4D } from "@tensorflow/tfjs-core";
import { tensor4d } from "@tensorflow/tfjs-core";
import { applyResnet } from "@mrcnn/backbones";
import type { FeatureMaps, ImageBatch, ImageSize, Rois, RpnOutput } from "@mrcnn/core";
import { applyFpn } from "@mrcnn/fpn";
import { roiAlignPyramid } from "@mrcnn/roi-align";
import { applyRpnHead } from "@mrcnn/rpn";
import type { MaskRcnnConfig } from "./config.ts";
import { resnetConfig } from "./mask-rcnn.ts";
import type { MaskRcnnParams } from "./mask-rcnn.ts";

/** Which statistics batch norm uses: its own of the batch while training, the running ones otherwise. */
export type Statistics = "batch" | "running";

export interface DenseOutput {
  readonly features: FeatureMaps;
  readonly rpn: RpnOutput;
  /** Sizes of the feature maps, finest first. */
  readonly grids: readonly ImageSize[];
}

/** Backbone, FPN and RPN head over a batch. */
export function applyDense(
  config: MaskRcnnConfig,
  params: MaskRcnnParams,
  images: ImageBatch,
  statistics: Statistics,
): DenseOutput {
  const { height, width } = images.size;
  const x = tensor4d(images.data, [images.imageSizes.length, height, width, 3]);
  const body = applyResnet(params.backbone.body, resnetConfig(config), x, { statistics });
  const features = applyFpn(params.backbone.fpn, body);
  const grids = [...features.values()].map(({ shape }) => ({ height: shape[1], width: shape[2] }));
  return { features, rpn: applyRpnHead(params.rpn.head, features), grids };
}

/** RoIAlign over p2..p5, each RoI on its level by eq. 1 of the FPN paper: [R, side, side, C]. */
export function poolRois(config: MaskRcnnConfig, features: FeatureMaps, rois: Rois, side: number, imageSize: ImageSize): Tensor4D {
  return roiAlignPyramid(features, rois, {
    outputSize: [side, side],
    samplingRatio: config.roiAlign.samplingRatio,
    aligned: config.roiAlign.aligned,
    imageSize,
  });
}
