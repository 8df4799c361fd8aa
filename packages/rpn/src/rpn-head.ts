/** The region proposal head (Ren et al. 2015), as torchvision's RPNHead. */
import { concat, reshape, tidy } from "@tensorflow/tfjs-core";
import type { Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import type { Random } from "@mrcnn/core";
import type { FeatureMaps, RpnOutput } from "@mrcnn/core/tensors";
import { conv2d, initConv2d } from "@mrcnn/nn";
import type { Conv2dParams } from "@mrcnn/nn";

/** The size of an RPN head. */
export interface RpnHeadConfig {
  readonly inChannels: number;
  readonly anchorsPerLocation: number;
  /** Number of 3 × 3 convolutions before the outputs; 2 in torchvision's v2 detectors. Default 1. */
  readonly convs?: number;
  /** Number of channels of the 3 × 3 convolutions. Default `inChannels`. */
  readonly hiddenChannels?: number;
}

/**
 * Parameters of the head under torchvision's names: `conv.0.0.weight`, `cls_logits.weight`,
 * `bbox_pred.weight`.
 */
export type RpnHeadParams = {
  readonly conv: readonly (readonly [Conv2dParams])[];
  readonly cls_logits: Conv2dParams;
  readonly bbox_pred: Conv2dParams;
};

/** Creates random weights: normal of std 0.01, zero biases, as in the paper and torchvision. */
export function initRpnHead(config: RpnHeadConfig, random: Random): RpnHeadParams {
  const { inChannels, anchorsPerLocation, convs = 1, hiddenChannels = inChannels } = config;
  const conv = (size: number, from: number, outChannels: number): Conv2dParams =>
    initConv2d({ size, inChannels: from, outChannels }, random, { init: { std: 0.01 } });
  return {
    conv: Array.from(
      { length: convs },
      (_, i) => [conv(3, i === 0 ? inChannels : hiddenChannels, hiddenChannels)] as const,
    ),
    cls_logits: conv(1, hiddenChannels, anchorsPerLocation),
    bbox_pred: conv(1, hiddenChannels, 4 * anchorsPerLocation),
  };
}

/**
 * Applies the region proposal head to every level of the pyramid with the same weights. Outputs are in the
 * order of `gridAnchors`: level (finest first), row, column, anchor.
 */
export function applyRpnHead(params: RpnHeadParams, features: FeatureMaps): RpnOutput {
  const levels = [...features.values()];
  const batch = levels[0]!.shape[0];
  const anchors = params.cls_logits.weight.shape[3];
  const [objectness, deltas] = tidy(() => {
    const hidden = levels.map((map) =>
      params.conv.reduce((y, [conv]) => conv2d(conv, y, { padding: 1, activation: "relu" }), map),
    );
    const logits = hidden.map((map) => reshape(conv2d(params.cls_logits, map), [batch, -1]) as Tensor2D);
    // Channels are anchor-major, so NHWC is already (row, column, anchor, 4).
    const boxes = hidden.map((map) => reshape(conv2d(params.bbox_pred, map), [batch, -1, 4]) as Tensor3D);
    return [concat(logits, 1), concat(boxes, 1)] as const;
  }) as readonly [Tensor2D, Tensor3D];
  return { objectness, deltas, levelCounts: levels.map(({ shape }) => shape[1] * shape[2] * anchors) };
}
