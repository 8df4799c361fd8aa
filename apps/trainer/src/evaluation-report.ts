/** The page that eval writes: tables, curves and the worst pictures. */
import { COCO_AREA_RANGES } from "@mrcnn/coco-eval";
import type { CocoEvaluation, ErrorBreakdown, ErrorKind } from "@mrcnn/coco-eval";
import type { CocoId, Detections, ImageSize } from "@mrcnn/core";
import type { CocoDataset } from "@mrcnn/datasets";
import { rleToBox, segmentationToRle } from "@mrcnn/masks";
import type { CocoResult } from "@mrcnn/masks";
import { reportHtml } from "@mrcnn/visualize";
import type { Report, ReportImage, ReportTable } from "@mrcnn/visualize";
import type { Evaluations } from "./evaluation.ts";
import { drawPair, reportImage } from "./overlay.ts";

const SHOWN_IMAGES = 8;
const SHOWN_SCORE = 0.5;
const NAMES = { bbox: "box", segm: "mask", keypoints: "keypoint" } as const;
const SHOWN_OVERLAPS = [0.5, 0.6, 0.7, 0.75, 0.8, 0.9];
const ERRORS: Readonly<Record<ErrorKind, string>> = {
  class: "on an object of another class",
  localization: "overlaps its object too little",
  both: "overlaps an object of another class, and too little",
  duplicate: "on an object that is found already",
  background: "on no object",
  missed: "object that is not found",
};

export interface EvaluationReportInput {
  /** What was evaluated on what. */
  readonly subtitle: string;
  readonly evaluations: Evaluations;
  /**
   * Where pictures come from, and the detections on some of its images; without both there are no pictures.
   */
  readonly dataset?: CocoDataset | undefined;
  readonly resultsOf: (imageIds: ReadonlySet<CocoId>) => Promise<readonly CocoResult[]>;
}

type Entry = readonly [type: keyof typeof NAMES, evaluation: CocoEvaluation];

// -1 is COCO's "no object of that kind".
const shown = (value: number): number | null => (value < 0 ? null : value);

function curves([type, { precisionRecall }]: Entry): NonNullable<Report["curves"]>[number] {
  const { recall, curves: all } = precisionRecall;
  const near = SHOWN_OVERLAPS.flatMap(
    (wanted) => all.find(({ iouThreshold }) => Math.abs(iouThreshold - wanted) < 1e-9) ?? [],
  );
  return {
    title: `Precision over recall, ${NAMES[type]}`,
    xLabel: "recall",
    yLabel: "precision, mean of the classes",
    showLast: false,
    series: near.map(({ iouThreshold, precision }) => ({
      name: `${type === "keypoints" ? "OKS" : "IoU"} ${iouThreshold.toFixed(2)}`,
      x: recall,
      y: precision.map((value) => (value < 0 ? NaN : value)),
    })),
  };
}

function statsTable(entries: readonly Entry[]): ReportTable {
  const columns = [...new Set(entries.flatMap(([, { stats }]) => Object.keys(stats)))];
  return {
    title: "COCO's numbers",
    columns: ["", ...columns],
    rows: entries.map(([type, { stats }]) => [NAMES[type], ...columns.map((key) => shown(stats[key] ?? -1))]),
  };
}

const categoryTable = ([type, { perCategory }]: Entry): ReportTable => ({
  title: `By class and size, ${NAMES[type]}, the worst first`,
  columns: ["class", "objects", "AP", "AP50", "AP75", "small", "medium", "large", "AR"],
  rows: perCategory
    .filter(({ instances }) => instances > 0)
    .toSorted((a, b) => a.AP - b.AP)
    .map((c) => [c.name, c.instances, ...[c.AP, c.AP50, c.AP75, c.APs, c.APm, c.APl, c.AR].map(shown)]),
});

const errorTable = (type: Entry[0], { kinds }: ErrorBreakdown): ReportTable => ({
  title: `Errors at overlap 0.5, ${NAMES[type]}, and by how much AP50 would rise without them`,
  columns: ["kind", "", "count", "AP50 lost"],
  rows: Object.entries(kinds)
    .toSorted(([, a], [, b]) => b.costs - a.costs)
    .map(([kind, { count, costs }]) => [kind, ERRORS[kind as ErrorKind], count, costs]),
});

async function worstImages(
  { dataset, resultsOf }: EvaluationReportInput,
  errors: ErrorBreakdown,
): Promise<ReportImage[]> {
  if (dataset === undefined) return [];
  const worst = errors.images
    .filter(({ weight }) => weight > 0)
    .toSorted((a, b) => b.weight - a.weight)
    .slice(0, SHOWN_IMAGES);
  const results = await resultsOf(new Set(worst.map(({ imageId }) => imageId)));
  const images: ReportImage[] = [];
  for (const { imageId, missed, wrong } of worst) {
    const sample = await dataset.get(dataset.imageInfo.findIndex(({ id }) => id === imageId));
    const found = toDetections(
      results.filter(({ image_id }) => image_id === imageId),
      sample.image,
      dataset,
    );
    const caption = `${sample.name}: ${missed} of ${sample.groundTruth.labels.length} objects not found, ${wrong} detections wrong. Found (left), annotated (right)`;
    images.push(
      await reportImage(
        drawPair(sample.image, found, sample.groundTruth, dataset.categories, SHOWN_SCORE),
        caption,
      ),
    );
  }
  return images;
}

function toDetections(
  results: readonly CocoResult[],
  { height, width }: ImageSize,
  { categories }: CocoDataset,
): Detections {
  const imageSize = { height, width };
  const drawn = results
    .map(({ bbox, segmentation, category_id, score }) => {
      const mask = segmentation === undefined ? undefined : segmentationToRle(segmentation, imageSize);
      // Mask results may have no boxes.
      return { box: bbox ?? rleToBox(mask!), mask, category_id, score };
    })
    .toSorted((a, b) => b.score - a.score);
  const masks = drawn.flatMap(({ mask }) => mask ?? []);
  return {
    imageSize,
    boxes: Float32Array.from(drawn.flatMap(({ box: [x, y, w, h] }) => [x, y, x + w, y + h])),
    labels: Int32Array.from(
      drawn,
      ({ category_id }) => 1 + categories.findIndex(({ id }) => id === category_id),
    ),
    scores: Float32Array.from(drawn, ({ score }) => score),
    ...(masks.length === drawn.length ? { masks } : {}),
  };
}

/**
 * What `mrcnn eval` found, as a page: curves, classes and sizes, kinds of errors, and the images with the
 * most of them.
 */
export async function evaluationReport(input: EvaluationReportInput): Promise<string> {
  const entries = Object.entries(input.evaluations) as Entry[];
  const broken = entries.flatMap(([type, evaluation]) =>
    type === "keypoints" ? [] : [[type, evaluation.errors()] as const],
  );
  // Masks tell more than boxes.
  const images = broken.length === 0 ? [] : await worstImages(input, broken.at(-1)![1]);
  const sizes = COCO_AREA_RANGES.slice(1, 3).map(({ max }) => `${Math.sqrt(max)}²`);
  return reportHtml({
    title: "Evaluation",
    subtitle: input.subtitle,
    summary: entries.flatMap(([type, { stats }]) =>
      (["AP", "AP50"] as const).map((key) => ({
        label: `${NAMES[type]} ${key}`,
        value: stats[key] < 0 ? "–" : stats[key].toFixed(3),
      })),
    ),
    curves: entries.map(curves),
    tables: [
      statsTable(entries),
      ...broken.map(([type, errors]) => errorTable(type, errors)),
      ...entries.map(categoryTable),
    ],
    images,
    notes: [
      `AP is the mean over overlaps 0.50 to 0.95, AP50 at 0.50. Objects are small up to ${sizes[0]} pixels, medium up to ${sizes[1]}, large above. A dash: there are no such objects.`,
      "Kinds of errors are TIDE's (Bolya et al., 2020), at overlap 0.5 and among an image's best 100 detections; what overlaps no object by more than 0.1 is background.",
      ...(images.length > 0 ?
        [
          `Examples are the images with the highest sum of objects that are not found and scores of wrong detections; shown are detections scored ${SHOWN_SCORE} or more.`,
        ]
      : []),
    ],
  });
}
