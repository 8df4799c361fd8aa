/** Matching of images, with results kept per category. */
import type { CocoId } from "@mrcnn/core";
import type { Entries } from "./entries.ts";
import { createLedger } from "./ledger.ts";
import type { Ledger } from "./ledger.ts";
import { createMatcher } from "./match.ts";
import { overlapOf } from "./overlap.ts";
import type { ResolvedParams } from "./params.ts";

/** Matches images whose entries are in two stores, and keeps the results per category. */
export interface Core {
  /** One ledger per category, or one for all without `useCategories`. */
  readonly ledgers: readonly Ledger[];
  /** Ids of all images added; ledgers refer to them by index. */
  readonly imageIds: CocoId[];
  /**
   * Matches one image; its detections and objects are given as ascending indices into the stores, and are
   * sorted in place.
   */
  add(imageId: CocoId, detections: number[], objects: number[]): void;
}

/**
 * Decides which of an image's detections of a category count: all; all but unmatched ones, which are ignored
 * where not all objects are annotated; or none, where it isn't known whether there are objects.
 */
export type HeedOf = (imageId: CocoId, categoryId: CocoId, hasObjects: boolean) => "all" | "matched" | "none";

export function createCore(
  params: ResolvedParams,
  found: Entries,
  truth: Entries,
  heedOf: HeedOf = () => "all",
): Core {
  const { categories, areaRanges, useCategories, iouType, sigmas } = params;
  const ledgers = Array.from({ length: useCategories ? categories.length : 1 }, () =>
    createLedger(areaRanges.length),
  );
  const imageIds: CocoId[] = [];
  const match = createMatcher(params, found, truth, overlapOf(iouType, found, truth, sigmas));
  return {
    ledgers,
    imageIds,
    add(imageId, detections, objects) {
      const image = imageIds.push(imageId) - 1;
      // pycocotools collects detections category by category before it sorts them all.
      const { category, score } = found;
      if (useCategories)
        detections.sort((a, b) => category[a]! - category[b]! || score[b]! - score[a]! || a - b);
      else detections.sort((a, b) => score[b]! - score[a]! || category[a]! - category[b]! || a - b);
      objects.sort((a, b) => truth.category[a]! - truth.category[b]! || a - b);
      if (!useCategories) {
        const slices = [detections, objects].map((order) => ({ order, from: 0, to: order.length }));
        if (detections.length + objects.length > 0) match(ledgers[0]!, image, slices[0]!, slices[1]!, false);
        return;
      }
      for (let d = 0, g = 0; d < detections.length || g < objects.length;) {
        const k = Math.min(
          d < detections.length ? category[detections[d]!]! : Infinity,
          g < objects.length ? truth.category[objects[g]!]! : Infinity,
        );
        const [fromD, fromG] = [d, g];
        while (d < detections.length && category[detections[d]!] === k) d++;
        while (g < objects.length && truth.category[objects[g]!] === k) g++;
        const heed = heedOf(imageId, categories[k]!.id, g > fromG);
        const taken = { order: detections, from: fromD, to: heed === "none" ? fromD : d };
        match(ledgers[k]!, image, taken, { order: objects, from: fromG, to: g }, heed === "matched");
      }
    },
  };
}
