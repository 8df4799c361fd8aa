/**
 * Selection of proposals on the host, as torchvision's `filter_proposals`, detectron2's
 * `find_top_rpn_proposals` and matterport's ProposalLayer.
 */
import type { BoxCoderWeights, DecodeOptions } from "@mrcnn/boxes";
import { clipBoxesOnHost, decodeBoxesOnHost, filterSmallBoxesOnHost, gatherBoxesOnHost } from "@mrcnn/boxes";
import { assertLength, assertShape } from "@mrcnn/core";
import type { ImageSize, Proposals } from "@mrcnn/core";
import type { RpnOutput } from "@mrcnn/core/tensors";
import { batchedNmsOnHost } from "@mrcnn/nms";
import { topK } from "./top-k.ts";

/** Options of the selection of proposals. */
export interface ProposalConfig {
  /** Number of proposals kept per level before suppression (torchvision: 2000 to train, 1000 to test). */
  readonly preNmsTopK: number;
  /** Number of proposals kept per image after suppression (paper: 1000 to test). */
  readonly postNmsTopK: number;
  /** IoU with a better proposal of the same level above which a proposal is suppressed (paper: 0.7). */
  readonly nmsThreshold: number;
  /** Smallest side in pixels, after clipping. Default 1e-3. */
  readonly minSize?: number;
  /** Smallest objectness probability. Default 0. */
  readonly scoreThreshold?: number;
  /** Weights of (dx, dy, dw, dh). Default [1, 1, 1, 1]. */
  readonly weights?: BoxCoderWeights;
  /** Options of the decoding of boxes. */
  readonly decoding?: DecodeOptions;
  /**
   * How suppression keeps levels apart, which also decides the order of equal scores: see
   * `BatchedNmsOptions.grouping`. Default "shifted".
   */
  readonly suppression?: "shifted" | "separate";
  /**
   * Whether proposals are ranked and suppressed within each level, or over all levels together (matterport).
   * Default "each".
   */
  readonly levels?: "each" | "together";
  /**
   * Value by which the best anchors are chosen; matterport uses "probability". Many probabilities, unlike
   * logits, may round to 1. Default "logit".
   */
  readonly chooseBy?: "logit" | "probability";
  /** Value by which suppression orders proposals; detectron2 uses "logit". Default "probability". */
  readonly suppressBy?: "logit" | "probability";
  /**
   * Whether fewer than `postNmsTopK` proposals are filled up with empty boxes at the origin, of score 0
   * (matterport). Default false.
   */
  readonly fill?: boolean;
}

/**
 * Turns the RPN's outputs into proposals: decodes the best anchors of each level, clips them to their image
 * and applies non-maximum suppression within each level. Best first.
 *
 * The steps, their order and their float32 rounding are those of torchvision's `filter_proposals` and, with
 * the matching options, those of detectron2's `find_top_rpn_proposals` and matterport's ProposalLayer; among
 * equal logits the lower anchor comes first (unspecified in torch). The outputs are read once and remain the
 * caller's; nothing runs on the device, so a gradient tape may be open meanwhile.
 *
 * @param anchors float32 [A * 4], the same for every image.
 * @param imageSizes sizes of the images before padding, one per image.
 * @returns proposals in image order.
 * @throws ShapeError when outputs, anchors and sizes disagree.
 */
export async function selectProposals(
  output: RpnOutput,
  anchors: Float32Array,
  imageSizes: readonly ImageSize[],
  config: ProposalConfig,
): Promise<Proposals> {
  const count = output.levelCounts.reduce((sum, n) => sum + n, 0);
  assertShape(output.objectness, [imageSizes.length, count], "selectProposals", "output.objectness");
  assertShape(output.deltas, [imageSizes.length, count, 4], "selectProposals", "output.deltas");
  assertLength(anchors, 4 * count, "selectProposals", "anchors");
  const [logits, deltas] = (await Promise.all([
    output.objectness.data(),
    output.deltas.data(),
  ])) as Float32Array[];
  const boxes: number[] = [];
  const scores: number[] = [];
  const images: number[] = [];
  for (const [image, size] of imageSizes.entries()) {
    const from = image * count;
    const own = selectOfImage(
      logits!.subarray(from, from + count),
      deltas!.subarray(4 * from, 4 * (from + count)),
      anchors,
      output.levelCounts,
      size,
      config,
    );
    for (const i of own.kept) {
      for (let k = 0; k < 4; k++) boxes.push(own.boxes[4 * i + k]!);
      scores.push(own.scores[i]!);
      images.push(image);
    }
    for (let i = own.kept.length; config.fill === true && i < config.postNmsTopK; i++) {
      boxes.push(0, 0, 0, 0);
      scores.push(0);
      images.push(image);
    }
  }
  return {
    boxes: Float32Array.from(boxes),
    scores: Float32Array.from(scores),
    imageIndex: Int32Array.from(images),
  };
}

// Each step is rounded to float32, so that probabilities near 1 tie as torch's do: suppression orders by
// them.
const f = Math.fround;
const sigmoid = (x: number): number => f(1 / f(1 + f(Math.exp(-x))));

function selectOfImage(
  logits: Float32Array,
  deltas: Float32Array,
  anchors: Float32Array,
  levelCounts: readonly number[],
  size: ImageSize,
  config: ProposalConfig,
): { boxes: Float32Array; scores: Float32Array; kept: Int32Array } {
  const {
    weights = [1, 1, 1, 1],
    decoding,
    levels: apart = "each",
    chooseBy = "logit",
    suppressBy = "probability",
  } = config;
  const ranks = chooseBy === "logit" ? logits : logits.map(sigmoid);
  const chosen: number[] = [];
  const levels: number[] = [];
  let offset = 0;
  for (const [level, count] of (apart === "each" ? levelCounts : [logits.length]).entries()) {
    for (const i of topK(ranks.subarray(offset, offset + count), config.preNmsTopK)) {
      chosen.push(offset + i);
      levels.push(level);
    }
    offset += count;
  }
  const decoded = decodeBoxesOnHost(
    gatherBoxesOnHost(deltas, chosen),
    gatherBoxesOnHost(anchors, chosen),
    weights,
    decoding,
  );
  const clipped = clipBoxesOnHost(decoded, size);
  const scores = Float32Array.from(chosen, (i) => sigmoid(logits[i]!));
  const least = Math.fround(config.scoreThreshold ?? 0);
  const usable = filterSmallBoxesOnHost(clipped, config.minSize ?? 1e-3).filter((i) => scores[i]! >= least);
  const kept = batchedNmsOnHost(
    gatherBoxesOnHost(clipped, usable),
    Float32Array.from(usable, (i) => (suppressBy === "logit" ? logits[chosen[i]!]! : scores[i]!)),
    Int32Array.from(usable, (i) => levels[i]!),
    {
      iouThreshold: config.nmsThreshold,
      maxOutput: config.postNmsTopK,
      grouping: config.suppression ?? "shifted",
    },
  );
  return { boxes: clipped, scores, kept: kept.map((i) => usable[i]!) };
}
