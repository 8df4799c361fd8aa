import type { BoxCoderWeights, DecodeOptions } from "@mrcnn/boxes";
import { clipBoxesOnHost, decodeBoxesOnHost, filterSmallBoxesOnHost, gatherBoxesOnHost } from "@mrcnn/boxes";
import { assertLength, assertShape } from "@mrcnn/core";
import type { ImageSize, Proposals } from "@mrcnn/core";
import type { RpnOutput } from "@mrcnn/core/tensors";
import { batchedNmsOnHost } from "@mrcnn/nms";
import { topK } from "./top-k.ts";

/** How many proposals are kept, and which. */
export interface ProposalConfig {
  /** Kept per level before suppression (torchvision: 2000 to train, 1000 to test). */
  readonly preNmsTopK: number;
  /** Kept per image after suppression (paper: 1000 to test). */
  readonly postNmsTopK: number;
  /** Proposals that overlap a better one of their level by more than this are dropped (paper: 0.7). */
  readonly nmsThreshold: number;
  /** Least side in pixels, after clipping. @defaultValue 1e-3 */
  readonly minSize?: number;
  /** Least objectness probability. @defaultValue 0 */
  readonly scoreThreshold?: number;
  /** Weights of (dx, dy, dw, dh). @defaultValue [1, 1, 1, 1] */
  readonly weights?: BoxCoderWeights;
  /** How boxes are decoded. */
  readonly decoding?: DecodeOptions;
  /** How suppression keeps levels apart, and with it how it orders equal scores: see `BatchedNmsOptions.grouping`. @defaultValue "shifted" */
  readonly suppression?: "shifted" | "separate";
  /** Whether levels are ranked and thinned one by one, or all as one (matterport). @defaultValue "each" */
  readonly levels?: "each" | "together";
  /** What the best are chosen by. Of probabilities, unlike logits, many may round to 1. @defaultValue "logit"; matterport's is "probability" */
  readonly chooseBy?: "logit" | "probability";
  /** What suppression goes by. @defaultValue "probability"; detectron2's is "logit" */
  readonly suppressBy?: "logit" | "probability";
  /** Whether empty boxes at the origin, of score 0, make up for what is missing from `postNmsTopK` (matterport). @defaultValue false */
  readonly fill?: boolean;
}

/**
 * Turns the RPN's outputs into proposals: the best anchors of each level, decoded, clipped to their
 * image, thinned by non-maximum suppression within each level, best first.
 *
 * The steps, their order and their float32 rounding are those of torchvision's `filter_proposals`
 * and, with the options that say so, detectron2's `find_top_rpn_proposals` and matterport's ProposalLayer; of equal logits the lower anchor comes first (torch leaves that open). The outputs are read once
 * and stay the caller's; nothing runs on the device, so a gradient tape may be open meanwhile.
 *
 * @param anchors float32 [A * 4], the same for every image.
 * @param imageSizes of the images before padding, one per image.
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

// Each step in float32: probabilities near 1 tie as torch's do, and suppression goes by them.
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
