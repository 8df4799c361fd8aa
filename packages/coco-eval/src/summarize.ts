/** Summary metrics, as pycocotools' `summarize`. */
import type { CocoId } from "@mrcnn/core";
import type { CocoAccumulated } from "./accumulate.ts";

/**
 * COCO's metrics, each in [0, 1], or -1 when there is no object of that kind. For "bbox" and "segm" twelve:
 * AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm, ARl; for "keypoints" ten: AP, AP50, AP75, APm,
 * APl, AR, AR50, AR75, ARm, ARl.
 */
export interface CocoStats extends Record<string, number> {
  /** Mean AP over IoU thresholds, recalls and categories. */
  AP: number;
  AP50: number;
  AP75: number;
  /** Metrics by size of object: medium, large. */
  APm: number;
  APl: number;
  ARm: number;
  ARl: number;
}

/**
 * Metrics of one category, or without `useCategories` of all, as id -1. A metric is -1 when there is no
 * object of that kind.
 */
export interface CocoCategoryStats {
  readonly id: CocoId;
  readonly name: string;
  readonly AP: number;
  readonly AP50: number;
  readonly AP75: number;
  readonly APs: number;
  readonly APm: number;
  readonly APl: number;
  /** Recall at the last detection limit. */
  readonly AR: number;
  /** Number of objects that count (crowds do not). */
  readonly instances: number;
}

/** Precision over recall for all sizes, the mean over the categories that have objects. */
export interface PrecisionRecall {
  readonly recall: readonly number[];
  /** One curve per IoU threshold, as long as `recall`; -1 throughout when there are no objects. */
  readonly curves: readonly { readonly iouThreshold: number; readonly precision: readonly number[] }[];
}

interface Selection {
  readonly iouThreshold?: number;
  readonly category?: number;
  /** Indices of the only categories to include. */
  readonly among?: ReadonlySet<number>;
  readonly area?: string;
  /** Index among the detection limits. Default the last. */
  readonly limit?: number;
}

const ofSizes = { s: "small", m: "medium", l: "large" } as const;

export function summarizeAccumulated(accumulated: CocoAccumulated): CocoStats {
  const { iouType } = accumulated.params;
  const ap = (selection: Selection): number => meanOf(accumulated, "precision", selection);
  const ar = (selection: Selection): number => meanOf(accumulated, "recall", selection);
  const [AP, AP50, AP75] = [{}, { iouThreshold: 0.5 }, { iouThreshold: 0.75 }].map(ap) as [
    number,
    number,
    number,
  ];
  const [APs, APm, APl] = Object.values(ofSizes).map((area) => ap({ area })) as [number, number, number];
  const [ARs, ARm, ARl] = Object.values(ofSizes).map((area) => ar({ area })) as [number, number, number];
  if (iouType === "keypoints") {
    return {
      AP,
      AP50,
      AP75,
      APm,
      APl,
      AR: ar({}),
      AR50: ar({ iouThreshold: 0.5 }),
      AR75: ar({ iouThreshold: 0.75 }),
      ARm,
      ARl,
    };
  }
  return {
    AP,
    AP50,
    AP75,
    APs,
    APm,
    APl,
    AR1: ar({ limit: 0 }),
    AR10: ar({ limit: 1 }),
    AR100: ar({ limit: 2 }),
    ARs,
    ARm,
    ARl,
  };
}

export function summarizeCategories(accumulated: CocoAccumulated): CocoCategoryStats[] {
  const { params, objects } = accumulated;
  const all = params.areaRanges.findIndex((range) => range.name === "all");
  const ap = (selection: Selection): number => meanOf(accumulated, "precision", selection);
  return (params.useCategories ? params.categories : [{ id: -1, name: "all" }]).map(
    ({ id, name }, category) => ({
      id,
      name,
      AP: ap({ category }),
      AP50: ap({ category, iouThreshold: 0.5 }),
      AP75: ap({ category, iouThreshold: 0.75 }),
      APs: ap({ category, area: "small" }),
      APm: ap({ category, area: "medium" }),
      APl: ap({ category, area: "large" }),
      AR: meanOf(accumulated, "recall", { category }),
      instances: objects[category * params.areaRanges.length + all] ?? 0,
    }),
  );
}

export function curvesOf(accumulated: CocoAccumulated): PrecisionRecall {
  const { recallThresholds, iouThresholds } = accumulated.params;
  return {
    recall: recallThresholds,
    curves: iouThresholds.map((iouThreshold) => ({
      iouThreshold,
      precision: recallThresholds.map((_, r) => meanOf(accumulated, "precision", { iouThreshold }, r)),
    })),
  };
}

// Returns the mean of the selected part of precision [T, R, K, A, M] or recall [T, K, A, M], without the -1s.
export function meanOf(
  accumulated: CocoAccumulated,
  what: "precision" | "recall",
  selection: Selection,
  recallPlace?: number,
): number {
  const { iouThresholds, recallThresholds, areaRanges, maxDetections } = accumulated.params;
  const { iouThreshold, category, among, area = "all", limit = maxDetections.length - 1 } = selection;
  const values = accumulated[what];
  const [A, M] = [areaRanges.length, maxDetections.length];
  const K = accumulated.objects.length / A;
  const R = what === "precision" ? recallThresholds.length : 1;
  const a = areaRanges.findIndex((range) => range.name === area);
  if (a < 0 || limit >= M) return -1;
  let sum = 0;
  let count = 0;
  for (let t = 0; t < iouThresholds.length; t++) {
    if (iouThreshold !== undefined && iouThresholds[t] !== iouThreshold) continue;
    for (let r = recallPlace ?? 0; r < (recallPlace === undefined ? R : recallPlace + 1); r++) {
      let part = 0; // sums of sums keep rounding errors far below the tolerance of comparisons
      for (let k = category ?? 0; k < (category === undefined ? K : category + 1); k++) {
        if (among !== undefined && !among.has(k)) continue;
        const value = values[(((t * R + r) * K + k) * A + a) * M + limit]!;
        if (value < 0) continue;
        part += value;
        count++;
      }
      sum += part;
    }
  }
  return count === 0 ? -1 : sum / count;
}
