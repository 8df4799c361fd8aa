/** Federated average precision of LVIS, as lvis-api. */
import { DatasetError, quote } from "@mrcnn/core";
import type { CocoId } from "@mrcnn/core";
import type { CocoCategory, CocoImage, CocoJson, CocoResult } from "@mrcnn/masks";
import { createFileEvaluation } from "./evaluate-coco.ts";
import { meanOf, summarizeCategories } from "./summarize.ts";
import type { CocoCategoryStats } from "./summarize.ts";

/** A category of LVIS, which is rare, common or frequent. */
export interface LvisCategory extends CocoCategory {
  readonly frequency: "r" | "c" | "f";
}

/** An image of LVIS. */
export interface LvisImage extends CocoImage {
  /** Ids of the categories that are certainly not in the image. */
  readonly neg_category_ids: readonly CocoId[];
  /** Ids of the categories of which not all objects are annotated. */
  readonly not_exhaustive_category_ids: readonly CocoId[];
}

/** An LVIS annotation file. */
export interface LvisJson extends CocoJson {
  readonly images: readonly LvisImage[];
  readonly categories: readonly LvisCategory[];
}

/**
 * LVIS' thirteen metrics, each in [0, 1], or -1 when there is no object of that kind; APr, APc and APf are of
 * rare, common and frequent categories.
 */
export type LvisStats = Readonly<
  Record<
    "AP" | "AP50" | "AP75" | "APs" | "APm" | "APl" | "APr" | "APc" | "APf" | "AR" | "ARs" | "ARm" | "ARl",
    number
  >
>;

const MOST = 300;

/**
 * Computes LVIS' federated average precision with the arithmetic of lvis-api: of an image's best 300
 * detections, those of categories that are neither annotated nor ruled out in it are left out, and unmatched
 * ones of categories that are not annotated exhaustively are ignored.
 *
 * @throws DatasetError as `evaluateCoco`, and for an image or category without LVIS' own keys.
 */
export function evaluateLvis(
  groundTruth: LvisJson,
  results: readonly CocoResult[],
  options: { readonly iouType: "bbox" | "segm" },
): { readonly stats: LvisStats; readonly perCategory: readonly CocoCategoryStats[] } {
  const images = new Map(
    groundTruth.images.map(({ id, neg_category_ids: none, not_exhaustive_category_ids: open }) => {
      if (!Array.isArray(none) || !Array.isArray(open))
        throw new DatasetError(
          `evaluateLvis: image ${quote(id)}: must have neg_category_ids and not_exhaustive_category_ids. Is it an LVIS file?`,
        );
      return [id, { none: new Set(none), open: new Set(open) }];
    }),
  );
  const evaluation = createFileEvaluation(
    groundTruth,
    { iouType: options.iouType, maxDetections: [MOST] },
    {
      mostPerImage: MOST,
      heedOf(imageId, categoryId, hasObjects) {
        const { none, open } = images.get(imageId)!;
        if (!hasObjects && !none.has(categoryId)) return "none";
        return open.has(categoryId) ? "matched" : "all";
      },
    },
  );
  results.forEach((result, i) => evaluation.add(result, `evaluateLvis: results[${i}]`));
  const accumulated = evaluation.accumulate();
  const { categories } = accumulated.params;
  const frequency = new Map(groundTruth.categories.map((one) => [one.id, one.frequency]));
  const ap = (selection: Parameters<typeof meanOf>[2]): number => meanOf(accumulated, "precision", selection);
  const ar = (area: string): number => meanOf(accumulated, "recall", { area });
  const ofFrequency = (wanted: LvisCategory["frequency"]): number =>
    ap({ among: new Set(categories.flatMap(({ id }, k) => (frequency.get(id) === wanted ? [k] : []))) });
  return {
    stats: {
      AP: ap({}),
      AP50: ap({ iouThreshold: 0.5 }),
      AP75: ap({ iouThreshold: 0.75 }),
      APs: ap({ area: "small" }),
      APm: ap({ area: "medium" }),
      APl: ap({ area: "large" }),
      APr: ofFrequency("r"),
      APc: ofFrequency("c"),
      APf: ofFrequency("f"),
      AR: ar("all"),
      ARs: ar("small"),
      ARm: ar("medium"),
      ARl: ar("large"),
    },
    perCategory: summarizeCategories(accumulated),
  };
}
