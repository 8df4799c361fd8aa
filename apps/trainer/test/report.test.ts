// The page that a training leaves, held against one written by hand from the same logs.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Dataset, Detections, Sample } from "@mrcnn/core";
import type { MaskRcnn } from "@mrcnn/model";
import { reportHtml } from "@mrcnn/visualize";
import type { Report } from "@mrcnn/visualize";
import { describe, expect, it } from "vitest";
import type { OpenSource } from "../src/data-source.ts";
import { drawPair, reportImage } from "../src/overlay.ts";
import { changedConfig } from "../src/read-config.ts";
import { writeRunReport } from "../src/report.ts";
import { runDirectory, writeRunConfig } from "../src/run-directory.ts";
import { temporaryFolder, tinyConfig } from "./command.ts";
import { piecesOf } from "./pages.ts";

const folder = temporaryFolder();
const categories = [
  { id: 3, name: "cat" },
  { id: 5, name: "dog" },
];
const SIDE = 16;
const box = (label: number, x: number): Sample["groundTruth"] => ({
  boxes: Float32Array.of(x, 2, x + 6, 9),
  labels: Int32Array.of(label),
  masks: [],
  isCrowd: Uint8Array.of(0),
});
const sampleOf = (i: number): Sample => ({
  id: i,
  name: `${i}.png`,
  image: { width: SIDE, height: SIDE, data: new Uint8Array(SIDE * SIDE * 3).fill(10 * i) },
  groundTruth: box(1 + (i % 2), 3),
});
const dataset = (length: number): Dataset => ({
  length,
  classNames: ["background", "cat", "dog"],
  get: async (i) => sampleOf(i),
});
/** Three detections, of which two are shown: one at the very score that is enough. */
const found: Detections = {
  imageSize: { height: SIDE, width: SIDE },
  boxes: Float32Array.of(3, 2, 9, 9, 1, 1, 5, 5, 8, 8, 15, 15),
  labels: Int32Array.of(1, 2, 2),
  scores: Float32Array.of(0.9, 0.5, 0.49),
};

let runs = 0;
async function pageOf(
  { metrics, evaluations = [] }: { metrics: readonly object[]; evaluations?: readonly object[] },
  {
    length = 2,
    isValidation = true,
    description,
  }: { length?: number; isValidation?: boolean; description?: string } = {},
): Promise<{ page: string; asked: unknown[] }> {
  const run = runDirectory(join(folder, `run${runs++}`));
  const config = {
    ...changedConfig(tinyConfig, ["training.batchSize=3", "evaluation.scoreThreshold=0.4"], "tiny.json"),
    ...(description !== undefined && { description }),
  };
  writeRunConfig(run, config);
  const lines = (values: readonly object[]): string =>
    values.map((value) => `${JSON.stringify(value)}\n`).join("");
  writeFileSync(run.metrics, lines(metrics));
  writeFileSync(run.evaluations, lines(evaluations));
  const asked: unknown[] = [];
  const detect: MaskRcnn["detect"] = async ([image], options) => {
    asked.push([image!.data[0], options?.scoreThreshold]);
    return [found];
  };
  await writeRunReport(run, {
    model: { detect } as MaskRcnn,
    config,
    source: { dataset: dataset(length) } as OpenSource,
    isValidation,
    categories,
  });
  return { page: readFileSync(run.report, "utf8"), asked };
}

const pictures = (indices: readonly number[], where: string): Promise<NonNullable<Report["images"]>> =>
  Promise.all(
    indices.map((i) =>
      reportImage(
        drawPair(sampleOf(i).image, found, sampleOf(i).groundTruth, categories, 0.5),
        `${i}.png${where}: 2 found (left), 1 annotated (right)`,
      ),
    ),
  );
const examplesNote =
  "Examples show detections scored 0.5 or more, each object in a colour of its own; the annotation is on the right.";

const line = (step: number, more: object = {}) => ({
  step,
  lr: 0.01 / step,
  loss: 3 / step,
  loss_rpn_box_reg: 2 / step,
  loss_mask: 1 / step,
  secondsPerStep: 2 * step,
  secondsWaiting: 0.5,
  waitingShare: 0.25 / step,
  imagesPerSecond: 3,
  memoryMb: 900 + step,
  // 2000 x 2^20 bytes are 2.097e9.
  peakMemoryMb: step === 2 ? 2000 : 1000,
  tensors: 5,
  ...more,
});
const chart = (
  title: string,
  yLabel: string,
  series: readonly (readonly [name: string, y: readonly number[]])[],
  x = [1, 2, 3],
) => ({ title, xLabel: "step", yLabel, smooth: true, series: series.map(([name, y]) => ({ name, x, y })) });
const rate = (x: number[], y: number[]) => ({
  title: "Learning rate",
  xLabel: "step",
  yLabel: "rate",
  series: [{ name: "rate", x, y }],
});
const memoryOf = (x: number[], series: Record<string, number[]>) => ({
  title: "Memory",
  xLabel: "step",
  yLabel: "MB",
  series: Object.entries(series).map(([name, y]) => ({ name, x, y })),
});

const stats = (AP: number, AP50: number) => ({ AP, AP50, AP75: -1 });
const scores = (AP: number, AP50: number) => ({
  stats: stats(AP, AP50),
  perCategory: [
    {
      id: 3,
      name: "cat",
      instances: 4,
      AP: 0.25,
      AP50: 0.5,
      AP75: 0.125,
      APs: -1,
      APm: -1,
      APl: 0,
      AR: 0.75,
    },
    { id: 5, name: "dog", instances: 0, AP: -1, AP50: -1, AP75: -1, APs: -1, APm: -1, APl: -1, AR: -1 },
  ],
});

describe("report.html", () => {
  it("has the run's figures, curves, tables and pictures", async () => {
    const { page, asked } = await pageOf(
      {
        metrics: [
          line(1, { gradientNorm: 4, secondsPerStep: 6 }),
          // The driver is asked now and then.
          line(2, { gradientNorm: 3, gpuMemoryMb: 700, secondsPerStep: 2 }),
          line(3, { gradientNorm: 2, secondsPerStep: 4 }),
        ],
        evaluations: [
          { step: 2, images: 2, seconds: 1, bbox: scores(0.1, 0.2), segm: scores(0.05, 0.1) },
          { step: 3, images: 2, seconds: 1, bbox: scores(0.3, 0.4), segm: scores(0.25, -1) },
        ],
      },
      { description: "Cats <and> dogs" },
    );
    const x = [1, 2, 3];
    const byClass = (name: string) => ({
      title: `By class, ${name}`,
      columns: ["class", "objects", "AP", "AP50", "AP75", "AR"],
      rows: [
        ["cat", 4, 0.25, 0.5, 0.125, 0.75],
        ["dog", 0, null, null, null, null],
      ],
    });
    const expected: Report = {
      title: "Training report",
      subtitle: "Cats <and> dogs",
      summary: [
        { label: "mask AP", value: "0.250" },
        { label: "mask AP50", value: "–" },
        { label: "box AP", value: "0.300" },
        { label: "box AP50", value: "0.400" },
        // Batches of three, two of them accumulated.
        { label: "steps", value: 3, detail: "of 6 images" },
        { label: "seconds per step", value: 4, detail: "median" },
        { label: "training", value: "12 s" },
        // 1.5 s of 12.
        { label: "waiting for data", value: "12.5 %", detail: "of the training time" },
        { label: "peak memory", value: "2.1 GB" },
      ],
      curves: [
        chart("Loss", "loss", [["loss", [3, 1.5, 1]]]),
        chart("Loss terms", "loss", [
          ["rpn box reg", [2, 1, 2 / 3]],
          ["mask", [1, 0.5, 1 / 3]],
        ]),
        rate(x, [0.01, 0.005, 0.01 / 3]),
        chart("Gradient norm before clipping", "L2 norm", [["norm", [4, 3, 2]]]),
        chart("Speed", "seconds per step", [
          ["seconds", [6, 2, 4]],
          ["of them waiting for data", [0.5, 0.5, 0.5]],
        ]),
        memoryOf(x, {
          peak: [1000, 2000, 1000],
          "after the step": [901, 902, 903],
          GPU: [NaN, 700, NaN],
        }),
        {
          title: "Average precision on the validation images",
          xLabel: "step",
          yLabel: "AP",
          series: [
            { name: "mask AP", x: [2, 3], y: [0.05, 0.25] },
            { name: "mask AP50", x: [2, 3], y: [0.1, NaN] },
            { name: "box AP", x: [2, 3], y: [0.1, 0.3] },
            { name: "box AP50", x: [2, 3], y: [0.2, 0.4] },
          ],
        },
      ],
      tables: [
        {
          title: "COCO's numbers on 2 validation images after 3 steps",
          columns: ["", "AP", "AP50", "AP75"],
          rows: [
            ["mask", 0.25, null, null],
            ["box", 0.3, 0.4, null],
          ],
        },
        byClass("mask"),
        byClass("box"),
      ],
      images: await pictures([0, 1], ""),
      notes: [examplesNote, "The validation images were not trained on."],
    };
    expect(piecesOf(page)).toEqual(piecesOf(reportHtml(expected)));
    expect(asked).toEqual([
      [0, 0.4],
      [10, 0.4],
    ]);
  });

  it("of a run without validation says so, and shows eight of its training images, spread over them", async () => {
    const { page } = await pageOf(
      { metrics: [line(1), line(2), line(5)] },
      { length: 20, isValidation: false },
    );
    const x = [1, 2, 5];
    const expected: Report = {
      title: "Training report",
      summary: [
        { label: "steps", value: 5, detail: "of 6 images" },
        { label: "seconds per step", value: 4, detail: "median" },
        // Five steps, of which those logged took 16/3 s each.
        { label: "training", value: "27 s" },
        // 1.5 s of 16.
        { label: "waiting for data", value: "9.4 %", detail: "of the training time" },
        { label: "peak memory", value: "2.1 GB" },
      ],
      curves: [
        chart("Loss", "loss", [["loss", [3, 1.5, 0.6]]], x),
        chart(
          "Loss terms",
          "loss",
          [
            ["rpn box reg", [2, 1, 0.4]],
            ["mask", [1, 0.5, 0.2]],
          ],
          x,
        ),
        rate(x, [0.01, 0.005, 0.002]),
        chart(
          "Speed",
          "seconds per step",
          [
            ["seconds", [2, 4, 10]],
            ["of them waiting for data", [0.5, 0.5, 0.5]],
          ],
          x,
        ),
        memoryOf(x, { peak: [1000, 2000, 1000], "after the step": [901, 902, 905] }),
      ],
      images: await pictures([0, 2, 5, 7, 10, 12, 15, 17], " (a training image)"),
      notes: [
        examplesNote,
        "No validation set was given (data.validation), so there is no average precision, and the examples are images that were trained on.",
      ],
    };
    expect(piecesOf(page)).toEqual(piecesOf(reportHtml(expected)));
  });

  it("has no words on masks of a model without them, and none on AP of a run that was not evaluated", async () => {
    const { page } = await pageOf({
      metrics: [line(1)],
      evaluations: [{ step: 1, images: 1, seconds: 1, bbox: scores(0.5, 0.75) }],
    });
    const words = piecesOf(page);
    expect(words.filter((piece) => /mask AP|, mask</.test(piece))).toEqual([]);
    expect(words.filter((piece) => piece.startsWith("<div><dt>box"))).toEqual([
      "<div><dt>box AP</dt><dd>0.500</dd></div>",
      "<div><dt>box AP50</dt><dd>0.750</dd></div>",
    ]);
    expect(page).toContain("<figcaption>COCO&#39;s numbers on 1 validation image after 1 step</figcaption>");
    const none = await pageOf({ metrics: [line(1)] });
    expect(none.page).not.toMatch(/validation images? after/);
    expect(none.page).not.toContain("Average precision");
  });

  it("can be made of a run that logged nothing", async () => {
    const { page } = await pageOf({ metrics: [] }, { length: 0 });
    const none = (title: string, yLabel: string, ...names: string[]) =>
      chart(
        title,
        yLabel,
        names.map((name) => [name, []]),
        [],
      );
    const expected: Report = {
      title: "Training report",
      summary: [
        { label: "steps", value: 0, detail: "of 6 images" },
        { label: "seconds per step", value: 0, detail: "median" },
        { label: "training", value: "0 s" },
        { label: "waiting for data", value: "0.0 %", detail: "of the training time" },
        { label: "peak memory", value: "0.0 GB" },
      ],
      curves: [
        none("Loss", "loss", "loss"),
        none("Loss terms", "loss"),
        rate([], []),
        none("Speed", "seconds per step", "seconds", "of them waiting for data"),
        memoryOf([], { peak: [], "after the step": [] }),
      ],
      notes: [examplesNote, "The validation images were not trained on."],
    };
    expect(piecesOf(page)).toEqual(piecesOf(reportHtml(expected)));
  });
});
