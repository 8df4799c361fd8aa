/** Incremental evaluation image by image, as pycocotools' `COCOeval`. */
import { DatasetError, quote } from "@mrcnn/core";
import type { CocoId } from "@mrcnn/core";
import { accumulateLedgers } from "./accumulate.ts";
import type { CocoAccumulated } from "./accumulate.ts";
import { addEntry, clearEntries, createEntries } from "./entries.ts";
import { createCore } from "./core.ts";
import { createMaskList } from "./mask-store.ts";
import { resolveParams } from "./params.ts";
import type { CocoParams } from "./params.ts";
import { readPartial, writePartial } from "./partial.ts";
import { createRegions } from "./regions.ts";
import type { CocoDetection, CocoGroundTruth } from "./regions.ts";
import { curvesOf, summarizeAccumulated, summarizeCategories } from "./summarize.ts";
import type { CocoCategoryStats, CocoStats, PrecisionRecall } from "./summarize.ts";

/** Evaluates images one at a time, keeping some 30 bytes per detection. */
export interface CocoEvaluator {
  /**
   * Matches one image's detections; the arguments are not kept.
   *
   * @throws DatasetError naming the image and the entry: an image given twice, an unknown category, a score
   * that is not a number, a missing or impossible box, mask or keypoints.
   */
  add(imageId: CocoId, detections: readonly CocoDetection[], groundTruth: readonly CocoGroundTruth[]): void;
  /**
   * Returns the results of all images added, for another evaluator's `merge`: in a worker, another process or
   * on another machine.
   */
  partial(): Uint8Array;
  /**
   * Merges the result of another evaluator's `partial`, as if its images had been added here: sums are exact.
   *
   * @throws DatasetError when it holds an image that was added before or is no partial result, ConfigError
   * when its options differ.
   */
  merge(partial: Uint8Array): void;
  accumulate(): CocoAccumulated;
  summarize(): CocoStats;
  perCategory(): CocoCategoryStats[];
  precisionRecall(): PrecisionRecall;
}

/**
 * Creates an evaluator whose metrics equal those of pycocotools' `COCOeval`. They don't depend on the order
 * of images; equal scores rank by image id and then in the order given.
 *
 * An annotation's id 0, which pycocotools mistakes for "not matched", is no special case here.
 *
 * @throws ConfigError when an option is invalid.
 */
export function createCocoEvaluator(options: CocoParams): CocoEvaluator {
  const params = resolveParams(options);
  const keypoints = params.iouType === "keypoints" ? params.sigmas.length : 0;
  const [found, truth] = [
    createEntries(createMaskList(), keypoints),
    createEntries(createMaskList(), keypoints),
  ];
  const core = createCore(params, found, truth);
  const regions = createRegions(params);
  const seen = new Set<CocoId>();
  let accumulated: CocoAccumulated | undefined;

  const claim = (imageId: CocoId): void => {
    if (seen.has(imageId))
      throw new DatasetError(`image ${quote(imageId)}: was added before. Add each image once.`);
  };
  const accumulate = (): CocoAccumulated =>
    (accumulated ??= accumulateLedgers(core.ledgers, core.imageIds, params));
  return {
    add(imageId, detections, groundTruth) {
      claim(imageId);
      clearEntries(found);
      clearEntries(truth);
      // All entries are read before any is counted, so an image that throws leaves nothing behind.
      groundTruth.forEach((entry, i) =>
        addEntry(truth, regions.object(entry, `image ${quote(imageId)}: groundTruth[${i}]`)),
      );
      detections.forEach((entry, i) =>
        addEntry(found, regions.detection(entry, `image ${quote(imageId)}: detections[${i}]`)),
      );
      core.add(imageId, Array.from(detections.keys()), Array.from(groundTruth.keys()));
      seen.add(imageId);
      accumulated = undefined;
    },
    partial: () => writePartial(params, core),
    merge(partial) {
      const other = readPartial(partial, params);
      other.imageIds.forEach(claim);
      core.ledgers.forEach((ledger, k) => other.addTo(ledger, k, core.imageIds.length));
      core.imageIds.push(...other.imageIds);
      other.imageIds.forEach((id) => seen.add(id));
      accumulated = undefined;
    },
    accumulate,
    summarize: () => summarizeAccumulated(accumulate()),
    perCategory: () => summarizeCategories(accumulate()),
    precisionRecall: () => curvesOf(accumulate()),
  };
}
