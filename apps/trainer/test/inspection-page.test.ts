// The page of `mrcnn inspect`, held against one written by hand.
import type { Dataset, Sample } from "@mrcnn/core";
import { reportHtml } from "@mrcnn/visualize";
import type { Report } from "@mrcnn/visualize";
import { describe, expect, it } from "vitest";
import type { Inspection } from "../src/inspection.ts";
import { inspectionPage } from "../src/inspection-page.ts";
import { drawObjects, reportImage } from "../src/overlay.ts";
import { picturesOf, piecesOf } from "./pages.ts";

const found: Inspection = {
  images: 7,
  objects: 8,
  crowds: 2,
  withMasks: 6,
  imagesWithoutObjects: 4,
  imageSizes: [
    ...Array.from({ length: 20 }, (_, i) => ({ label: `${i}x9`, count: 1 })),
    { label: "20x9", count: 100 },
  ],
  objectsPerImage: [
    { label: "0", count: 4 },
    { label: "1", count: 2 },
    { label: "2–4", count: 1 },
  ],
  objectSizes: [
    { label: "0–3", count: 0 },
    { label: "4–7", count: 0 },
  ],
  medianObjectsPerImage: 1,
  maxObjectsPerImage: 5,
  classes: [
    { id: 1, name: "cat", objects: 1, images: 1 },
    { id: 2, name: "dog", objects: 7, images: 3 },
  ],
  problems: [
    {
      kind: "box without area",
      severity: "error",
      count: 9,
      examples: ["first", "second"],
      advice: "Mend it.",
    },
    { kind: "oddity", severity: "note", count: 1, examples: ["third"], advice: "Look." },
  ],
};
const expected: Report = {
  title: "Data set",
  subtitle: "a <b>.json",
  summary: [
    { label: "images", value: 7, detail: "4 without objects" },
    { label: "objects", value: 8, detail: "6 with masks, 2 crowds" },
    { label: "classes", value: 2 },
    { label: "objects per image", value: 1, detail: "median; at most 5" },
  ],
  tables: [
    {
      title: "Problems",
      columns: ["", "what", "count", "first ones", "what to do"],
      rows: [
        ["error", "box without area", "9", "first; second", "Mend it."],
        ["note", "oddity", "1", "third", "Look."],
      ],
    },
    {
      title: "Objects per image",
      columns: ["objects", "count", "percent"],
      rows: [
        ["0", 4, 57.1],
        ["1", 2, 28.6],
        ["2–4", 1, 14.3],
      ],
    },
    {
      title: "Object sizes",
      columns: ["√area, pixels", "count", "percent"],
      rows: [
        ["0–3", 0, 0],
        ["4–7", 0, 0],
      ],
    },
    {
      title: "Image sizes",
      columns: ["width x height", "count", "percent"],
      rows: found.imageSizes.slice(0, 20).map(({ label }) => [label, 1, 5]),
    },
    {
      title: "Classes",
      columns: ["class", "objects", "images"],
      rows: [
        ["dog", 7, 3],
        ["cat", 1, 1],
      ],
    },
  ],
};
const sampleOf = (i: number): Sample => ({
  id: i,
  name: `${i}.png`,
  image: { width: 24, height: 16, data: new Uint8Array(24 * 16 * 3).fill(20 * i) },
  groundTruth: {
    boxes: Float32Array.from([2, 2, 9, 9, 10, 3, 20, 12].slice(0, 4 * (i % 3))),
    labels: Int32Array.from([2, 1].slice(0, i % 3)),
    masks: [],
    isCrowd: new Uint8Array(i % 3),
  },
});
const dataset = (length: number): Dataset => ({
  length,
  classNames: ["background", "cat", "dog"],
  get: async (i) => sampleOf(i),
});
const pictures = (captions: Readonly<Record<number, string>>): Promise<NonNullable<Report["images"]>> =>
  Promise.all(
    Object.entries(captions).map(([i, caption]) => {
      const { image, groundTruth } = sampleOf(Number(i));
      return reportImage(
        drawObjects(image, groundTruth, [
          { id: 1, name: "cat" },
          { id: 2, name: "dog" },
        ]),
        caption,
      );
    }),
  );

describe("inspectionPage", () => {
  it("has figures, problems, histograms, classes and samples", async () => {
    const page = await inspectionPage(found, {
      title: "a <b>.json",
      dataset: dataset(3),
      samples: 12,
      memory: undefined,
    });
    const images = await pictures({
      0: "0.png: 24x16, 0 objects",
      1: "1.png: 24x16, 1 object",
      2: "2.png: 24x16, 2 objects",
    });
    expect(piecesOf(page)).toEqual(piecesOf(reportHtml({ ...expected, images })));
  });

  it("without a data set that opens says why there are no samples; it names the memory where that is known", async () => {
    const page = await inspectionPage(
      { ...found, crowds: 1, problems: [] },
      {
        title: "a <b>.json",
        dataset: undefined,
        samples: 12,
        memory: { parameters: 1, weightBytes: 2, activationBytes: 3, totalBytes: 2.35e9 },
      },
    );
    const [images, , ...summary] = expected.summary!;
    const [problems, ...tables] = expected.tables!;
    expect(piecesOf(page)).toEqual(
      piecesOf(
        reportHtml({
          ...expected,
          summary: [
            images!,
            { label: "objects", value: 8, detail: "6 with masks, 1 crowd" },
            ...summary,
            { label: "memory", value: "2.4 GB", detail: "to train, about" },
          ],
          tables: [{ ...problems!, title: "No problems", rows: [] }, ...tables],
          notes: ["There are no samples because the data set can't be opened before its errors are mended."],
        }),
      ),
    );
  });

  it("spreads as many samples as are wanted over the data set", async () => {
    const page = await inspectionPage(found, {
      title: "",
      dataset: dataset(10),
      samples: 4,
      memory: undefined,
    });
    const images = await pictures({
      0: "0.png: 24x16, 0 objects",
      2: "2.png: 24x16, 2 objects",
      5: "5.png: 24x16, 2 objects",
      7: "7.png: 24x16, 1 object",
    });
    expect(picturesOf(page)).toEqual(picturesOf(reportHtml({ title: "", images })));
  });
});
