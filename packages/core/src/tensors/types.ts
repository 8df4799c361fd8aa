/** The records of tensors that travel between the stages; those on the host are in `../types.ts`, with the conventions. */
import type { Scalar, Tensor, Tensor2D, Tensor3D, Tensor4D, Variable } from "@tensorflow/tfjs-core";
import type { Random } from "../random.ts";
import type { TrainingBatch } from "../types.ts";

/** Boxes on the device: float32 [N, 4]. */
export type Boxes = Tensor2D;

/** Feature maps by name ("c2".."c5", "p2".."p6"), finest first; each [B, H, W, C]. */
export type FeatureMaps = ReadonlyMap<string, Tensor4D>;

/** RoIs that a kernel chose and that stayed on the device: as many rows for each image, of which those of negative coordinates are none. */
export interface RoisOnDevice {
  /** float32 [R, 4], xyxy. */
  readonly boxes: Tensor2D;
  /** [R]. */
  readonly imageIndex: Int32Array;
}

/** RPN outputs in the order of `gridAnchors`: level, row, column, anchor. */
export interface RpnOutput {
  /** Logits, [B, A]. */
  readonly objectness: Tensor2D;
  /** (dx, dy, dw, dh), [B, A, 4]. */
  readonly deltas: Tensor3D;
  /** Anchors per level, finest first; they add up to A. */
  readonly levelCounts: readonly number[];
}

/** Box head outputs: logits [R, K] and deltas [R, K * 4], class-major. */
export interface BoxHeadOutput {
  readonly classLogits: Tensor2D;
  readonly deltas: Tensor2D;
}

/** Named loss terms (torchvision's names: `loss_objectness`, `loss_rpn_box_reg`, ...). */
export type LossTerms = Readonly<Record<string, Scalar>>;

/** A named set of weights or their gradients: torchvision's state_dict names. */
export type NamedTensors = ReadonlyMap<string, Tensor>;

/** The same where they can be changed: a model's weights and buffers. */
export type NamedVariables = ReadonlyMap<string, Variable>;

/** All a training step needs to know of a model. */
export interface TrainableModel {
  /** Every weight and buffer by name. */
  readonly variables: NamedVariables;
  /** The names that are trained (frozen stages and statistics are absent). */
  readonly trainable: readonly string[];
  /** The names of variables that a forward pass of `losses` itself changes (batch norm's running statistics); a step that fails puts them back. Default: none. */
  readonly statistics?: readonly string[];
  /**
   * One forward pass, called on an open tape: it may await host decisions in the middle, and
   * everything it returns is a scalar on the tape.
   */
  losses(batch: TrainingBatch, random: Random): Promise<LossTerms>;
}
