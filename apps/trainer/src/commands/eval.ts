/** `mrcnn eval`: average precision of a model, or of results that are there already. */
import { createReadStream } from "node:fs";
import { COCO_KEYPOINT_SIGMAS, evaluateCocoStream, needsOf, readCocoResults } from "@mrcnn/coco-eval";
import type { IouType } from "@mrcnn/coco-eval";
import { ConfigError, quote, toJson } from "@mrcnn/core";
import { cocoDatasetFromFiles, readCocoValue, whyNoFile } from "@mrcnn/datasets/node";
import { errorOf, reviewCoco } from "@mrcnn/masks";
import type { CocoJson, CocoResult, CocoReviewOptions } from "@mrcnn/masks";
import { apTable } from "../ap-table.ts";
import { chooseBackend } from "../backend.ts";
import type { BackendOptions } from "../backend.ts";
import { noteLines } from "../data-source.ts";
import type { Category } from "../data-source.ts";
import { detectAll } from "../detection.ts";
import { CommandError, inOptions, messageOf, UsageError } from "../errors.ts";
import { categoriesIn, evaluateResults, evaluationOptions, scoresOf } from "../evaluation.ts";
import type { Evaluations } from "../evaluation.ts";
import { evaluationReport } from "../evaluation-report.ts";
import type { EvaluationReportInput } from "../evaluation-report.ts";
import { INTERRUPTED, onInterrupt } from "../interrupt.ts";
import { assertSettable } from "../model-options.ts";
import type { ModelOptions } from "../model-options.ts";
import { loadModel } from "../model-source.ts";
import { openOutputs } from "../outputs.ts";
import type { Outputs } from "../outputs.ts";
import { createProgress } from "../progress.ts";
import { assertClassesKnown } from "../run-directory.ts";
import type { Terminal } from "../terminal.ts";

export interface EvalOptions extends BackendOptions, ModelOptions {
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
  /** Whether the images that can be read are scored when some can't. */
  readonly skipUnreadable: boolean;
  readonly orientation?: "stored" | "exif";
  readonly json?: string;
  readonly html?: string;
}

/** What was evaluated, and where pictures of it come from. */
interface Outcome extends Pick<EvaluationReportInput, "dataset" | "resultsOf"> {
  readonly evaluations: Evaluations;
  /** What is odd about the annotations. */
  readonly notes: readonly string[];
  /** The detections, in COCO results format. */
  readonly results: () => string;
}

/** `mrcnn eval`. @returns the exit code. */
export async function evaluate(options: EvalOptions, given: Terminal): Promise<number> {
  const { model, weights, results, annotations, json, html, maxDetections } = options;
  const written = { "--results": model === undefined ? undefined : results, "--json": json, "--html": html };
  const outputs = openOutputs(written, {
    terminal: given,
    inputs: [annotations, model, weights, ...(model === undefined ? [results] : [])],
  });
  const { terminal } = outputs;
  const outcome = model === undefined ? await ofResults(options) : await ofModel(options, model, outputs);
  if (typeof outcome === "number") return outcome;
  const scores = scoresOf(outcome.evaluations);
  // Hours may have gone into them: they are seen whether they can be written or not.
  terminal.out(apTable(scores, { maxDetections }));
  for (const line of outcome.notes) terminal.note(line);
  await outputs.write({
    "--results": outcome.results,
    "--json": () => `${toJson(scores, { indent: 2 })}\n`,
    "--html": () => evaluationReport({ subtitle: `${model ?? results} on ${annotations}`, ...outcome }),
  });
  return 0;
}

async function ofResults(options: EvalOptions): Promise<Outcome> {
  const { results, iouType, annotations, images, weights, maxDetections, html } = options;
  if (results === undefined)
    throw new UsageError(
      "eval needs --model M --images DIR (to run a model), or --results FILE --iou-type TYPE (to evaluate a results file).",
    );
  if (options.orientation !== undefined)
    throw new UsageError("--orientation goes with --model. Add --model, or leave it out.");
  if (weights !== undefined)
    throw new UsageError("--weights goes with --model. Add --model, or leave it out.");
  for (const name of ["classes", "config", "set"] as const) {
    if ((options[name]?.length ?? 0) > 0)
      throw new UsageError(`--${name} goes with --model. Add --model, or leave it out.`);
  }
  if (images !== undefined && html === undefined)
    throw new UsageError(
      "--images goes with --model, or with --html for its pictures. Add one of them, or leave it out.",
    );
  if (iouType === undefined) throw new UsageError("--results needs --iou-type bbox, segm or keypoints.");
  if (maxDetections !== undefined && maxDetections <= 10)
    throw new UsageError(
      "--max-detections must be above 10 when a results file is evaluated: AR10 needs ten.",
    );
  const noFile = whyNoFile(results);
  if (noFile !== undefined) throw new CommandError(`The results file ${results}${noFile.replace(/^it/, "")}`);
  const { groundTruth, notes } = await openGroundTruth(annotations, iouType);
  const dataset =
    images === undefined ? undefined : (
      await cocoDatasetFromFiles({ images, annotations, ...rulesFor(iouType) })
    );
  // A file of any length: it is read in pieces, and once more for the pictures.
  const bytes = (): AsyncIterable<Uint8Array> => createReadStream(results, { highWaterMark: 2 ** 20 });
  const evaluation = await evaluateCocoStream(groundTruth, bytes(), {
    ...evaluationOptions(groundTruth, iouType, { name: annotations, maxDetections }),
    name: results,
  });
  return {
    evaluations: { [iouType]: evaluation },
    notes,
    results: () => "", // it was read, not made
    dataset,
    async resultsOf(imageIds) {
      const found: CocoResult[] = [];
      await readCocoResults(bytes(), results, (one) => void (imageIds.has(one.image_id) && found.push(one)));
      return found;
    },
  };
}

// The exit code when nothing is scored.
async function ofModel(
  options: EvalOptions,
  name: string,
  { terminal, to, write }: Outputs<"--results">,
): Promise<Outcome | number> {
  const { images, annotations, iouType, skipUnreadable, orientation } = options;
  if (images === undefined) throw new UsageError("--model needs --images DIR.");
  const dataset = await cocoDatasetFromFiles({
    images,
    annotations,
    ...rulesFor(iouType),
    ...(orientation === undefined ? {} : { orientation }),
    pictures: skipUnreadable ? "later" : "checked",
  });
  const groundTruth = dataset.json;

  assertSettable(options.set);
  await chooseBackend(options, terminal);
  const { model, categories, settings } = await loadModel(name, options, terminal);
  const interrupt = onInterrupt(terminal, "Stopping; nothing is written.");
  try {
    const empty = new Set(dataset.emptyCategories);
    assertNamesDiffer(groundTruth.categories, annotations);
    assertClassesKnown(
      groundTruth.categories.filter(({ id }) => !empty.has(id)).map((category) => category.name),
      categories.map((category) => category.name),
      annotations,
    );
    const withMasks = model.config.mask && dataset.hasMasks;
    const withKeypoints =
      model.config.keypoints.length === COCO_KEYPOINT_SIGMAS.length &&
      groundTruth.annotations.some(({ keypoints }) => keypoints !== undefined);
    if (iouType === "keypoints" && !withKeypoints) {
      const reason =
        model.config.keypoints.length === 0 ?
          `the model ${name} has no keypoints`
        : `${annotations} has no keypoints, or the model ${name} other than COCO's 17`;
      throw new ConfigError(`--iou-type keypoints: ${reason}.`);
    }
    if (iouType === "segm" && !withMasks)
      throw new ConfigError(
        `--iou-type segm: the model ${name} has no masks. It finds boxes: evaluate those with --iou-type bbox.`,
      );
    const { scoreThreshold, maxDetections, minSize, maxSize } = { ...settings, ...given(options) };
    const nativeSize =
      settings.nativeSize === true && options.minSize === undefined && options.maxSize === undefined;
    const progress = createProgress(terminal, { label: "eval", unit: "images", total: dataset.length });
    const unreadable = new Set<unknown>();
    const results = await detectAll(model, dataset, {
      settings: { scoreThreshold, maxDetections, minSize, maxSize, nativeSize },
      categoryIds: categoriesIn(groundTruth.categories, categories),
      interrupt,
      onImage: (done) => progress.update(done),
      onUnreadable(index, error) {
        unreadable.add(dataset.imageInfo[index]!.id);
        progress.note(`error: ${inOptions(messageOf(error))}`);
      },
    }).finally(() => progress.stop());
    if (results === undefined) return INTERRUPTED;
    const asText = (): string => `${toJson(results)}\n`;
    const count = `${unreadable.size} of ${dataset.length} images could not be read; they are named above`;
    if (unreadable.size > 0 && (!skipUnreadable || unreadable.size === dataset.length)) {
      // Fewer images would be another number.
      const kept = to["--results"];
      if (kept !== undefined) await write({ "--results": asText });
      throw new CommandError(
        `${count}, and nothing is scored. Mend them${unreadable.size === dataset.length ? "" : ", or score the others with --skip-unreadable"}.${kept === undefined ? "" : ` What was found on the others is in ${kept.path}.`}`,
      );
    }
    if (unreadable.size > 0)
      terminal.note(`${count}. The scores are of the other ${dataset.length - unreadable.size}.`);
    const types: IouType[] =
      iouType === undefined ?
        ["bbox", ...(withMasks ? ["segm" as const] : []), ...(withKeypoints ? ["keypoints" as const] : [])]
      : [iouType];
    const evaluations = evaluateResults(
      unreadable.size === 0 ? groundTruth : without(groundTruth, unreadable),
      results,
      types,
      { name: annotations, maxDetections },
    );
    return {
      evaluations,
      notes: noteLines(dataset.notes, annotations),
      results: asText,
      dataset,
      resultsOf: (imageIds) => Promise.resolve(results.filter(({ image_id }) => imageIds.has(image_id))),
    };
  } finally {
    interrupt.release();
    model.dispose();
  }
}

// Boxes and masks of a model's results are evaluated where the annotations have both.
const rulesFor = (iouType: IouType | undefined): CocoReviewOptions => ({
  ...needsOf(iouType ?? "bbox"),
  ...(iouType === undefined ? { masks: "consistent", keypoints: "needed" } : {}),
  advice: {
    "boxes alone": "Or evaluate boxes alone with --iou-type bbox.",
    "more pixels": "",
    "turn photos": "Where photos were annotated upright, as EXIF turns them, add --orientation exif.",
  },
});

async function openGroundTruth(
  file: string,
  iouType: IouType | undefined,
): Promise<{ groundTruth: CocoJson; notes: string[] }> {
  const { json, findings } = reviewCoco(await readCocoValue(file), file, rulesFor(iouType));
  const error = errorOf(findings, file);
  if (error !== undefined) throw error;
  return { groundTruth: json, notes: noteLines(findings, file) };
}

// A model's classes are found in the annotations by name.
function assertNamesDiffer(categories: readonly Category[], file: string): void {
  const twice = categories.find(({ name }, i) => categories.findIndex((other) => other.name === name) < i);
  if (twice !== undefined)
    throw new CommandError(
      `${file}: more than one category is named ${quote(twice.name)}, and a model's classes are found by their names. Rename one, or remove those without objects.`,
    );
}

const without = (json: CocoJson, ids: ReadonlySet<unknown>): CocoJson => ({
  ...json,
  images: json.images.filter(({ id }) => !ids.has(id)),
  annotations: json.annotations.filter(({ image_id }) => !ids.has(image_id)),
});

const given = <T extends object>(options: T): Partial<T> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
