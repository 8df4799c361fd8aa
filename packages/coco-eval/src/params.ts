import { ConfigError } from "@mrcnn/core";

/** Objects of some size: areas from `min` to `max`, both included, in pixels. */
export interface AreaRange {
  readonly name: string;
  readonly min: number;
  readonly max: number;
}

/** COCO's sizes: small up to 32², medium up to 96², large above; a limit belongs to both its sides. */
export const COCO_AREA_RANGES: readonly AreaRange[] = [
  { name: "all", min: 0, max: 1e10 },
  { name: "small", min: 0, max: 32 ** 2 },
  { name: "medium", min: 32 ** 2, max: 96 ** 2 },
  { name: "large", min: 96 ** 2, max: 1e10 },
];

/** What is evaluated and how; pycocotools' `Params`, with its defaults. */
export interface CocoParams {
  /** Overlap of boxes or of masks. */
  readonly iouType: "bbox" | "segm";
  /** What is evaluated; detections of other categories are an error. */
  readonly categories: readonly { readonly id: number; readonly name: string }[];
  /**
   * Three limits on detections per image and category, ascending; [1, 10, 100] by default. AR1, AR10
   * and AR100 are named by place. Unlike pycocotools, which looks for 100 by value, AP goes by the last.
   */
  readonly maxDetections?: readonly number[];
  /** 0.5, 0.55, ..., 0.95 by default. */
  readonly iouThresholds?: readonly number[];
  /** Where precision is read, ascending; 0, 0.01, ..., 1 by default. */
  readonly recallThresholds?: readonly number[];
  /** COCO's four by default; the summary looks for the names all, small, medium and large. */
  readonly areaRanges?: readonly AreaRange[];
}

export type ResolvedParams = Required<CocoParams>;

// numpy.linspace, so that the thresholds are the same doubles.
function linspace(from: number, to: number, count: number): number[] {
  const step = (to - from) / (count - 1);
  return Array.from({ length: count }, (_, i) => (i === count - 1 ? to : i * step + from));
}

export function resolveParams(params: CocoParams): ResolvedParams {
  const {
    iouType,
    maxDetections = [1, 10, 100],
    iouThresholds = linspace(0.5, 0.95, 10),
    recallThresholds = linspace(0, 1, 101),
    areaRanges = COCO_AREA_RANGES,
  } = params;
  const fail = (argument: string, wanted: string, got: unknown): never => {
    throw new ConfigError(`createCocoEvaluator: ${argument} must be ${wanted}, got ${JSON.stringify(got)}.`);
  };
  const ascends = (values: readonly number[]): boolean => values.every((v, i) => i === 0 || v > values[i - 1]!);
  if (iouType !== "bbox" && iouType !== "segm") fail("iouType", '"bbox" or "segm"', iouType);
  if (maxDetections.length !== 3 || !maxDetections.every((n) => Number.isInteger(n) && n > 0) || !ascends(maxDetections)) {
    fail("maxDetections", "three whole numbers above 0, ascending", maxDetections);
  }
  if (iouThresholds.length === 0 || !iouThresholds.every((t) => t > 0 && t <= 1)) {
    fail("iouThresholds", "one or more numbers in (0, 1]", iouThresholds);
  }
  if (recallThresholds.length === 0 || !ascends(recallThresholds)) fail("recallThresholds", "one or more numbers, ascending", recallThresholds);
  const ids = new Set(params.categories.map((c) => c.id));
  if (ids.size !== params.categories.length) fail("categories", "of unique ids", params.categories.map((c) => c.id));
  // As in pycocotools, categories go by id.
  const categories = params.categories.toSorted((a, b) => a.id - b.id);
  return { iouType, categories, maxDetections, iouThresholds, recallThresholds, areaRanges };
}
