import type { AreaRange } from "./params.ts";

/** The objects and detections of one image and one category; detections best first. */
export interface MatchInput {
  /** [D * G], one row per detection. */
  readonly iou: Float64Array;
  readonly gtArea: ArrayLike<number>;
  readonly isCrowd: ArrayLike<number>;
  readonly dtArea: ArrayLike<number>;
}

// What became of a detection at one threshold and size: 0 is wrong, ignored ones are neither.
export const RIGHT = 1;
export const IGNORED = 2;

export interface MatchResult {
  /** [A * T * D], 0 (wrong), RIGHT or IGNORED. */
  readonly outcome: Uint8Array;
  /** Objects that count, per size range [A]. */
  readonly objects: Int32Array;
}

/**
 * COCO's greedy matching: detections by score, each takes the free object it overlaps most (the later
 * of equals), objects that count before ignored ones. Crowds and objects of other sizes are ignored,
 * and so are detections matched to them; a crowd may be matched many times. An unmatched detection of
 * another size is ignored too.
 */
export function matchDetections(input: MatchInput, iouThresholds: readonly number[], areaRanges: readonly AreaRange[]): MatchResult {
  const { iou, gtArea, isCrowd, dtArea } = input;
  const D = dtArea.length;
  const G = gtArea.length;
  const T = iouThresholds.length;
  const outcome = new Uint8Array(areaRanges.length * T * D);
  const objects = new Int32Array(areaRanges.length);
  const order = new Int32Array(G);
  const taken = new Uint8Array(G);

  areaRanges.forEach((range, a) => {
    const outside = (area: number): boolean => area < range.min || area > range.max;
    // Those that count first, each kind in its given order.
    let counting = 0;
    for (let g = 0; g < G; g++) if (!isCrowd[g] && !outside(gtArea[g]!)) order[counting++] = g;
    for (let g = 0, at = counting; g < G; g++) if (isCrowd[g] || outside(gtArea[g]!)) order[at++] = g;
    objects[a] = counting;

    for (let t = 0; t < T; t++) {
      taken.fill(0);
      const at = (a * T + t) * D;
      for (let d = 0; d < D; d++) {
        let best = Math.min(iouThresholds[t]!, 1 - 1e-10);
        let match = -1;
        for (let k = 0; k < G; k++) {
          if (k === counting && match >= 0) break;
          const g = order[k]!;
          if (taken[g] && !isCrowd[g]) continue;
          const overlap = iou[d * G + g]!;
          if (overlap < best) continue;
          best = overlap;
          match = k;
        }
        if (match >= 0) {
          taken[order[match]!] = 1;
          outcome[at + d] = match < counting ? RIGHT : IGNORED;
        } else if (outside(dtArea[d]!)) outcome[at + d] = IGNORED;
      }
    }
  });
  return { outcome, objects };
}
