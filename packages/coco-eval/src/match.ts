/** COCO's greedy matching of detections and objects, as pycocotools' `evaluateImg`. */
import { widened } from "./entries.ts";
import type { Entries } from "./entries.ts";
import { openImage, wordsOf } from "./ledger.ts";
import type { Ledger } from "./ledger.ts";
import type { Overlap } from "./overlap.ts";
import type { ResolvedParams } from "./params.ts";

/** Entries of one image and category: those at `order[from]` to `order[to - 1]`. */
export interface Slice {
  readonly order: ArrayLike<number>;
  readonly from: number;
  readonly to: number;
}

/**
 * Matches the detections and objects of one image and category. With `isOpen`, detections without a match are
 * ignored.
 */
export type Match = (
  ledger: Ledger,
  image: number,
  detections: Slice,
  objects: Slice,
  isOpen: boolean,
) => void;

/**
 * Creates COCO's greedy matching: each detection, by score, is matched to the free object that it overlaps
 * most (the later among equals), to objects that count before ignored ones. Crowds and objects of other sizes
 * are ignored, and so are detections matched to them; a crowd may be matched many times. An unmatched
 * detection of another size is ignored too. `detections` come best first; the outcomes are written to the
 * ledger.
 */
export function createMatcher(
  params: ResolvedParams,
  found: Entries,
  truth: Entries,
  overlap: Overlap,
): Match {
  const { iouThresholds, areaRanges, maxDetections } = params;
  const A = areaRanges.length;
  const T = iouThresholds.length;
  const words = wordsOf(A, T);
  const most = maxDetections.at(-1)!;
  const thresholds = Float64Array.from(iouThresholds, (t) => Math.min(t, 1 - 1e-10));
  const lowest = thresholds.reduce((a, b) => Math.min(a, b));
  const low = Float64Array.from(areaRanges, ({ min }) => min);
  const high = Float64Array.from(areaRanges, ({ max }) => max);

  // Pairs that overlap enough for the lowest threshold, detection by detection: those of d are first[d] to
  // first[d + 1] - 1.
  let first = new Uint32Array(most + 1);
  let pairObject = new Uint32Array(64);
  let pairOverlap = new Float64Array(64);
  let ignored = new Uint8Array(64);
  let taken = new Uint8Array(64);

  function findPairs(detections: Slice, D: number, objects: Slice, G: number): number {
    let pairs = 0;
    for (let d = 0; d < D; d++) {
      first[d] = pairs;
      const detection = detections.order[detections.from + d]!;
      for (let g = 0; g < G; g++) {
        const value = overlap(detection, objects.order[objects.from + g]!, lowest);
        // As in COCO, pairs not below the threshold pass (a NaN isn't below either).
        if (value < lowest) continue;
        if (pairs === pairObject.length) {
          pairObject = widened(pairObject, 2 * pairs);
          pairOverlap = widened(pairOverlap, 2 * pairs);
        }
        pairObject[pairs] = g;
        pairOverlap[pairs++] = value;
      }
    }
    first[D] = pairs;
    return pairs;
  }

  return (ledger, image, detections, objects, isOpen) => {
    const D = Math.min(most, detections.to - detections.from);
    const G = objects.to - objects.from;
    if (D >= first.length) first = new Uint32Array(2 * D);
    if (G > ignored.length) {
      ignored = new Uint8Array(2 * G);
      taken = new Uint8Array(2 * G);
    }
    const pairs = findPairs(detections, D, objects, G);
    const start = D === 0 ? 0 : openImage(ledger, image, D, words);
    const { bits } = ledger;
    for (let d = 0; d < D; d++) {
      ledger.score[start + d] = found.score[detections.order[detections.from + d]!]!;
      ledger.place[start + d] = d;
    }

    for (let a = 0; a < A; a++) {
      let counting = 0;
      for (let g = 0; g < G; g++) {
        const object = objects.order[objects.from + g]!;
        const area = truth.area[object]!;
        ignored[g] = truth.isIgnored[object] === 1 || area < low[a]! || area > high[a]! ? 1 : 0;
        if (ignored[g] === 0) counting++;
      }
      ledger.objects[a]! += counting;

      for (let d = 0; d < D; d++) {
        const area = found.area[detections.order[detections.from + d]!]!;
        if (!(isOpen || area < low[a]! || area > high[a]!)) continue;
        const at = 2 * words * (start + d) + words;
        for (let bit = a * T; bit < (a + 1) * T; bit++) bits[at + (bit >>> 5)]! |= 1 << (bit & 31);
      }
      if (pairs === 0) continue;

      for (let t = 0; t < T; t++) {
        taken.fill(0, 0, G);
        const bit = a * T + t;
        const word = bit >>> 5;
        const flag = 1 << (bit & 31);
        for (let d = 0; d < D; d++) {
          let best = thresholds[t]!;
          let match = -1;
          for (let ignoring = 0; ignoring < 2 && match < 0; ignoring++) {
            for (let p = first[d]!; p < first[d + 1]!; p++) {
              const g = pairObject[p]!;
              if (
                ignored[g] !== ignoring ||
                (taken[g] === 1 && truth.isCrowd[objects.order[objects.from + g]!] === 0)
              )
                continue;
              if (pairOverlap[p]! < best) continue;
              best = pairOverlap[p]!;
              match = g;
            }
          }
          if (match < 0) continue;
          taken[match] = 1;
          const at = 2 * words * (start + d) + word;
          if (ignored[match] === 1) bits[at + words]! |= flag;
          else {
            bits[at]! |= flag;
            bits[at + words]! &= ~flag;
          }
        }
      }
    }
  };
}
