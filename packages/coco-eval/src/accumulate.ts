import { IGNORED, RIGHT } from "./match.ts";
import type { ResolvedParams } from "./params.ts";

/** What is kept of one image and category: detections best first, and what became of them. */
export interface MatchedImage {
  readonly imageId: number;
  readonly scores: Float64Array;
  /** [A * T * D]. */
  readonly outcome: Uint8Array;
  /** [A]. */
  readonly objects: Int32Array;
}

/** Precision and recall over the whole set, in pycocotools' axes; -1 where there are no objects. */
export interface CocoAccumulated {
  /** [T, R, K, A, M]: IoU threshold, recall threshold, category (by id), size range, detection limit. */
  readonly precision: Float64Array;
  /** [T, K, A, M]: the highest recall reached. */
  readonly recall: Float64Array;
  /** [K, A]: objects that count. */
  readonly objects: Int32Array;
  readonly params: ResolvedParams;
}

/** Ranks each category's detections over all images and reads precision at the recall thresholds. */
export function accumulateMatches(matched: readonly (readonly MatchedImage[])[], params: ResolvedParams): CocoAccumulated {
  const { categories, iouThresholds, recallThresholds, areaRanges, maxDetections } = params;
  const [T, R, K, A, M] = [iouThresholds.length, recallThresholds.length, categories.length, areaRanges.length, maxDetections.length];
  const precision = new Float64Array(T * R * K * A * M).fill(-1);
  const recall = new Float64Array(T * K * A * M).fill(-1);
  const objects = new Int32Array(K * A);

  for (let k = 0; k < K; k++) {
    // Equal scores rank by image id, whatever order the images came in.
    const images = matched[k]!.toSorted((a, b) => a.imageId - b.imageId);
    for (const image of images) for (let a = 0; a < A; a++) objects[k * A + a]! += image.objects[a]!;

    const { places, outcome } = rank(images, A * T);
    const N = places.length;
    const right = new Float64Array(N);
    const best = new Float64Array(N);
    for (let m = 0; m < M; m++) {
      for (let a = 0; a < A; a++) {
        const count = objects[k * A + a]!;
        if (count === 0) continue;
        for (let t = 0; t < T; t++) {
          const at = (a * T + t) * N;
          let tp = 0;
          let n = 0;
          for (let i = 0; i < N; i++) {
            const what = outcome[at + i]!;
            if (what === IGNORED || places[i]! >= maxDetections[m]!) continue;
            if (what === RIGHT) tp++;
            right[n] = tp;
            best[n] = tp / (++n + Number.EPSILON);
          }
          // The best precision at this recall or any higher one.
          for (let i = n - 1; i > 0; i--) if (best[i]! > best[i - 1]!) best[i - 1] = best[i]!;
          recall[((t * K + k) * A + a) * M + m] = tp / count;
          for (let r = 0, i = 0; r < R; r++) {
            while (i < n && right[i]! / count < recallThresholds[r]!) i++;
            precision[(((t * R + r) * K + k) * A + a) * M + m] = i < n ? best[i]! : 0;
          }
        }
      }
    }
  }
  return { precision, recall, objects, params };
}

// All images' detections by score, equals in the order they are given: each one's place within its
// image [N], and what became of it in each of the `slices` [slices * N].
function rank(images: readonly MatchedImage[], slices: number): { places: Int32Array; outcome: Uint8Array } {
  const entries = images.flatMap((image) => Array.from(image.scores, (score, place) => ({ image, place, score })));
  entries.sort((a, b) => b.score - a.score);
  const N = entries.length;
  const places = new Int32Array(N);
  const outcome = new Uint8Array(slices * N);
  entries.forEach(({ image, place }, i) => {
    places[i] = place;
    const D = image.scores.length;
    for (let s = 0; s < slices; s++) outcome[s * N + i] = image.outcome[s * D + place]!;
  });
  return { places, outcome };
}
