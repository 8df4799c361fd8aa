/** Sampling and targets of RoIs, as torchvision's `select_training_samples`. */
import { encodeBoxesOnHost, gatherBoxesOnHost } from "@mrcnn/boxes";
import { assertLength } from "@mrcnn/core";
import type { GroundTruth, Proposals, Random, RoiTargets, Rois } from "@mrcnn/core";
import { concat } from "./concat.ts";
import { BELOW_LOW, matchToGroundTruth, trainableObjects } from "./matcher.ts";
import { sampleBalanced } from "./sampler.ts";
import type { SampleOptions } from "./sampler.ts";

/**
 * Options of the sampling of RoIs. The paper and torchvision use high = low = 0.5, 512 RoIs per image, a
 * quarter positive.
 */
export interface RoiTargetConfig extends SampleOptions {
  /** Best IoU from which a RoI is positive. */
  readonly high: number;
  /** Best IoU below which a RoI is background. */
  readonly low: number;
  /** Weights of (dx, dy, dw, dh). Default [10, 10, 5, 5]. */
  readonly weights?: readonly [number, number, number, number];
}

/**
 * Samples the RoIs that the heads learn from, and computes their targets.
 *
 * The objects' own boxes are appended to the proposals, as in torchvision, so every object has a RoI from the
 * first step. An image without objects yields background only.
 *
 * @param proposals proposals of the whole batch; `scores` are not used.
 * @param groundTruth one entry per image.
 * @returns RoIs in image order, within an image in the order of the proposals.
 */
export function roiTargets(
  proposals: Rois | Proposals,
  groundTruth: readonly GroundTruth[],
  config: RoiTargetConfig,
  random: Random,
): RoiTargets {
  const { boxes, imageIndex } = proposals;
  assertLength(boxes, 4 * imageIndex.length, "roiTargets", "proposals.boxes");
  const weights = config.weights ?? [10, 10, 5, 5];
  const rois: Float32Array[] = [];
  const images: Int32Array[] = [];
  const labels: Int32Array[] = [];
  const positive: Int32Array[] = [];
  const matched: Int32Array[] = [];
  const deltas: Float32Array[] = [];
  let offset = 0;
  for (const [image, gt] of groundTruth.entries()) {
    const own = Int32Array.from(imageIndex.keys()).filter((i) => imageIndex[i] === image);
    const candidates = concat(Float32Array, [
      gatherBoxesOnHost(boxes, own),
      gatherBoxesOnHost(gt.boxes, trainableObjects(gt)),
    ]);
    const matches = matchToGroundTruth(candidates, gt, {
      high: config.high,
      low: config.low,
      allowLowQuality: false,
    });
    const classes = matches.map((match) =>
      match >= 0 ? gt.labels[match]!
      : match === BELOW_LOW ? 0
      : -1,
    );
    const sample = sampleBalanced(classes, config, random);
    const chosen = concat(Int32Array, [sample.positive, sample.negative]).sort();
    const chosenLabels = chosen.map((i) => classes[i]!);
    const objects = sample.positive.map((i) => matches[i]!);
    rois.push(gatherBoxesOnHost(candidates, chosen));
    images.push(new Int32Array(chosen.length).fill(image));
    labels.push(chosenLabels);
    positive.push(
      Int32Array.from(chosenLabels.keys())
        .filter((i) => chosenLabels[i]! > 0)
        .map((i) => offset + i),
    );
    matched.push(objects);
    deltas.push(
      encodeBoxesOnHost(
        gatherBoxesOnHost(gt.boxes, objects),
        gatherBoxesOnHost(candidates, sample.positive),
        weights,
      ),
    );
    offset += chosen.length;
  }
  return {
    rois: { boxes: concat(Float32Array, rois), imageIndex: concat(Int32Array, images) },
    labels: concat(Int32Array, labels),
    positive: concat(Int32Array, positive),
    matchedGt: concat(Int32Array, matched),
    deltas: concat(Float32Array, deltas),
  };
}
