/** The device halves of the pipeline, shared by detection and training. */
import { tensor4d } from "@tensorflow/tfjs-core";
import type { Tensor4D } from "@tensorflow/tfjs-core";
import { gridAnchors } from "@mrcnn/anchors";
import { applyResnet } from "@mrcnn/backbones";
import type { FeatureMaps, ImageBatch, ImageSize, Rois, RpnOutput } from "@mrcnn/core";
import { applyFpn } from "@mrcnn/fpn";
import { roiAlignPyramid } from "@mrcnn/roi-align";
import { applyRpnHead } from "@mrcnn/rpn";
import type { MaskRcnnConfig } from "./config.ts";
import type { MaskRcnnParams } from "./params.ts";

/** Which statistics batch norm uses: its own of the batch while training, the running ones otherwise. */
export type Statistics = "batch" | "running";

/** What is computed for the whole image, before any region is chosen. */
export interface DenseOutput {
  /** p2..p6. */
  readonly features: FeatureMaps;
  /** Objectness and deltas of every anchor. */
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
  const body = applyResnet(params.backbone.body, config.backbone, x, { statistics });
  const features = applyFpn(params.backbone.fpn, body);
  const grids = [...features.values()].map(({ shape }) => ({ height: shape[1], width: shape[2] }));
  return { features, rpn: applyRpnHead(params.rpn.head, features), grids };
}

/** Anchors of the pyramid over a network input of `size`, as torchvision makes them: float32 [A * 4]. */
export function modelAnchors({ anchors }: MaskRcnnConfig, grids: readonly ImageSize[], size: ImageSize): Float32Array {
  const { sizes, aspectRatios } = anchors;
  const everywhere = sizes.map(() => aspectRatios);
  return gridAnchors({ sizes, aspectRatios: everywhere, strides: "image-over-grid", centerOffset: 0, roundCells: true }, grids, size);
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
