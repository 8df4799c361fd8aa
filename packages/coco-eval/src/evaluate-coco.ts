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

/** How results are compared: all of `CocoParams`, and on which part of the ground truth. */
export interface EvaluateCocoOptions extends Omit<CocoParams, "categories"> {
  /** Only these images; by default all. */
  readonly imageIds?: readonly CocoId[];
  /** Only these categories; by default all. */
  readonly categoryIds?: readonly CocoId[];
  /** What errors call the annotations: usually their file. Default "evaluateCoco: groundTruth". */
  readonly groundTruthName?: string;
}

/** All that `evaluateCoco` finds. */
export interface CocoEvaluation {
  readonly stats: CocoStats;
  readonly perCategory: readonly CocoCategoryStats[];
  readonly precisionRecall: PrecisionRecall;
  /** Precision, recall and scores in pycocotools' arrays. */
  readonly accumulated: CocoAccumulated;
  /** What kinds of errors there are and what they cost, worked out when asked for; categories always count. */
  errors(): ErrorBreakdown;
}

/**
 * Scores the entries of a COCO results file against an annotation file, as pycocotools' `loadRes` and
 * `COCOeval` do. The first entry says what gives detections their size: their box if it has one, by "segm" too;
 * else their mask, or the span of their keypoints. Leave `bbox` out of mask results to have sizes go by the mask.
 *
 * @throws DatasetError naming the annotation or the place in `results`: an unknown image or category,
 * an id used twice, a score that is not a number, a negative size, a mask that doesn't fit its image, keypoints
 * that are not as many as `sigmas`; ConfigError when an option can't be meant.
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
 * `evaluateCoco` on the bytes of a results file, which may be longer than any string: they are read piece by
 * piece and kept in some 60 bytes per detection, and its mask in bytes. A Node file stream and the body of a
 * `fetch` are such bytes; `name` is the file's in errors.
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

/** Takes the entries of a results file one by one. */
export interface FileEvaluation {
  add(result: CocoResult, where: string): void;
  /** Matches all that was added. */
  accumulate(): CocoAccumulated;
  finish(): CocoEvaluation;
}

/** What is evaluated of an image, beyond COCO. */
export interface FileEvaluationRules {
  /** Detections that are looked at per image, whatever their categories. */
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
 * What pycocotools reads of annotations when it compares by `iouType`, for `reviewCoco`: by "segm" no box, by the others no mask.
 * Of a part of the images or categories, masks are looked at when they are compared.
 */
export const needsOf = (iouType: IouType): CocoReviewOptions => ({
  purpose: "evaluation",
  boxes: iouType === "segm" ? "unneeded" : "needed",
  masks: iouType === "segm" ? "needed" : "unneeded",
  keypoints: iouType === "keypoints" ? "needed" : "unneeded",
});

/** The work behind `evaluateCoco`. */
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

  // pycocotools takes all detections' sizes from what the first has.
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
          // As they were given: both lists have been sorted since.
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

// The mask of an entry; its counts may be overwritten by the next call, which saves two arrays per mask.
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
      return segmentationToRle(segmentation, image, where); // says what is wrong
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
