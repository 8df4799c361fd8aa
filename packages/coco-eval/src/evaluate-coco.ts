/** Evaluation of COCO results files, as pycocotools' `loadRes` and `COCOeval`. */
import { ConfigError, DatasetError, quote } from "@mrcnn/core";
import type { CocoId } from "@mrcnn/core";
import { measureCounts, parseCocoJson, readCounts, rleToBox, segmentationToRle } from "@mrcnn/masks";
import type {
  CocoAnnotation,
  CocoBox,
  CocoImage,
  CocoJson,
  CocoResult,
  CocoReviewOptions,
  CocoSegmentation,
} from "@mrcnn/masks";
import { accumulateLedgers } from "./accumulate.ts";
import type { CocoAccumulated } from "./accumulate.ts";
import { createCore } from "./core.ts";
import type { HeedOf } from "./core.ts";
import { addEntry, createEntries } from "./entries.ts";
import { breakErrorsDown } from "./error-breakdown.ts";
import type { ErrorBreakdown } from "./error-breakdown.ts";
import { overlapOf } from "./overlap.ts";
import { readCocoResults } from "./read-results.ts";
import { createMaskPool } from "./mask-store.ts";
import type { ReadRle } from "./mask-store.ts";
import { resolveParams } from "./params.ts";
import type { CocoParams, IouType } from "./params.ts";
import { createRegions } from "./regions.ts";
import type { CocoDetection, CocoGroundTruth } from "./regions.ts";
import { curvesOf, summarizeAccumulated, summarizeCategories } from "./summarize.ts";
import type { CocoCategoryStats, CocoStats, PrecisionRecall } from "./summarize.ts";

/** Options of the evaluation: all of `CocoParams`, and the part of the ground truth to evaluate. */
export interface EvaluateCocoOptions extends Omit<CocoParams, "categories"> {
  /** Ids of the images to evaluate. Default all. */
  readonly imageIds?: readonly CocoId[];
  /** Ids of the categories to evaluate. Default all. */
  readonly categoryIds?: readonly CocoId[];
  /** Name of the annotations in errors, usually their file's. Default "evaluateCoco: groundTruth". */
  readonly groundTruthName?: string;
}

/** The results of `evaluateCoco`. */
export interface CocoEvaluation {
  readonly stats: CocoStats;
  readonly perCategory: readonly CocoCategoryStats[];
  readonly precisionRecall: PrecisionRecall;
  /** Precision, recall and scores in pycocotools' arrays. */
  readonly accumulated: CocoAccumulated;
  /** Computes the kinds of errors and their costs; always by category. */
  errors(): ErrorBreakdown;
}

/**
 * Evaluates the entries of a COCO results file against an annotation file, as pycocotools' `loadRes` and
 * `COCOeval` do. The first entry decides what determines the detections' sizes: the box if it has one, for
 * "segm" too; else the mask, or the extent of the keypoints. Leave `bbox` out of mask results to use the
 * masks' sizes.
 *
 * @throws DatasetError naming the annotation or the index in `results`: an unknown image or category, an id
 * used twice, a score that is not a number, a negative size, a mask that doesn't fit its image, another
 * number of keypoints than of `sigmas`; ConfigError when an option is invalid.
 */
export function evaluateCoco(
  groundTruth: CocoJson,
  results: readonly CocoResult[],
  options: EvaluateCocoOptions,
): CocoEvaluation {
  if (!Array.isArray(results))
    throw new DatasetError(`evaluateCoco: results must be a list, got ${quote(results)}.`);
  const evaluation = createFileEvaluation(groundTruth, options);
  results.forEach((result: CocoResult, i) => evaluation.add(result, `evaluateCoco: results[${i}]`));
  return evaluation.finish();
}

/**
 * Runs `evaluateCoco` on the bytes of a results file, such as a Node file stream or the body of a `fetch`.
 * The file may be longer than any string: it is read piece by piece and kept in some 60 bytes per detection,
 * plus the bytes of its mask. `name` is the file's name in errors.
 *
 * @throws DatasetError as `evaluateCoco`, and when the bytes are no JSON list.
 */
export async function evaluateCocoStream(
  groundTruth: CocoJson,
  results: AsyncIterable<Uint8Array>,
  options: EvaluateCocoOptions & { readonly name?: string },
): Promise<CocoEvaluation> {
  const { name = "evaluateCocoStream: results", ...others } = options;
  const evaluation = createFileEvaluation(groundTruth, others);
  await readCocoResults(results, name, (result, i) => evaluation.add(result, `${name}[${i}]`));
  return evaluation.finish();
}

/** An evaluation that takes the entries of a results file one by one. */
export interface FileEvaluation {
  add(result: CocoResult, where: string): void;
  /** Matches all entries added. */
  accumulate(): CocoAccumulated;
  finish(): CocoEvaluation;
}

/** Rules of evaluation beyond COCO's. */
export interface FileEvaluationRules {
  /** Most detections per image that are evaluated, over all categories. */
  readonly mostPerImage?: number;
  readonly heedOf?: HeedOf;
}

interface ImageEntries {
  readonly image: CocoImage;
  readonly isEvaluated: boolean;
  readonly detections: number[];
  readonly objects: number[];
}

/**
 * Returns the options of `reviewCoco` for what pycocotools reads of annotations with `iouType`: no boxes for
 * "segm", no masks for the others. When only some images or categories are evaluated, masks are checked when
 * they are compared.
 */
export const needsOf = (iouType: IouType): CocoReviewOptions => ({
  purpose: "evaluation",
  boxes: iouType === "segm" ? "unneeded" : "needed",
  masks: iouType === "segm" ? "needed" : "unneeded",
  keypoints: iouType === "keypoints" ? "needed" : "unneeded",
});

/** Starts the evaluation that `evaluateCoco` runs. */
export function createFileEvaluation(
  groundTruth: CocoJson,
  { imageIds, categoryIds, groundTruthName = "evaluateCoco: groundTruth", ...options }: EvaluateCocoOptions,
  rules: FileEvaluationRules = {},
): FileEvaluation {
  const { images, annotations, categories } = parseCocoJson(
    groundTruth,
    groundTruthName,
    imageIds === undefined && categoryIds === undefined ?
      needsOf(options.iouType)
    : { ...needsOf(options.iouType), masks: "unneeded" },
  );
  const known = new Set(categories.map(({ id }) => id));
  const wanted = new Set(categoryIds ?? known);
  for (const id of wanted)
    if (!known.has(id))
      throw new ConfigError(
        `evaluateCoco: categoryIds must be ids of categories of the ground truth, got ${quote(id)}.`,
      );
  const wantedImages = imageIds === undefined ? undefined : new Set(imageIds);
  const byImage = new Map<CocoId, ImageEntries>(
    images.map((image) => [
      image.id,
      { image, isEvaluated: wantedImages?.has(image.id) ?? true, detections: [], objects: [] },
    ]),
  );
  for (const id of wantedImages ?? [])
    if (!byImage.has(id))
      throw new ConfigError(
        `evaluateCoco: imageIds must be ids of images of the ground truth, got ${quote(id)}.`,
      );

  const params = resolveParams({ ...options, categories: categories.filter(({ id }) => wanted.has(id)) });
  const { iouType } = params;
  const keypoints = iouType === "keypoints" ? params.sigmas.length : 0;
  const [found, truth] = [
    createEntries(createMaskPool(), keypoints),
    createEntries(createMaskPool(), keypoints),
  ];
  const core = createCore(params, found, truth, rules.heedOf);
  const regions = createRegions(params);
  const readMask = createMaskReader();

  for (const annotation of annotations) {
    const { image, isEvaluated, objects } = byImage.get(annotation.image_id)!;
    if (!isEvaluated || !wanted.has(annotation.category_id)) continue;
    const where = `${groundTruthName}: annotation ${quote(annotation.id)} of ${image.file_name}`;
    objects.push(truth.length);
    addEntry(truth, regions.object(readAnnotation(annotation, image, iouType, readMask, where), where));
  }

  // pycocotools derives all detections' sizes from what the first has.
  let sizedByBox: boolean | undefined;
  return {
    add(result, where) {
      const entry = byImage.get(result?.image_id);
      if (entry === undefined)
        throw new DatasetError(
          `${where}: image_id must be the id of an image of the ground truth, got ${quote(result?.image_id)}.`,
        );
      if (!known.has(result.category_id)) {
        throw new DatasetError(
          `${where}: category_id must be the id of a category of the ground truth, got ${quote(result.category_id)}.`,
        );
      }
      checkKeypoints(result, where);
      const bbox = result.bbox as readonly number[] | null | undefined;
      const hasBox = bbox !== undefined && bbox !== null && bbox.length !== 0;
      sizedByBox ??= hasBox;
      if (sizedByBox && !hasBox)
        throw new DatasetError(`${where}: must have a bbox, as the first entry has.`);
      const detection = readDetection(result, entry.image, iouType, sizedByBox, readMask, where);
      if (!entry.isEvaluated || !wanted.has(result.category_id)) return;
      entry.detections.push(found.length);
      addEntry(found, regions.detection(detection, where));
    },
    accumulate() {
      const { mostPerImage = Infinity } = rules;
      for (const [id, { isEvaluated, detections, objects }] of byImage) {
        if (!isEvaluated) continue;
        const best =
          detections.length > mostPerImage ?
            detections.toSorted((a, b) => found.score[b]! - found.score[a]! || a - b).slice(0, mostPerImage)
          : detections;
        core.add(id, best, objects);
      }
      return accumulateLedgers(core.ledgers, core.imageIds, params);
    },
    finish() {
      const accumulated = this.accumulate();
      return {
        stats: summarizeAccumulated(accumulated),
        perCategory: summarizeCategories(accumulated),
        precisionRecall: curvesOf(accumulated),
        accumulated,
        errors() {
          const evaluated = [...byImage].filter(([, { isEvaluated }]) => isEvaluated);
          // In the order given, as both lists have been sorted since.
          const inOrder = (entries: readonly number[]): number[] => entries.toSorted((a, b) => a - b);
          return breakErrorsDown(
            evaluated.map(([imageId, { detections, objects }]) => ({
              imageId,
              detections: inOrder(detections),
              objects: inOrder(objects),
            })),
            found,
            truth,
            overlapOf(iouType, found, truth, params.sigmas),
          );
        },
      };
    },
  };
}

type MaskReader = (
  segmentation: CocoSegmentation | undefined,
  image: CocoImage,
  where: string,
  key?: string,
) => ReadRle;

// Returns a reader of an entry's mask; its counts may be overwritten by the next call, which saves two arrays
// per mask.
function createMaskReader(): MaskReader {
  const encoder = new TextEncoder();
  let counts = new Uint32Array(0);
  let bytes = new Uint8Array(0);
  return (segmentation, image, where, key = "segmentation") => {
    if (segmentation === undefined)
      throw new DatasetError(`${where}: must have a ${key} to be evaluated, got none.`);
    const { height, width } = image;
    if (segmentation === null || !("counts" in segmentation) || typeof segmentation.counts !== "string")
      return segmentationToRle(segmentation, image, where);
    const { counts: string, size } = segmentation;
    if (string.length > counts.length) {
      counts = new Uint32Array(2 * string.length);
      bytes = new Uint8Array(3 * counts.length);
    }
    const text = bytes.subarray(0, encoder.encodeInto(string, bytes).written);
    const runs = counts.subarray(0, readCounts(text, counts, where));
    const measures = measureCounts(runs, height);
    if (size?.[0] !== height || size[1] !== width || measures.total !== height * width)
      return segmentationToRle(segmentation, image, where); // for its errors
    return { size: image, counts: runs, text, measures };
  };
}

function readAnnotation(
  annotation: CocoAnnotation,
  image: CocoImage,
  iouType: IouType,
  readMask: MaskReader,
  where: string,
): CocoGroundTruth {
  const { category_id, bbox, segmentation, area, iscrowd, keypoints, num_keypoints } = annotation;
  const common = {
    categoryId: category_id,
    isCrowd: Boolean(iscrowd),
    ...(area === undefined ? {} : { area }),
  };
  if (iouType === "bbox") return { ...common, bbox };
  if (iouType === "segm") return { ...common, mask: readMask(segmentation, image, where) };
  return {
    ...common,
    bbox,
    ...(keypoints === undefined ? {} : { keypoints }),
    ...(num_keypoints === undefined ? {} : { isIgnored: num_keypoints === 0 }),
  };
}

function readDetection(
  result: CocoResult,
  image: CocoImage,
  iouType: IouType,
  sizedByBox: boolean,
  readMask: MaskReader,
  where: string,
): CocoDetection {
  const { category_id: categoryId, score, segmentation, keypoints } = result;
  const bbox = sizedByBox ? checkBox(result.bbox!, where) : undefined;
  if (iouType === "bbox")
    return { categoryId, score, bbox: bbox ?? rleToBox(readMask(segmentation, image, where, "bbox")) };
  if (iouType === "segm") {
    const mask = readMask(segmentation, image, where);
    return bbox === undefined ?
        { categoryId, score, mask }
      : { categoryId, score, mask, area: bbox[2] * bbox[3] };
  }
  if (keypoints === undefined)
    throw new DatasetError(`${where}: must have keypoints to be evaluated, got none.`);
  return bbox === undefined ? { categoryId, score, keypoints } : { categoryId, score, keypoints, bbox };
}

function checkBox(bbox: CocoBox, where: string): CocoBox {
  if (!(
    Array.isArray(bbox) &&
    bbox.length === 4 &&
    bbox.every(Number.isFinite) &&
    bbox[2]! >= 0 &&
    bbox[3]! >= 0
  )) {
    throw new DatasetError(
      `${where}: bbox must be [x, y, width, height] with sizes >= 0, got ${quote(bbox)}.`,
    );
  }
  return bbox;
}

function checkKeypoints({ keypoints, keypoint_scores: scores }: CocoResult, where: string): void {
  if (keypoints === undefined && scores === undefined) return;
  const isNumbers = (value: unknown): value is readonly number[] =>
    Array.isArray(value) && value.every((v) => Number.isFinite(v));
  if (keypoints !== undefined && !(isNumbers(keypoints) && keypoints.length % 3 === 0)) {
    throw new DatasetError(
      `${where}: keypoints must be (x, y, visibility) of each keypoint, flat, got ${quote(keypoints)}.`,
    );
  }
  if (scores !== undefined && !(isNumbers(scores) && 3 * scores.length === keypoints?.length)) {
    throw new DatasetError(
      `${where}: keypoint_scores must hold a number for each keypoint, got ${quote(scores)} for ${(keypoints?.length ?? 0) / 3} of them.`,
    );
  }
}
