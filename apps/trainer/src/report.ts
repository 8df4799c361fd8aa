/** The page that a training writes: curves, scores, memory and pictures. */
import type { MaskRcnn } from "@mrcnn/model";
import { reportHtml } from "@mrcnn/visualize";
import type { Report, ReportImage, ReportTable } from "@mrcnn/visualize";
import type { TrainingConfig } from "./config.ts";
import type { Category, OpenSource } from "./data-source.ts";
import { detectImage } from "./detection.ts";
import { writeWhole } from "./files.ts";
import { gigabytes } from "./memory-meter.ts";
import { drawPair, reportImage } from "./overlay.ts";
import { plural } from "./plural.ts";
import { duration } from "./progress.ts";
import type { RunDirectory } from "./run-directory.ts";
import { readEvaluations, readMetrics } from "./run-log.ts";
import type { EvaluationLine, MetricsLine } from "./run-log.ts";
import type { IouScores } from "./scores.ts";

const EXAMPLES = 8;
const SHOWN_SCORE = 0.5;

export interface ReportInput {
  readonly model: MaskRcnn;
  readonly config: TrainingConfig;
  /** Where the example images come from. */
  readonly source: OpenSource;
  /** Whether those are validation images. */
  readonly isValidation: boolean;
  /** The model's classes. */
  readonly categories: readonly Category[];
}

type Curves = NonNullable<Report["curves"]>;
const types = [
  ["mask", "segm"],
  ["box", "bbox"],
] as const;

const lossCurves = (metrics: readonly MetricsLine[]): Curves => {
  const x = metrics.map(({ step }) => step);
  const series = (name: string, key = name): Curves[number]["series"][number] => ({
    name,
    x,
    y: metrics.map((line) => line[key] ?? NaN),
  });
  const terms = Object.keys(metrics[0] ?? {}).filter((key) => key.startsWith("loss_"));
  const chart = (title: string, yLabel: string, all: Curves[number]["series"]): Curves[number] => ({
    title,
    xLabel: "step",
    yLabel,
    smooth: true,
    series: all,
  });
  return [
    chart("Loss", "loss", [series("loss")]),
    chart(
      "Loss terms",
      "loss",
      terms.map((key) => series(key.replace("loss_", "").replaceAll("_", " "), key)),
    ),
    { title: "Learning rate", xLabel: "step", yLabel: "rate", series: [series("rate", "lr")] },
    ...(metrics[0]?.gradientNorm === undefined ?
      []
    : [chart("Gradient norm before clipping", "L2 norm", [series("norm", "gradientNorm")])]),
    chart("Speed", "seconds per step", [
      series("seconds", "secondsPerStep"),
      series("of them waiting for data", "secondsWaiting"),
    ]),
    {
      title: "Memory",
      xLabel: "step",
      yLabel: "MB",
      series: [
        series("peak", "peakMemoryMb"),
        series("after the step", "memoryMb"),
        ...(metrics.some((line) => "gpuMemoryMb" in line) ? [series("GPU", "gpuMemoryMb")] : []),
      ],
    },
  ];
};

// -1 is COCO's "no object of that kind".
const shown = (value: number): number | null => (value < 0 ? null : value);

const apCurves = (evaluations: readonly EvaluationLine[]): Curves =>
  evaluations.length === 0 ?
    []
  : [
      {
        title: "Average precision on the validation images",
        xLabel: "step",
        yLabel: "AP",
        series: types.flatMap(([name, type]) =>
          evaluations[0]![type] === undefined ?
            []
          : (["AP", "AP50"] as const).map((key) => ({
              name: `${name} ${key}`,
              x: evaluations.map(({ step }) => step),
              y: evaluations.map((line) => shown(line[type]?.stats[key] ?? NaN) ?? NaN),
            })),
        ),
      },
    ];

const apTables = (last: EvaluationLine | undefined): ReportTable[] => {
  const scores = types.flatMap(([name, type]): [string, IouScores][] =>
    last?.[type] === undefined ? [] : [[name, last[type]]],
  );
  if (last === undefined || scores.length === 0) return [];
  const columns = Object.keys(scores[0]![1].stats);
  return [
    {
      title: `COCO's numbers on ${plural(last.images, "validation image")} after ${plural(last.step, "step")}`,
      columns: ["", ...columns],
      rows: scores.map(([name, { stats }]) => [name, ...columns.map((key) => shown(stats[key]!))]),
    },
    ...scores.map(([name, { perCategory }]) => ({
      title: `By class, ${name}`,
      columns: ["class", "objects", "AP", "AP50", "AP75", "AR"],
      rows: perCategory.map((c) => [c.name, c.instances, ...[c.AP, c.AP50, c.AP75, c.AR].map(shown)]),
    })),
  ];
};

// Spread over the data set; the first images of many sets are alike.
async function examples({
  model,
  config,
  source,
  categories,
  isValidation,
}: ReportInput): Promise<ReportImage[]> {
  const count = Math.min(EXAMPLES, source.dataset.length);
  const images: ReportImage[] = [];
  for (let k = 0; k < count; k++) {
    const sample = await source.dataset.get(Math.floor((k * source.dataset.length) / count));
    const detections = await detectImage(model, sample, config.evaluation);
    const found = detections.scores.filter((score) => score >= SHOWN_SCORE).length;
    const caption = `${sample.name}${isValidation ? "" : " (a training image)"}: ${found} found (left), ${sample.groundTruth.labels.length} annotated (right)`;
    images.push(
      await reportImage(
        drawPair(sample.image, detections, sample.groundTruth, categories, SHOWN_SCORE),
        caption,
      ),
    );
  }
  return images;
}

/** Writes the run's report.html from its logs, with detections beside the ground truth. */
export async function writeRunReport(run: RunDirectory, input: ReportInput): Promise<void> {
  const { config, isValidation } = input;
  const metrics = readMetrics(run.metrics);
  const evaluations = readEvaluations(run.evaluations);
  const last = evaluations.at(-1);
  const seconds = metrics.map((line) => line.secondsPerStep).toSorted((a, b) => a - b);
  const median = seconds[Math.floor(seconds.length / 2)] ?? 0;
  const sum = (key: string): number => metrics.reduce((total, line) => total + (line[key] ?? 0), 0);
  const scores = types.flatMap(([name, type]) =>
    last?.[type] === undefined ?
      []
    : (["AP", "AP50"] as const).map((key) => ({
        label: `${name} ${key}`,
        value: shown(last[type]!.stats[key])?.toFixed(3) ?? "–",
      })),
  );
  const report: Report = {
    title: "Training report",
    ...(config.description === undefined ? {} : { subtitle: config.description }),
    summary: [
      ...scores,
      {
        label: "steps",
        value: metrics.at(-1)?.step ?? 0,
        detail: `of ${config.training.batchSize * config.training.accumulate} images`,
      },
      { label: "seconds per step", value: median, detail: "median" },
      {
        label: "training",
        value: duration((metrics.at(-1)?.step ?? 0) * (sum("secondsPerStep") / Math.max(1, metrics.length))),
      },
      {
        label: "waiting for data",
        value: `${((100 * sum("secondsWaiting")) / Math.max(Number.MIN_VALUE, sum("secondsPerStep"))).toFixed(1)} %`,
        detail: "of the training time",
      },
      {
        label: "peak memory",
        value: gigabytes(metrics.reduce((most, line) => Math.max(most, line.peakMemoryMb), 0)),
      },
    ],
    curves: [...lossCurves(metrics), ...apCurves(evaluations)],
    tables: apTables(last),
    images: await examples(input),
    notes: [
      `Examples show detections scored ${SHOWN_SCORE} or more, each object in a colour of its own; the annotation is on the right.`,
      isValidation ?
        "The validation images were not trained on."
      : "No validation set was given (data.validation), so there is no average precision, and the examples are images that were trained on.",
    ],
  };
  writeWhole(run.report, reportHtml(report));
}
