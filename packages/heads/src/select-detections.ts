import { clipBoxesOnHost, decodeBoxesOnHost, filterSmallBoxesOnHost, gatherBoxesOnHost } from "@mrcnn/boxes";
import { assertLength, assertShape } from "@mrcnn/core";
import type { BoxDetections, BoxHeadOutput, ImageSize, Rois } from "@mrcnn/core";
import { batchedNmsOnHost } from "@mrcnn/nms";

/** What counts as a detection. */
export interface DetectionConfig {
  /** Only scores above this count (torchvision: 0.05). */
  readonly scoreThreshold: number;
  /** Detections that overlap a better one of their class by more than this are dropped (0.5). */
  readonly nmsThreshold: number;
  /** Kept per image (paper: 100). */
  readonly maxDetections: number;
  /** Least side in pixels, after clipping. @defaultValue 1e-2 */
  readonly minSize?: number;
  /** Weights of (dx, dy, dw, dh). @defaultValue [10, 10, 5, 5] */
  readonly weights?: readonly [number, number, number, number];
}

/**
 * Turns the box head's outputs into detections: softmax, class-wise boxes clipped to their image,
 * non-maximum suppression within each class, best first.
 *
 * The steps, their order and their float32 rounding are those of torchvision's
 * `postprocess_detections`, but only what passes the score threshold is decoded. The outputs are read
 * once and stay the caller's.
 *
 * @param rois the boxes that the head looked at; logits and deltas have a row for each.
 * @param imageSizes of the images before padding, one per image.
 * @returns one entry per image; an image without detections has empty arrays.
 * @throws ShapeError when outputs and rois disagree.
 */
export async function selectDetections(
  output: BoxHeadOutput,
  rois: Rois,
  imageSizes: readonly ImageSize[],
  config: DetectionConfig,
): Promise<BoxDetections[]> {
  const count = rois.imageIndex.length;
  const classes = output.classLogits.shape[1];
  assertLength(rois.boxes, 4 * count, "selectDetections", "rois.boxes");
  assertShape(output.classLogits, [count, null], "selectDetections", "output.classLogits");
  assertShape(output.deltas, [count, 4 * classes], "selectDetections", "output.deltas");
  const [logits, deltas] = (await Promise.all([output.classLogits.data(), output.deltas.data()])) as Float32Array[];
  const scores = softmaxRows(logits!, classes);
  const least = Math.fround(config.scoreThreshold);
  return imageSizes.map((size, image) => {
    // Candidates are flat indices roi * K + class: row-major order decides among equal scores.
    const candidates: number[] = [];
    for (let roi = 0; roi < count; roi++) {
      if (rois.imageIndex[roi] !== image) continue;
      for (let k = 1; k < classes; k++) if (scores[roi * classes + k]! > least) candidates.push(roi * classes + k);
    }
    const decoded = decodeBoxesOnHost(
      gatherBoxesOnHost(deltas!, candidates),
      gatherBoxesOnHost(rois.boxes, candidates.map((c) => Math.trunc(c / classes))),
      config.weights ?? [10, 10, 5, 5],
    );
    const clipped = clipBoxesOnHost(decoded, size);
    const usable = filterSmallBoxesOnHost(clipped, config.minSize ?? 1e-2);
    const kept = batchedNmsOnHost(
      gatherBoxesOnHost(clipped, usable),
      Float32Array.from(usable, (i) => scores[candidates[i]!]!),
      usable.map((i) => candidates[i]! % classes),
      { iouThreshold: config.nmsThreshold, maxOutput: config.maxDetections },
    ).map((i) => usable[i]!);
    return {
      boxes: gatherBoxesOnHost(clipped, kept),
      labels: kept.map((i) => candidates[i]! % classes),
      scores: Float32Array.from(kept, (i) => scores[candidates[i]!]!),
    };
  });
}

function softmaxRows(logits: Float32Array, classes: number): Float32Array {
  const scores = new Float32Array(logits.length);
  for (let from = 0; from < logits.length; from += classes) {
    let max = -Infinity;
    for (let k = from; k < from + classes; k++) max = Math.max(max, logits[k]!);
    let sum = 0;
    for (let k = from; k < from + classes; k++) sum += Math.exp(logits[k]! - max);
    for (let k = from; k < from + classes; k++) scores[k] = Math.exp(logits[k]! - max) / sum;
  }
  return scores;
}
