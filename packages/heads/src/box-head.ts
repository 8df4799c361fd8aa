import { reshape, tidy } from "@tensorflow/tfjs-core";
import type { Tensor2D, Tensor4D } from "@tensorflow/tfjs-core";
import { assertShape } from "@mrcnn/core";
import type { BoxHeadOutput, Random } from "@mrcnn/core";
import { dense, initDense } from "@mrcnn/nn";
import type { DenseParams } from "@mrcnn/nn";

/** The size of a box head. */
export interface BoxHeadConfig {
  readonly inChannels: number;
  /** Side of the pooled RoIs; the paper's 7. */
  readonly poolSize: number;
  /** Width of the two hidden layers; the paper's 1024. */
  readonly representation: number;
  /** Background included. */
  readonly classes: number;
}

/** Under torchvision's names, to be spread into `roi_heads`: `box_head.fc6.weight`, `box_predictor.cls_score.weight`. */
export type BoxHeadParams = {
  readonly box_head: { readonly fc6: DenseParams; readonly fc7: DenseParams };
  readonly box_predictor: { readonly cls_score: DenseParams; readonly bbox_pred: DenseParams };
};

/** Random weights: uniform in ± 1 / sqrt(fan in), torch's default for linear layers, as torchvision. */
export function initBoxHead(config: BoxHeadConfig, random: Random): BoxHeadParams {
  const { inChannels, poolSize, representation, classes } = config;
  const layer = (inputs: number, outputs: number): DenseParams =>
    initDense({ inChannels: inputs, outChannels: outputs }, random, { init: "torch_default" });
  return {
    box_head: { fc6: layer(poolSize * poolSize * inChannels, representation), fc7: layer(representation, representation) },
    box_predictor: { cls_score: layer(representation, classes), bbox_pred: layer(representation, 4 * classes) },
  };
}

/**
 * Two hidden layers, then scores and box deltas of every class: `pooled` [R, side, side, C] to
 * classLogits [R, K] and deltas [R, K * 4]; R may be 0. Flattens rows, columns, channels (torchvision's weights,
 * which flatten channels first, are reordered when loaded).
 *
 * @throws ShapeError when the pooled size doesn't fit fc6.
 */
export function applyBoxHead(params: BoxHeadParams, pooled: Tensor4D): BoxHeadOutput {
  const [rois, height, width, channels] = pooled.shape;
  const { fc6, fc7 } = params.box_head;
  assertShape({ shape: [rois, height * width * channels] }, [null, fc6.weight.shape[0]], "applyBoxHead", "pooled, flattened,");
  const [classLogits, deltas] = tidy(() => {
    const flat = reshape(pooled, [rois, height * width * channels]) as Tensor2D;
    const hidden = dense(fc7, dense(fc6, flat, { activation: "relu" }), { activation: "relu" });
    return [dense(params.box_predictor.cls_score, hidden), dense(params.box_predictor.bbox_pred, hidden)];
  }) as [Tensor2D, Tensor2D];
  return { classLogits, deltas };
}
