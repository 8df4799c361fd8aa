import { DatasetError } from "@mrcnn/core";
import type { Rle } from "@mrcnn/core";
import { boxIou, rleArea, rleIou } from "@mrcnn/masks";
import type { CocoBox } from "@mrcnn/masks";
import { accumulateMatches } from "./accumulate.ts";
import type { CocoAccumulated, MatchedImage } from "./accumulate.ts";
import { matchDetections } from "./match.ts";
import { resolveParams } from "./params.ts";
import type { CocoParams } from "./params.ts";
import { curvesOf, summarizeAccumulated, summarizeCategories } from "./summarize.ts";
import type { CocoCategoryStats, CocoStats, PrecisionRecall } from "./summarize.ts";

/** An object of an image. `bbox` is what "bbox" compares, `mask` what "segm" does. */
export interface CocoGroundTruth {
  readonly categoryId: number;
  readonly bbox?: CocoBox;
  readonly mask?: Rle;
  /** Pixels, for the size ranges; by default the box's or the mask's, whichever is compared. */
  readonly area?: number;
  /** A crowd counts for nobody, and any number of detections may fall on it. */
  readonly isCrowd?: boolean;
}

/** A detection, as an object but with its score. */
export interface CocoDetection {
  readonly categoryId: number;
  readonly score: number;
  readonly bbox?: CocoBox;
  readonly mask?: Rle;
  readonly area?: number;
}

/** One image: its objects and what was found in it. */
export interface CocoEvaluatedImage {
  readonly imageId: number;
  readonly groundTruth: readonly CocoGroundTruth[];
  readonly detections: readonly CocoDetection[];
}

/** Takes images one at a time, keeps a few bytes per detection, and says how good they were. */
export interface CocoEvaluator {
  /**
   * Matches one image's detections; what it is given may be dropped afterwards.
   *
   * @throws DatasetError naming the image and the entry: an image given twice, an unknown category, a
   * score that is not a number, a missing or impossible box or mask.
   */
  add(image: CocoEvaluatedImage): void;
  accumulate(): CocoAccumulated;
  summarize(): CocoStats;
  perCategory(): CocoCategoryStats[];
  precisionRecall(): PrecisionRecall;
}

/**
 * Creates an evaluator whose twelve numbers equal pycocotools' `COCOeval`: any order of images gives
 * the same numbers, equal scores rank by image id and then as given.
 *
 * An annotation's id 0, which pycocotools takes for "not matched", is no special case here.
 *
 * @throws ConfigError when an option can't be meant.
 */
export function createCocoEvaluator(options: CocoParams): CocoEvaluator {
  const params = resolveParams(options);
  const { iouType, categories, iouThresholds, areaRanges, maxDetections } = params;
  const places = new Map(categories.map(({ id }, k) => [id, k]));
  const matched: MatchedImage[][] = categories.map(() => []);
  const seen = new Set<number>();
  const most = maxDetections.at(-1)!;
  let accumulated: CocoAccumulated | undefined;

  const accumulate = (): CocoAccumulated => (accumulated ??= accumulateMatches(matched, params));
  return {
    add({ imageId, groundTruth, detections }) {
      const where = `image ${imageId}`;
      if (seen.has(imageId)) throw new DatasetError(`${where}: was added before. Add each image once.`);
      const gts = groupByCategory(groundTruth, places, `${where}: groundTruth`);
      const dts = groupByCategory(detections, places, `${where}: detections`);
      for (const [i, { score }] of detections.entries()) {
        if (!Number.isFinite(score)) throw new DatasetError(`${where}: detections[${i}]: score must be a finite number, got ${score}.`);
      }
      for (const group of [groundTruth, detections]) {
        const name = `${where}: ${group === groundTruth ? "groundTruth" : "detections"}`;
        group.forEach((entry, i) => checkRegion(entry, iouType, `${name}[${i}]`));
      }
      const results: [number, MatchedImage][] = [];
      for (const k of new Set([...gts.keys(), ...dts.keys()])) {
        const gt = gts.get(k) ?? [];
        const dt = (dts.get(k) ?? []).sort((a, b) => b.score - a.score).slice(0, most);
        const isCrowd = gt.map((g) => (g.isCrowd === true ? 1 : 0));
        const iou =
          iouType === "bbox"
            ? boxIou(dt.flatMap((d) => d.bbox!), gt.flatMap((g) => g.bbox!), isCrowd)
            : rleIou(dt.map((d) => d.mask!), gt.map((g) => g.mask!), isCrowd);
        const area = (entry: CocoGroundTruth | CocoDetection): number =>
          entry.area ?? (iouType === "bbox" ? entry.bbox![2] * entry.bbox![3] : rleArea(entry.mask!));
        const { outcome, objects } = matchDetections({ iou, gtArea: gt.map(area), isCrowd, dtArea: dt.map(area) }, iouThresholds, areaRanges);
        results.push([k, { imageId, scores: Float64Array.from(dt, (d) => d.score), outcome, objects }]);
      }
      // Only a whole image counts: one that throws leaves nothing behind.
      for (const [k, result] of results) matched[k]!.push(result);
      seen.add(imageId);
      accumulated = undefined;
    },
    accumulate,
    summarize: () => summarizeAccumulated(accumulate()),
    perCategory: () => summarizeCategories(accumulate()),
    precisionRecall: () => curvesOf(accumulate()),
  };
}

function groupByCategory<T extends { readonly categoryId: number }>(
  entries: readonly T[],
  places: ReadonlyMap<number, number>,
  where: string,
): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  entries.forEach((entry, i) => {
    const k = places.get(entry.categoryId);
    if (k === undefined) {
      const known = [...places.keys()].slice(0, 10).join(", ") + (places.size > 10 ? ", ..." : "");
      throw new DatasetError(`${where}[${i}]: categoryId must be one of the evaluated categories (${known}), got ${entry.categoryId}.`);
    }
    const group = groups.get(k);
    if (group === undefined) groups.set(k, [entry]);
    else group.push(entry);
  });
  return groups;
}

function checkRegion(entry: CocoGroundTruth | CocoDetection, iouType: "bbox" | "segm", where: string): void {
  const { bbox, mask } = entry;
  if (iouType === "segm") {
    if (mask === undefined) throw new DatasetError(`${where}: must have a mask to be evaluated by "segm". Evaluate by "bbox" instead.`);
  } else if (bbox === undefined || !(bbox.length === 4 && bbox.every(Number.isFinite) && bbox[2] >= 0 && bbox[3] >= 0)) {
    throw new DatasetError(`${where}: bbox must be [x, y, width, height] with sizes >= 0, got ${JSON.stringify(bbox)}.`);
  }
}
