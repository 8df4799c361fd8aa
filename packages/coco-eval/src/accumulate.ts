/** Precision and recall over all images, as pycocotools' `accumulate`. */
import { compareIds } from "@mrcnn/core";
import type { CocoId } from "@mrcnn/core";
import { wordsOf } from "./ledger.ts";
import type { Ledger } from "./ledger.ts";
import type { ResolvedParams } from "./params.ts";

/** Precision and recall over the whole data set, with pycocotools' axes; -1 where there are no objects. */
export interface CocoAccumulated {
  /**
   * Precision, [T, R, K, A, M]: IoU threshold, recall threshold, category (by id), size range, detection
   * limit.
   */
  readonly precision: Float64Array;
  /** Scores, [T, R, K, A, M]: the score at which that recall is reached, 0 where it never is. */
  readonly scores: Float64Array;
  /** Highest recall reached, [T, K, A, M]. */
  readonly recall: Float64Array;
  /** Number of objects that count, [K, A]. */
  readonly objects: Int32Array;
  readonly params: ResolvedParams;
}

/**
 * Ranks each category's detections over all images, whose ids are `imageIds`, and computes precision at the
 * recall thresholds.
 */
export function accumulateLedgers(
  ledgers: readonly Ledger[],
  imageIds: readonly CocoId[],
  params: ResolvedParams,
): CocoAccumulated {
  const { iouThresholds, recallThresholds, areaRanges, maxDetections } = params;
  const [T, R, K, A, M] = [
    iouThresholds.length,
    recallThresholds.length,
    ledgers.length,
    areaRanges.length,
    maxDetections.length,
  ];
  const words = wordsOf(A, T);
  const precision = new Float64Array(T * R * K * A * M).fill(-1);
  const scores = new Float64Array(T * R * K * A * M).fill(-1);
  const recall = new Float64Array(T * K * A * M).fill(-1);
  const objects = new Int32Array(K * A);
  const rankOf = new Uint32Array(imageIds.length);
  for (const [place, image] of Array.from(imageIds.keys())
    .sort((a, b) => compareIds(imageIds[a]!, imageIds[b]!))
    .entries())
    rankOf[image] = place;

  ledgers.forEach((ledger, k) => {
    objects.set(ledger.objects, k * A);
    if (ledger.objects.every((count) => count === 0)) return;
    const order = rank(ledger, rankOf);
    const N = order.length;
    const limited = new Uint32Array(N);
    const right = new Uint32Array(N);
    const ignored = new Uint32Array(N);
    // Precision falls with every wrong detection, so its peaks are at right ones: only those are kept.
    const peak = new Float64Array(N);
    const score = new Float64Array(N);

    for (let m = 0; m < M; m++) {
      const limit = maxDetections[m]!;
      let n = 0;
      for (let i = 0; i < N; i++) if (ledger.place[order[i]!]! < limit) limited[n++] = order[i]!;
      for (let word = 0; word < words; word++) {
        for (let i = 0; i < n; i++) {
          right[i] = ledger.bits[2 * words * limited[i]! + word]!;
          ignored[i] = ledger.bits[2 * words * limited[i]! + words + word]!;
        }
        for (let bit = 32 * word; bit < Math.min(A * T, 32 * (word + 1)); bit++) {
          const a = Math.floor(bit / T);
          const t = bit - a * T;
          const count = ledger.objects[a]!;
          if (count === 0) continue;
          const flag = 1 << (bit & 31);
          let found = 0;
          let counted = 0;
          for (let i = 0; i < n; i++) {
            if ((ignored[i]! & flag) !== 0) continue;
            counted++;
            if ((right[i]! & flag) === 0) continue;
            peak[found] = (found + 1) / (counted + Number.EPSILON);
            score[found++] = ledger.score[limited[i]!]!;
          }
          // The highest precision at this or any higher recall.
          for (let i = found - 1; i > 0; i--) if (peak[i]! > peak[i - 1]!) peak[i - 1] = peak[i]!;
          recall[((t * K + k) * A + a) * M + m] = found / count;
          for (let r = 0, i = 0; r < R; r++) {
            const wanted = recallThresholds[r]!;
            while (i < found && (i + 1) / count < wanted) i++;
            const at = (((t * R + r) * K + k) * A + a) * M + m;
            precision[at] = i < found ? peak[i]! : 0;
            // Recall 0 is reached by the first detection, right or not.
            scores[at] =
              wanted <= 0 ?
                n > 0 ?
                  ledger.score[limited[0]!]!
                : 0
              : i < found ? score[i]!
              : 0;
          }
        }
      }
    }
  });
  return { precision, scores, recall, objects, params };
}

/**
 * Returns the ledger's detections best first; equal scores rank by image id, then by their order within the
 * image.
 */
function rank(ledger: Ledger, rankOf: Uint32Array): Uint32Array {
  const images = Array.from({ length: ledger.images }, (_, i) => i).sort(
    (a, b) => rankOf[ledger.image[a]!]! - rankOf[ledger.image[b]!]!,
  );
  let order = new Uint32Array(ledger.length);
  let at = 0;
  for (const image of images) {
    const end = image + 1 < ledger.images ? ledger.start[image + 1]! : ledger.length;
    for (let i = ledger.start[image]!; i < end; i++) order[at++] = i;
  }
  // A merge sort: stable, and several times as fast as sorting with a callback.
  const { score } = ledger;
  const N = order.length;
  let other = new Uint32Array(N);
  for (let width = 1; width < N; width *= 2) {
    for (let from = 0; from < N; from += 2 * width) {
      const middle = Math.min(N, from + width);
      const end = Math.min(N, from + 2 * width);
      let i = from;
      let j = middle;
      for (let to = from; to < end; to++) {
        other[to] =
          j >= end || (i < middle && score[order[i]!]! >= score[order[j]!]!) ? order[i++]! : order[j++]!;
      }
    }
    [order, other] = [other, order];
  }
  return order;
}
