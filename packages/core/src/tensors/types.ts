/**
 * The records of tensors passed between the stages; those on the host, and the conventions, are in
 * `../types.ts`.
 */
import type { Scalar, Tensor, Tensor2D, Tensor3D, Tensor4D, Variable } from "@tensorflow/tfjs-core";
import type { Random } from "../random.ts";
import type { TrainingBatch } from "../types.ts";

/** Boxes on the device: float32 [N, 4]. */
export type Boxes = Tensor2D;

/** Feature maps by name ("c2".."c5", "p2".."p6"), finest first; each [B, H, W, C]. */
export type FeatureMaps = ReadonlyMap<string, Tensor4D>;

/**
 * RoIs that a kernel selected and that stayed on the device: the same number of rows for each image, where
 * rows with negative coordinates hold none.
 */
export interface RoisOnDevice {
  /** Boxes, float32 [R, 4], xyxy. */
  readonly boxes: Tensor2D;
  /** Index of each row's image in the batch, [R]. */
  readonly imageIndex: Int32Array;
}

/** RPN outputs in the order of `gridAnchors`: level, row, column, anchor. */
export interface RpnOutput {
  /** Objectness logits, [B, A]. */
  readonly objectness: Tensor2D;
  /** Box deltas (dx, dy, dw, dh), [B, A, 4]. */
  readonly deltas: Tensor3D;
  /** Number of anchors per level, finest first; their sum is A. */
  readonly levelCounts: readonly number[];
}

/** Box head outputs: logits [R, K] and deltas [R, K * 4], class-major. */
export interface BoxHeadOutput {
  readonly classLogits: Tensor2D;
  readonly deltas: Tensor2D;
}

/** Named loss terms (torchvision's names: `loss_objectness`, `loss_rpn_box_reg`, ...). */
export type LossTerms = Readonly<Record<string, Scalar>>;

/** Weights or their gradients by torchvision's state_dict names. */
export type NamedTensors = ReadonlyMap<string, Tensor>;

/** A model's weights and buffers by state_dict name, as variables that can be changed. */
export type NamedVariables = ReadonlyMap<string, Variable>;

/** What a training step needs to know of a model. */
export interface TrainableModel {
  /** Every weight and buffer by name. */
  readonly variables: NamedVariables;
  /** The names that are trained (frozen stages and statistics are absent). */
  readonly trainable: readonly string[];
  /**
   * The names of variables that a forward pass of `losses` changes (batch norm's running statistics); a step
   * that fails restores them. Default none.
   */
  readonly statistics?: readonly string[];
  /**
   * Runs one forward pass under an open tape: it may await decisions of the host, and everything it returns
   * is a scalar on the tape.
   */
  losses(batch: TrainingBatch, random: Random): Promise<LossTerms>;
}
