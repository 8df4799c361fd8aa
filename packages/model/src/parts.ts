/** The parts of a network with their weights, which a walk calls one after the other. */
import { mean, tidy, zeros } from "@tensorflow/tfjs-core";
import type { Tensor2D, Tensor4D } from "@tensorflow/tfjs-core";
import { gridAnchors } from "@mrcnn/anchors";
import { applyResnetStage, resnetLayers } from "@mrcnn/backbones";
import type { BackboneLayer } from "@mrcnn/backbones";
import type { ImageSize, Rois } from "@mrcnn/core";
import type { BoxHeadOutput, FeatureMaps, RoisOnDevice, RpnOutput } from "@mrcnn/core/tensors";
import { applyFpn } from "@mrcnn/fpn";
import { applyBoxHead, applyBoxPredictor } from "@mrcnn/heads";
import { cropAndResizePyramid, roiAlign, roiAlignPyramid } from "@mrcnn/roi-align";
import { applyRpnHead } from "@mrcnn/rpn";
import type { ProposalConfig } from "@mrcnn/rpn";
import { keypointBranch, maskBranch } from "./branches.ts";
import type { Branch } from "./branches.ts";
import type { MaskRcnnConfig, TopKConfig } from "./config.ts";
import { normOptions } from "./norm-options.ts";
import type { Statistics } from "./norm-options.ts";
import { numericsProfiles } from "./numerics.ts";
import { resnetConfig } from "./params.ts";
import type { MaskRcnnParams } from "./params.ts";

/** A config and its weights. */
export interface Model {
  readonly config: MaskRcnnConfig;
  readonly params: MaskRcnnParams;
}

/** The functions of a network; each takes the output of the one before. */
export interface Parts {
  /** The backbone's steps; the maps that later parts read have names. */
  readonly backbone: readonly BackboneLayer[];
  /** Turns the backbone's maps into a pyramid. Without one, later parts read the last map. */
  readonly neck: ((maps: FeatureMaps) => FeatureMaps) | undefined;
  /** Gives objectness and box deltas of every anchor. */
  readonly proposer: (features: FeatureMaps) => RpnOutput;
  /** Lays anchors over a network input of `size`: float32 [A * 4]. */
  readonly anchors: (features: FeatureMaps, size: ImageSize) => Float32Array;
  /**
   * Pools the features of each RoI from its level of the pyramid or from the only map: [R, side, side, C].
   */
  readonly pool: (
    features: FeatureMaps,
    rois: Rois | RoisOnDevice,
    side: number,
    size: ImageSize,
  ) => Tensor4D;
  /** The box head, which looks at every region. */
  readonly box: { readonly poolSize: number; readonly apply: (pooled: Tensor4D) => BoxHeadOutput };
  /** The heads that look at objects. */
  readonly branches: readonly Branch[];
}

/** Builds the parts of a model from its config and weights. */
export function partsOf({ config, params }: Model, statistics: Statistics): Parts {
  const { body, fpn } = params.backbone;
  const layers = resnetLayers(body, resnetConfig(config), { statistics });
  return {
    backbone:
      fpn === undefined ?
        layers.map((layer, i) => (i === layers.length - 1 ? layer : { ...layer, level: undefined }))
      : layers,
    neck: fpn && ((maps) => applyFpn(fpn, maps, { ...normOptions(config, config.fpn), statistics })),
    proposer: (features) => applyRpnHead(params.rpn.head, features),
    anchors: (features, size) =>
      modelAnchors(
        config,
        [...features.values()].map(({ shape }) => ({ height: shape[1], width: shape[2] })),
        size,
      ),
    pool: (features, rois, side, size) => poolRois(config, features, rois, side, size),
    box: {
      poolSize: config.box.poolSize,
      apply: (pooled) => applyBoxBranch(config, params, pooled, statistics),
    },
    branches: [maskBranch(config, params, statistics), keypointBranch(config, params)].filter(
      (branch) => branch !== undefined,
    ),
  };
}

/** Returns the rules for choosing proposals; `topK` says how many. */
export function proposalConfig({ rpn, numerics }: MaskRcnnConfig, topK: TopKConfig): ProposalConfig {
  const { proposals, decoding } = numericsProfiles[numerics];
  return { ...topK, ...proposals, nmsThreshold: rpn.nmsThreshold, minSize: rpn.minSize, decoding };
}

// c4 and dilated c5.
const SINGLE_STRIDE = 16;

/**
 * Anchors of all levels over a network input of `size`, whose feature maps have the sizes `grids`: float32 [A
 * * 4].
 */
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

function poolRois(
  config: MaskRcnnConfig,
  features: FeatureMaps,
  rois: Rois | RoisOnDevice,
  side: number,
  imageSize: ImageSize,
): Tensor4D {
  const outputSize = [side, side] as const;
  const { pooling, levelRule } = numericsProfiles[config.numerics];
  // RoIs on the device come from a kernel that knows no fractions, and these are.
  if (pooling === "crop-and-resize")
    return cropAndResizePyramid(features, rois as Rois, { outputSize, imageSize, levelRule });
  const { samplingRatio, aligned } = config.roiAlign;
  const [only, ...others] = features.values();
  return others.length === 0 ?
      roiAlign(only!, rois, { outputSize, samplingRatio, aligned, spatialScale: 1 / SINGLE_STRIDE })
    : roiAlignPyramid(features, rois, { outputSize, samplingRatio, aligned, imageSize, levelRule });
}

// `pooled` [R, side, side, C] to class logits [R, K] and deltas [R, K * 4]. R may be 0.
function applyBoxBranch(
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
