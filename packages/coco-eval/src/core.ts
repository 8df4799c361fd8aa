import type { Entries } from "./entries.ts";
import { createLedger } from "./ledger.ts";
import type { Ledger } from "./ledger.ts";
import { createMatcher } from "./match.ts";
import { overlapOf } from "./overlap.ts";
import type { ResolvedParams } from "./params.ts";

/** Matches images whose entries lie in two stores, and keeps what came of it per category. */
export interface Core {
  /** One per category, or one for all without `useCategories`. */
  readonly ledgers: readonly Ledger[];
  /** Matches one image; its detections and objects are given by their places in the stores, ascending, and are sorted. */
  add(imageId: number, detections: number[], objects: number[]): void;
}

export function createCore(params: ResolvedParams, found: Entries, truth: Entries): Core {
  const { categories, areaRanges, useCategories, iouType, sigmas } = params;
  const ledgers = Array.from({ length: useCategories ? categories.length : 1 }, () => createLedger(areaRanges.length));
  const match = createMatcher(params, found, truth, overlapOf(iouType, found, truth, sigmas));
  return {
    ledgers,
    add(imageId, detections, objects) {
      // pycocotools pools detections category by category before it sorts them all.
      const { category, score } = found;
      if (useCategories) detections.sort((a, b) => category[a]! - category[b]! || score[b]! - score[a]! || a - b);
      else detections.sort((a, b) => score[b]! - score[a]! || category[a]! - category[b]! || a - b);
      objects.sort((a, b) => truth.category[a]! - truth.category[b]! || a - b);
      if (!useCategories) {
        const slices = [detections, objects].map((order) => ({ order, from: 0, to: order.length }));
        if (detections.length + objects.length > 0) match(ledgers[0]!, imageId, slices[0]!, slices[1]!);
        return;
      }
      for (let d = 0, g = 0; d < detections.length || g < objects.length; ) {
        const k = Math.min(d < detections.length ? category[detections[d]!]! : Infinity, g < objects.length ? truth.category[objects[g]!]! : Infinity);
        const [fromD, fromG] = [d, g];
        while (d < detections.length && category[detections[d]!] === k) d++;
        while (g < objects.length && truth.category[objects[g]!] === k) g++;
        match(ledgers[k]!, imageId, { order: detections, from: fromD, to: d }, { order: objects, from: fromG, to: g });
      }
    },
  };
}
