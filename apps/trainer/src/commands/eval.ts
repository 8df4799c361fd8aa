import { createReadStream, existsSync } from "node:fs";
import { COCO_KEYPOINT_SIGMAS, evaluateCocoStream } from "@mrcnn/coco-eval";
import type { IouType } from "@mrcnn/coco-eval";
import { ConfigError } from "@mrcnn/core";
import { cocoDatasetFromFiles, readCocoAnnotations } from "@mrcnn/datasets/node";
import { apTable } from "../ap-table.ts";
import { chooseBackend } from "../backend.ts";
import type { BackendOptions } from "../backend.ts";
import { detectAll } from "../detection.ts";
import { CommandError, UsageError } from "../errors.ts";
import { categoriesIn, evaluationOptions, scoreResults, scoresOf } from "../evaluation.ts";
import { writeWhole } from "../files.ts";
import { INTERRUPTED, onInterrupt } from "../interrupt.ts";
import { loadModel } from "../model-source.ts";
import { createProgress } from "../progress.ts";
import { assertClassesKnown } from "../run-directory.ts";
import type { Scores } from "../scores.ts";
import type { Terminal } from "../terminal.ts";

export interface EvalOptions extends BackendOptions {
  readonly model?: string;
  readonly weights?: string;
  readonly cache?: string;
  readonly offline?: boolean;
  readonly redownload?: boolean;
  readonly images?: string;
  readonly annotations: string;
  readonly results?: string;
  readonly iouType?: IouType;
  readonly scoreThreshold?: number;
  readonly maxDetections?: number;
  readonly minSize?: number;
  readonly maxSize?: number;
  readonly json?: string;
}

/** `mrcnn eval`. @returns the exit code. */
export async function evaluate(options: EvalOptions, terminal: Terminal): Promise<number> {
  const scores = options.model === undefined ? await ofResults(options) : await ofModel(options, options.model, terminal);
  if (scores === undefined) return INTERRUPTED;
  if (options.json !== undefined) writeWhole(options.json, `${JSON.stringify(scores, null, 2)}\n`);
  terminal.out(apTable(scores, { maxDetections: options.maxDetections }));
  return 0;
}

async function ofResults({ results, iouType, annotations, images, weights, maxDetections }: EvalOptions): Promise<Scores> {
  if (results === undefined) throw new UsageError("eval needs --model M --images DIR (to run a model), or --results FILE --iou-type TYPE (to evaluate a results file).");
  if (images !== undefined || weights !== undefined) throw new UsageError("--images and --weights go with --model. Add --model, or leave them out.");
  if (iouType === undefined) throw new UsageError("--results needs --iou-type bbox, segm or keypoints.");
  if (maxDetections !== undefined && maxDetections <= 10) throw new UsageError("--max-detections must be above 10 when a results file is evaluated: AR10 needs ten.");
  if (!existsSync(results)) throw new CommandError(`The results file ${results} does not exist. Check the path.`);
  const groundTruth = await readCocoAnnotations(annotations, { emptyBoxes: "keep" });
  // Of any length: it is read piece by piece.
  const file = createReadStream(results, { highWaterMark: 2 ** 20 });
  const options = { ...evaluationOptions(groundTruth, iouType, maxDetections), name: results };
  return { [iouType]: scoresOf(await evaluateCocoStream(groundTruth, file, options)) };
}

async function ofModel(options: EvalOptions, name: string, terminal: Terminal): Promise<Scores | undefined> {
  const { images, annotations, results: resultsFile, iouType, json } = options;
  if (images === undefined) throw new UsageError("--model needs --images DIR.");
  for (const file of [json, resultsFile]) if (file !== undefined && existsSync(file) && file === annotations) throw new UsageError(`${file} would overwrite the annotations.`);
  const groundTruth = await readCocoAnnotations(annotations);
  const dataset = await cocoDatasetFromFiles({ images, annotations });

  await chooseBackend(options, terminal);
  const { model, categories, settings } = await loadModel(name, options, terminal);
  const interrupt = onInterrupt(terminal, "Stopping; nothing is written.");
  try {
    assertClassesKnown(groundTruth.categories.map((category) => category.name), categories.map((category) => category.name), annotations);
    const withMasks = model.config.mask && dataset.hasMasks;
    const withKeypoints = model.config.keypoints.length === COCO_KEYPOINT_SIGMAS.length && groundTruth.annotations.some(({ keypoints }) => keypoints !== undefined);
    if (iouType === "keypoints" && !withKeypoints) {
      const reason = model.config.keypoints.length === 0 ? `the model ${name} has no keypoints` : `${annotations} has no keypoints, or the model ${name} other than COCO's 17`;
      throw new ConfigError(`--iou-type keypoints: ${reason}.`);
    }
    if (iouType === "segm" && !withMasks) throw new ConfigError(`--iou-type segm: ${model.config.mask ? annotations : `the model ${name}`} has no masks.`);
    const { scoreThreshold, maxDetections, minSize, maxSize } = { ...settings, ...given(options) };
    const nativeSize = settings.nativeSize === true && options.minSize === undefined && options.maxSize === undefined;
    const progress = createProgress(terminal, { label: "eval", unit: "images", total: dataset.length });
    const results = await detectAll(model, dataset, {
      settings: { scoreThreshold, maxDetections, minSize, maxSize, nativeSize },
      categories: categoriesIn(groundTruth.categories, categories),
      interrupt,
      onImage: (done) => progress.update(done),
    }).finally(() => progress.stop());
    if (results === undefined) return undefined;
    const scores = scoreResults(groundTruth, results, { masks: withMasks, keypoints: withKeypoints, maxDetections });
    if (resultsFile !== undefined) writeWhole(resultsFile, JSON.stringify(results));
    return iouType === undefined ? scores : { [iouType]: scores[iouType]! };
  } finally {
    interrupt.release();
    model.dispose();
  }
}

const given = <T extends object>(options: T): Partial<T> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
