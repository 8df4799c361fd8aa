/** Evaluates a model on a data set during and after training. */
import type { CocoId, Dataset } from "@mrcnn/core";
import { evaluateCoco } from "@mrcnn/coco-eval";
import type { CocoEvaluation, EvaluateCocoOptions, IouType } from "@mrcnn/coco-eval";
import type { CocoJson, CocoResult } from "@mrcnn/masks";
import type { MaskRcnn } from "@mrcnn/model";
import type { Category, OpenSource } from "./data-source.ts";
import { detectAll } from "./detection.ts";
import type { DetectionSettings } from "./detection.ts";
import type { Interrupt } from "./interrupt.ts";
import type { EvaluationLine } from "./run-log.ts";
import type { Scores } from "./scores.ts";

/** What is evaluated. */
export interface EvaluateOptions {
  /** The file of the ground truth, for errors. */
  readonly name: string;
  readonly maxDetections?: number | undefined;
}

/**
 * How results of one IoU type are evaluated. A `maxDetections` above 10 replaces the limit of 100; keypoints
 * keep COCO's 20, and are compared in those categories whose objects have some.
 */
export function evaluationOptions(
  groundTruth: CocoJson,
  iouType: IouType,
  { name, maxDetections = 100 }: EvaluateOptions,
): EvaluateCocoOptions {
  const groundTruthName = name;
  if (iouType !== "keypoints")
    return {
      iouType,
      groundTruthName,
      ...(maxDetections > 10 ? { maxDetections: [1, 10, maxDetections] } : {}),
    };
  const marked = new Set(
    groundTruth.annotations.flatMap(({ keypoints, category_id }) =>
      keypoints === undefined ? [] : [category_id],
    ),
  );
  return {
    iouType,
    groundTruthName,
    categoryIds: marked.size > 0 ? [...marked] : groundTruth.categories.map(({ id }) => id),
  };
}

/** What was found, by IoU type. */
export type Evaluations = Partial<Readonly<Record<IouType, CocoEvaluation>>>;

/** The numbers of evaluations. */
export const scoresOf = (evaluations: Evaluations): Scores =>
  Object.fromEntries(
    Object.entries(evaluations).map(([type, { stats, perCategory }]) => [type, { stats, perCategory }]),
  );

/** Evaluates results by the types given. @throws DatasetError for results that don't fit the ground truth. */
export function evaluateResults(
  groundTruth: CocoJson,
  results: readonly CocoResult[],
  types: readonly IouType[],
  options: EvaluateOptions,
): Evaluations {
  return Object.fromEntries(
    types.map((type) => [
      type,
      evaluateCoco(groundTruth, results, evaluationOptions(groundTruth, type, options)),
    ]),
  );
}

/**
 * The ids that `annotations` gives the model's classes, by name, in the order of the labels; undefined where
 * it has no such category.
 */
export function categoriesIn(
  annotations: readonly Category[],
  classes: readonly Category[],
): (CocoId | undefined)[] {
  const idOf = new Map(annotations.map(({ id, name }) => [name, id]));
  return classes.map(({ name }) => idOf.get(name));
}

export interface EvaluateModelOptions {
  readonly settings: DetectionSettings;
  readonly limit?: number | undefined;
  readonly interrupt: Interrupt;
  readonly step: number;
}

/** Evaluates a model on a data source: a line of eval.jsonl, or undefined when stopped by the signal. */
export async function evaluateModel(
  model: MaskRcnn,
  source: OpenSource,
  classes: readonly Category[],
  options: EvaluateModelOptions,
): Promise<EvaluationLine | undefined> {
  const { settings, limit, interrupt, step } = options;
  const start = performance.now();
  const dataset: Dataset = source.dataset;
  const results = await detectAll(model, dataset, {
    settings,
    categoryIds: categoriesIn(source.categories, classes),
    limit,
    interrupt,
  });
  if (results === undefined) return undefined;
  const groundTruth = await source.annotations(limit);
  const scores = scoresOf(
    evaluateResults(groundTruth, results, model.config.mask ? ["bbox", "segm"] : ["bbox"], {
      name: source.name,
      maxDetections: settings.maxDetections,
    }),
  );
  return { step, images: groundTruth.images.length, seconds: (performance.now() - start) / 1000, ...scores };
}

/** "mask AP 0.371, AP50 0.664; box AP 0.402, AP50 0.731". */
export function headline({ bbox, segm }: Scores): string {
  const one = (name: string, scores: Scores["bbox"]): string[] =>
    scores === undefined ?
      []
    : [`${name} AP ${scores.stats.AP.toFixed(3)}, AP50 ${scores.stats.AP50.toFixed(3)}`];
  return [...one("mask", segm), ...one("box", bbox)].join("; ");
}
