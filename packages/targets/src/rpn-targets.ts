/** Sampling and targets of anchors, as torchvision's RPN. */
import { encodeBoxesOnHost, gatherBoxesOnHost } from "@mrcnn/boxes";
import { assertLength } from "@mrcnn/core";
import type { GroundTruth, Random, RpnTargets } from "@mrcnn/core";
import { BELOW_LOW, matchToGroundTruth } from "./matcher.ts";
import { sampleBalanced } from "./sampler.ts";
import type { SampleOptions } from "./sampler.ts";
import { concat } from "./concat.ts";

/**
 * Options of the sampling of anchors. The papers and torchvision use high 0.7, low 0.3, 256 anchors per
 * image, at most half positive.
 */
export interface RpnTargetConfig extends SampleOptions {
  /** Best IoU from which an anchor is positive; the anchors that overlap an object most are positive too. */
  readonly high: number;
  /** Best IoU below which the other anchors are negative. */
  readonly low: number;
}

/**
 * Samples the anchors that the RPN learns from, and computes the targets of the positives.
 *
 * All anchors take part, including those that cross the image's border (torchvision; Faster R-CNN's first
 * paper left these out). An image without objects yields negatives only.
 *
 * @param anchors float32 [A * 4], the same for every image of the batch.
 * @param groundTruth one entry per image.
 * @returns flat indices `image * A + anchor`, ascending; deltas with weights 1, [P * 4].
 */
export function rpnTargets(
  anchors: Float32Array,
  groundTruth: readonly GroundTruth[],
  config: RpnTargetConfig,
  random: Random,
): RpnTargets {
  const count = anchors.length / 4;
  assertLength(anchors, 4 * Math.trunc(count), "rpnTargets", "anchors");
  const positive: Int32Array[] = [];
  const negative: Int32Array[] = [];
  const deltas: Float32Array[] = [];
  for (const [image, gt] of groundTruth.entries()) {
    const matches = matchToGroundTruth(anchors, gt, {
      high: config.high,
      low: config.low,
      allowLowQuality: true,
    });
    const labels = matches.map((match) =>
      match >= 0 ? 1
      : match === BELOW_LOW ? 0
      : -1,
    );
    const sample = sampleBalanced(labels, config, random);
    const objects = sample.positive.map((anchor) => matches[anchor]!);
    const boxes = gatherBoxesOnHost(gt.boxes, objects);
    deltas.push(encodeBoxesOnHost(boxes, gatherBoxesOnHost(anchors, sample.positive), [1, 1, 1, 1]));
    positive.push(sample.positive.map((anchor) => image * count + anchor));
    negative.push(sample.negative.map((anchor) => image * count + anchor));
  }
  return {
    positive: concat(Int32Array, positive),
    negative: concat(Int32Array, negative),
    deltas: concat(Float32Array, deltas),
  };
}
