/** The device halves of the pipeline, shared by detection and training. */
import { mean, tensor4d, tidy, zeros } from "@tensorflow/tfjs-core";
import type { Tensor2D, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import { gridAnchors } from "@mrcnn/anchors";
import { applyResnet, applyResnetStage } from "@mrcnn/backbones";
import { ConfigError } from "@mrcnn/core";
import type {
  BoxHeadOutput,
  FeatureMaps,
  ImageBatch,
  ImageSize,
  Rois,
  RoisOnDevice,
  RpnOutput,
} from "@mrcnn/core";
import { applyFpn } from "@mrcnn/fpn";
import { applyBoxHead, applyBoxPredictor, applyMaskHead, applyMaskHeadOfLabels } from "@mrcnn/heads";
import type { LayerNormOptions } from "@mrcnn/nn";
import { cropAndResizePyramid, roiAlign, roiAlignPyramid } from "@mrcnn/roi-align";
import { applyRpnHead } from "@mrcnn/rpn";
import type { ProposalConfig } from "@mrcnn/rpn";
import type { HeadNorm, MaskRcnnConfig, NormSettings, TopKConfig } from "./config.ts";
import { numericsProfiles } from "./numerics.ts";
import { resnetConfig } from "./params.ts";
import type { MaskRcnnParams } from "./params.ts";

/** Which statistics batch norm uses: its own of the batch while training, the running ones otherwise. */
export type Statistics = "batch" | "running";

/** What norms of pyramid and heads need to know. */
export const normOptions = (
  { numerics }: MaskRcnnConfig,
  { norm, groups, eps = numericsProfiles[numerics].normEps }: NormSettings & { readonly norm: HeadNorm },
): LayerNormOptions => (norm === "none" ? {} : { norm, eps, ...(groups !== undefined && { groups }) });

/** What is computed for the whole image, before any region is chosen. */
export interface DenseOutput {
  /** p2..p6; without a pyramid c4 or c5 alone. */
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
  const body = applyResnet(params.backbone.body, resnetConfig(config), x, { statistics });
  const features =
    params.backbone.fpn === undefined ?
      new Map([[...body].at(-1)!])
    : applyFpn(params.backbone.fpn, body, { ...normOptions(config, config.fpn), statistics });
  const grids = [...features.values()].map(({ shape }) => ({ height: shape[1], width: shape[2] }));
  return { features, rpn: applyRpnHead(params.rpn.head, features), grids };
}

/** How proposals are chosen, of which `topK` says how many. */
export function proposalConfig({ rpn, numerics }: MaskRcnnConfig, topK: TopKConfig): ProposalConfig {
  const { proposals, decoding } = numericsProfiles[numerics];
  return { ...topK, ...proposals, nmsThreshold: rpn.nmsThreshold, minSize: rpn.minSize, decoding };
}

// c4 and dilated c5.
const SINGLE_STRIDE = 16;

/** Anchors of all levels over a network input of `size`: float32 [A * 4]. */
export function modelAnchors(
  { anchors, numerics }: MaskRcnnConfig,
  grids: readonly ImageSize[],
  size: ImageSize,
): Float32Array {
  const { sizes, aspectRatios } = anchors;
  const { strides, ...own } = numericsProfiles[numerics].anchors;
  const nominal = grids.length === 1 ? [SINGLE_STRIDE] : grids.map((_, level) => 4 * 2 ** level);
  return gridAnchors(
    {
      sizes,
      aspectRatios: sizes.map(() => aspectRatios),
      strides: strides === "nominal" ? nominal : strides,
      centerOffset: 0,
      ...own,
    },
    grids,
    size,
  );
}

/** What the heads see of each RoI, from its level of the pyramid (p2..p5) or from the only map: [R, side, side, C]. */
export function poolRois(
  config: MaskRcnnConfig,
  features: FeatureMaps,
  rois: Rois | RoisOnDevice,
  side: number,
  imageSize: ImageSize,
): Tensor4D {
  const outputSize = [side, side] as const;
  const { pooling, levelRule } = numericsProfiles[config.numerics];
  // Those of a device come from a kernel that knows no fractions, and these are.
  if (pooling === "crop-and-resize")
    return cropAndResizePyramid(features, rois as Rois, { outputSize, imageSize, levelRule });
  const { samplingRatio, aligned } = config.roiAlign;
  const [only, ...others] = features.values();
  return others.length === 0 ?
      roiAlign(only!, rois, { outputSize, samplingRatio, aligned, spatialScale: 1 / SINGLE_STRIDE })
    : roiAlignPyramid(features, rois, { outputSize, samplingRatio, aligned, imageSize, levelRule });
}

/** The box branch: `pooled` [R, side, side, C] to class logits [R, K] and deltas [R, K * 4]. R may be 0. */
export function applyBoxBranch(
  config: MaskRcnnConfig,
  params: MaskRcnnParams,
  pooled: Tensor4D,
  statistics: Statistics,
): BoxHeadOutput {
  const { layer4, box_head, box_predictor } = params.roi_heads;
  if (box_head !== undefined)
    return applyBoxHead({ box_head, box_predictor }, pooled, {
      ...normOptions(config, config.box),
      statistics,
    });
  const classes = config.classes.length + 1;
  if (pooled.shape[0] === 0) return { classLogits: zeros([0, classes]), deltas: zeros([0, classes * 4]) };
  const [classLogits, deltas] = tidy(() => {
    const hidden = mean(
      applyResnetStage(layer4!, resnetConfig(config), 3, pooled, { statistics }),
      [1, 2],
    ) as Tensor2D;
    const output = applyBoxPredictor(box_predictor, hidden);
    return [output.classLogits, output.deltas] as const;
  }) as readonly [Tensor2D, Tensor2D];
  return { classLogits, deltas };
}

function maskBranch(
  config: MaskRcnnConfig,
  params: MaskRcnnParams,
  pooled: Tensor4D,
  statistics: Statistics,
) {
  const { layer4, mask_head = [], mask_predictor } = params.roi_heads;
  if (mask_predictor === undefined) throw new ConfigError("detect: the model has no mask head.");
  const seen =
    layer4 === undefined || pooled.shape[0] === 0 ?
      pooled
    : applyResnetStage(layer4, resnetConfig(config), 3, pooled, { statistics });
  return {
    head: { mask_head, mask_predictor },
    seen,
    options: { ...normOptions(config, config.maskHead), statistics },
  };
}

/** The mask branch: logits of every class, [R, 2 side, 2 side, K] (C4: [R, side, side, K]). R may be 0. */
export function applyMaskBranch(
  config: MaskRcnnConfig,
  params: MaskRcnnParams,
  pooled: Tensor4D,
  statistics: Statistics,
): Tensor4D {
  return tidy(() => {
    const { head, seen, options } = maskBranch(config, params, pooled, statistics);
    return applyMaskHead(head, seen, options);
  });
}

/** The same for one class per RoI: logits [R, side', side'] of `labels` [R]. */
export function applyMaskBranchOfLabels(
  config: MaskRcnnConfig,
  params: MaskRcnnParams,
  pooled: Tensor4D,
  labels: Int32Array,
): Tensor3D {
  return tidy(() => {
    const { head, seen, options } = maskBranch(config, params, pooled, "running");
    return applyMaskHeadOfLabels(head, seen, labels, options);
  });
}
