/** Parameters of the evaluation, as pycocotools' `Params`. */
import { compareIds, ConfigError, quote } from "@mrcnn/core";
import type { CocoId } from "@mrcnn/core";

/** A range of object sizes: areas from `min` to `max` in pixels, both included. */
export interface AreaRange {
  readonly name: string;
  readonly min: number;
  readonly max: number;
}

/** COCO's size ranges: small up to 32², medium up to 96², large above; a limit belongs to both ranges. */
export const COCO_AREA_RANGES: readonly AreaRange[] = [
  { name: "all", min: 0, max: 1e10 },
  { name: "small", min: 0, max: 32 ** 2 },
  { name: "medium", min: 32 ** 2, max: 96 ** 2 },
  { name: "large", min: 96 ** 2, max: 1e10 },
];

/**
 * Tolerance of each of a person's 17 keypoints, relative to the square root of the person's area: COCO's,
 * nose to ankles.
 */
export const COCO_KEYPOINT_SIGMAS: readonly number[] = [
  0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89,
].map((tenths) => tenths / 10);

/** What is compared: overlap of boxes, overlap of masks, or similarity of keypoints (OKS). */
export type IouType = "bbox" | "segm" | "keypoints";

/** Parameters of the evaluation, pycocotools' `Params` with its defaults. */
export interface CocoParams {
  readonly iouType: IouType;
  /** The evaluated categories; entries of other categories are an error. */
  readonly categories: readonly { readonly id: CocoId; readonly name: string }[];
  /**
   * Limits on detections per image and category, ascending. AR1, AR10 and AR100 are those of the first,
   * second and third limit. Unlike pycocotools, which looks for the value 100 (or 20), AP uses the last.
   * Default [1, 10, 100], for keypoints [20].
   */
  readonly maxDetections?: readonly number[];
  /** Overlaps from which a detection matches. Default 0.5, 0.55, ..., 0.95. */
  readonly iouThresholds?: readonly number[];
  /** Recalls at which precision is sampled, ascending. Default 0, 0.01, ..., 1. */
  readonly recallThresholds?: readonly number[];
  /**
   * Size ranges; the summary looks for the names all, small, medium and large. Default COCO's, for keypoints
   * without small.
   */
  readonly areaRanges?: readonly AreaRange[];
  /**
   * Whether detections match only objects of their category; false treats all as one category (pycocotools'
   * `useCats = 0`). Default true.
   */
  readonly useCategories?: boolean;
  /** Tolerance of each keypoint. Default COCO's 17. */
  readonly sigmas?: readonly number[];
}

export type ResolvedParams = Required<CocoParams>;

// As numpy.linspace, so that the thresholds are the same doubles.
function linspace(from: number, to: number, count: number): number[] {
  const step = (to - from) / (count - 1);
  return Array.from({ length: count }, (_, i) => (i === count - 1 ? to : i * step + from));
}

export function resolveParams(params: CocoParams): ResolvedParams {
  const ofKeypoints = params.iouType === "keypoints";
  const {
    iouType,
    maxDetections = ofKeypoints ? [20] : [1, 10, 100],
    iouThresholds = linspace(0.5, 0.95, 10),
    recallThresholds = linspace(0, 1, 101),
    areaRanges = COCO_AREA_RANGES.filter(({ name }) => !(ofKeypoints && name === "small")),
    useCategories = true,
    sigmas = COCO_KEYPOINT_SIGMAS,
  } = params;
  const fail = (argument: string, wanted: string, got: unknown): never => {
    throw new ConfigError(`createCocoEvaluator: ${argument} must be ${wanted}, got ${quote(got)}.`);
  };
  const ascends = (values: readonly number[]): boolean =>
    values.every((v, i) => i === 0 || v > values[i - 1]!);
  if (iouType !== "bbox" && iouType !== "segm" && iouType !== "keypoints")
    fail("iouType", '"bbox", "segm" or "keypoints"', iouType);
  if (
    maxDetections.length === 0 ||
    !maxDetections.every((n) => Number.isInteger(n) && n > 0) ||
    !ascends(maxDetections)
  ) {
    fail("maxDetections", "one or more whole numbers above 0, ascending", maxDetections);
  }
  if (iouThresholds.length === 0 || !iouThresholds.every((t) => t > 0 && t <= 1)) {
    fail("iouThresholds", "one or more numbers in (0, 1]", iouThresholds);
  }
  if (recallThresholds.length === 0 || !ascends(recallThresholds))
    fail("recallThresholds", "one or more numbers, ascending", recallThresholds);
  if (areaRanges.length === 0 || !areaRanges.every(({ min, max }) => min <= max))
    fail("areaRanges", "one or more, min <= max", areaRanges);
  if (sigmas.length === 0 || !sigmas.every((sigma) => sigma > 0))
    fail("sigmas", "one or more numbers above 0", sigmas);
  const ids = new Set(params.categories.map((c) => c.id));
  if (ids.size !== params.categories.length)
    fail(
      "categories",
      "of unique ids",
      params.categories.map((c) => c.id),
    );
  // Categories are ordered by id, as in pycocotools.
  const categories = params.categories.toSorted((a, b) => compareIds(a.id, b.id));
  return {
    iouType,
    categories,
    maxDetections,
    iouThresholds,
    recallThresholds,
    areaRanges,
    useCategories,
    sigmas,
  };
}
