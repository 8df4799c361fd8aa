/** Average precision of PASCAL VOC, as py-faster-rcnn's `voc_eval`, which detectron2 has too. */
import { ConfigError, DatasetError } from "@mrcnn/core";

/**
 * A box (xmin, ymin, xmax, ymax) in PASCAL VOC's pixels: both corner pixels belong to it, so it is
 * xmax - xmin + 1 wide.
 */
export type VocBox = readonly [xmin: number, ymin: number, xmax: number, ymax: number];

/** An image with its objects and detections; categories are given by name. */
export interface VocImage {
  readonly objects: readonly {
    readonly category: string;
    readonly box: VocBox;
    readonly isDifficult?: boolean;
  }[];
  readonly detections: readonly { readonly category: string; readonly score: number; readonly box: VocBox }[];
}

/** Options of the evaluation. */
export interface EvaluateVocOptions {
  /** Overlap that a detection must exceed. Default 0.5. */
  readonly iouThreshold?: number;
  /** The area under the curve, as from 2010 on, or the mean of 11 points, as in 2007. Default "area". */
  readonly metric?: "area" | "11-point";
}

/** Metrics of one category. */
export interface VocCategory {
  readonly category: string;
  /** AP, or -1 without objects that count. */
  readonly AP: number;
  /** Number of objects that count; difficult ones do not. */
  readonly objects: number;
  /** Precision after each detection, best first; `recall` likewise. */
  readonly precision: readonly number[];
  readonly recall: readonly number[];
}

/** PASCAL VOC's metrics. */
export interface VocEvaluation {
  /** Mean AP of the categories that have objects, or -1. */
  readonly mAP: number;
  /** Metrics of each category, ordered by name. */
  readonly perCategory: readonly VocCategory[];
}

/**
 * Computes PASCAL VOC's average precision with the arithmetic of the devkit's Python version
 * (py-faster-rcnn's `voc_eval`, which detectron2 has too): each detection, best first, is assigned to the
 * object that it overlaps most, which counts once; detections assigned to a difficult object are ignored.
 * Equal scores rank in the order given (unspecified in `voc_eval`).
 *
 * @throws DatasetError naming the image's index and the entry; ConfigError when an option is invalid.
 */
export function evaluateVoc(images: Iterable<VocImage>, options: EvaluateVocOptions = {}): VocEvaluation {
  const { iouThreshold = 0.5, metric = "area" } = options;
  if (!(iouThreshold >= 0 && iouThreshold < 1))
    throw new ConfigError(`evaluateVoc: iouThreshold must be in [0, 1), got ${iouThreshold}.`);
  if (metric !== "area" && metric !== "11-point")
    throw new ConfigError(`evaluateVoc: metric must be "area" or "11-point", got ${JSON.stringify(metric)}.`);
  const byCategory = new Map<string, { found: Found[]; objects: number }>();
  const of = (category: string): { found: Found[]; objects: number } => {
    const known = byCategory.get(category) ?? { found: [], objects: 0 };
    byCategory.set(category, known);
    return known;
  };
  let place = 0;
  for (const { objects, detections } of images) {
    const where = `evaluateVoc: images[${place++}]`;
    objects.forEach(({ category, box, isDifficult = false }, i) => {
      checkBox(box, `${where}: objects[${i}]`);
      if (!isDifficult) of(category).objects++;
    });
    const taken = objects.map(() => ({ isTaken: false }));
    detections.forEach(({ category, score, box }, i) => {
      if (!Number.isFinite(score))
        throw new DatasetError(`${where}: detections[${i}]: score must be a finite number, got ${score}.`);
      checkBox(box, `${where}: detections[${i}]`);
      let most = -Infinity;
      let best = -1;
      objects.forEach((object, g) => {
        if (object.category !== category) return;
        const overlap = overlapOf(box, object.box);
        if (overlap > most) [most, best] = [overlap, g];
      });
      const object = most > iouThreshold ? objects[best]! : undefined;
      of(category).found.push({
        score,
        isDifficult: object?.isDifficult ?? false,
        ...(object === undefined ? {} : { object: taken[best]! }),
      });
    });
  }

  const perCategory = [...byCategory.keys()].toSorted().map((category): VocCategory => {
    const { found, objects } = byCategory.get(category)!;
    const precision: number[] = [];
    const recall: number[] = [];
    let right = 0;
    let wrong = 0;
    for (const { object, isDifficult } of found.toSorted((a, b) => b.score - a.score)) {
      if (object === undefined) wrong++;
      else if (!isDifficult) {
        if (object.isTaken) wrong++;
        else right++;
        object.isTaken = true;
      }
      precision.push(right / Math.max(right + wrong, Number.EPSILON));
      recall.push(right / objects);
    }
    return {
      category,
      AP: objects === 0 ? -1 : average(recall, precision, metric),
      objects,
      precision,
      recall: objects === 0 ? recall.map(() => -1) : recall,
    };
  });
  const counted = perCategory.filter(({ AP }) => AP >= 0);
  return {
    mAP: counted.length === 0 ? -1 : counted.reduce((sum, { AP }) => sum + AP, 0) / counted.length,
    perCategory,
  };
}

interface Found {
  readonly score: number;
  /** The object that the detection is assigned to. */
  readonly object?: { isTaken: boolean };
  readonly isDifficult: boolean;
}

function average(
  recall: readonly number[],
  precision: readonly number[],
  metric: "area" | "11-point",
): number {
  // The highest precision at each or any higher recall.
  const envelope = [...precision];
  for (let i = envelope.length - 2; i >= 0; i--) envelope[i] = Math.max(envelope[i]!, envelope[i + 1]!);
  let sum = 0;
  if (metric === "11-point") {
    for (let tenths = 0; tenths <= 10; tenths++) {
      const at = recall.findIndex((value) => value >= tenths * 0.1);
      sum += (at < 0 ? 0 : envelope[at]!) / 11;
    }
    return sum;
  }
  for (let i = 0; i < recall.length; i++) sum += (recall[i]! - (recall[i - 1] ?? 0)) * envelope[i]!;
  return sum;
}

function overlapOf(a: VocBox, b: VocBox): number {
  const width = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]) + 1);
  const height = Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]) + 1);
  const both = width * height;
  return both / ((a[2] - a[0] + 1) * (a[3] - a[1] + 1) + (b[2] - b[0] + 1) * (b[3] - b[1] + 1) - both);
}

function checkBox(box: VocBox, where: string): void {
  if (!(box.length === 4 && box.every(Number.isFinite) && box[2] >= box[0] && box[3] >= box[1])) {
    throw new DatasetError(
      `${where}: box must be [xmin, ymin, xmax, ymax], the second corner not before the first, got ${JSON.stringify(box)}.`,
    );
  }
}
