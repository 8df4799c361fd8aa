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

/** Takes images one at a time, keeps some 30 bytes per detection, and says how good they were. */
export interface CocoEvaluator {
  /**
   * Matches one image's detections; what it is given may be dropped afterwards.
   *
   * @throws DatasetError naming the image and the entry: an image given twice, an unknown category, a
   * score that is not a number, a missing or impossible box, mask or keypoints.
   */
  add(imageId: CocoId, detections: readonly CocoDetection[], groundTruth: readonly CocoGroundTruth[]): void;
  /** All that was added, for another evaluator's `merge`: in a worker, another process or on another machine. */
  partial(): Uint8Array;
  /**
   * Takes what another evaluator's `partial` gave, as if its images had been added here: sums are exact.
   *
   * @throws DatasetError when it holds an image that was added before or is no partial result, ConfigError when it was evaluated otherwise.
   */
  merge(partial: Uint8Array): void;
  accumulate(): CocoAccumulated;
  summarize(): CocoStats;
  perCategory(): CocoCategoryStats[];
  precisionRecall(): PrecisionRecall;
}

/**
 * Creates an evaluator whose numbers equal pycocotools' `COCOeval`: any order of images gives
 * the same numbers, equal scores rank by image id and then as given.
 *
 * An annotation's id 0, which pycocotools takes for "not matched", is no special case here.
 *
 * @throws ConfigError when an option can't be meant.
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
      // All entries are read before any counts: an image that throws leaves nothing behind.
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
