/** The page that inspect writes: statistics and sample pictures. */
import type { Dataset } from "@mrcnn/core";
import { reportHtml } from "@mrcnn/visualize";
import type { ReportImage, ReportTable } from "@mrcnn/visualize";
import type { Bin, Inspection } from "./inspection.ts";
import type { MemoryEstimate } from "./memory-estimate.ts";
import { drawObjects, reportImage } from "./overlay.ts";
import { plural } from "./plural.ts";

export interface InspectionPageOptions {
  readonly title: string;
  /** For samples; undefined when the data set can't be opened. */
  readonly dataset: Dataset | undefined;
  readonly samples: number;
  readonly memory: MemoryEstimate | undefined;
}

const bins = (title: string, what: string, rows: readonly Bin[]): ReportTable => {
  const total = Math.max(
    1,
    rows.reduce((n, { count }) => n + count, 0),
  );
  return {
    title,
    columns: [what, "count", "percent"],
    rows: rows.map(({ label, count }) => [label, count, Math.round((1000 * count) / total) / 10]),
  };
};

async function samplesOf(dataset: Dataset, wanted: number): Promise<ReportImage[]> {
  const count = Math.min(wanted, dataset.length);
  const categories = dataset.classNames.slice(1).map((name, i) => ({ id: i + 1, name }));
  const images: ReportImage[] = [];
  for (let k = 0; k < count; k++) {
    const { name, image, groundTruth } = await dataset.get(Math.floor((k * dataset.length) / count));
    const caption = `${name}: ${image.width}x${image.height}, ${plural(groundTruth.labels.length, "object")}`;
    images.push(await reportImage(drawObjects(image, groundTruth, categories), caption));
  }
  return images;
}

/** What `mrcnn inspect` found, as a page with samples. */
export async function inspectionPage(
  found: Inspection,
  { title, dataset, samples, memory }: InspectionPageOptions,
): Promise<string> {
  const classes = found.classes.toSorted((a, b) => b.objects - a.objects);
  return reportHtml({
    title: "Data set",
    subtitle: title,
    summary: [
      { label: "images", value: found.images, detail: `${found.imagesWithoutObjects} without objects` },
      {
        label: "objects",
        value: found.objects,
        detail: `${found.withMasks} with masks, ${plural(found.crowds, "crowd")}`,
      },
      { label: "classes", value: found.classes.length },
      {
        label: "objects per image",
        value: found.medianObjectsPerImage,
        detail: `median; at most ${found.maxObjectsPerImage}`,
      },
      ...(memory === undefined ?
        []
      : [
          { label: "memory", value: `${(memory.totalBytes / 1e9).toFixed(1)} GB`, detail: "to train, about" },
        ]),
    ],
    tables: [
      {
        title: found.problems.length === 0 ? "No problems" : "Problems",
        columns: ["", "what", "count", "first ones", "what to do"],
        rows: found.problems.map(({ kind, severity, count, examples, advice }) => [
          severity,
          kind,
          String(count),
          examples.join("; "),
          advice,
        ]),
      },
      bins("Objects per image", "objects", found.objectsPerImage),
      bins("Object sizes", "√area, pixels", found.objectSizes),
      bins("Image sizes", "width x height", found.imageSizes.slice(0, 20)),
      {
        title: "Classes",
        columns: ["class", "objects", "images"],
        rows: classes.map(({ name, objects, images }) => [name, objects, images]),
      },
    ],
    images: dataset === undefined ? [] : await samplesOf(dataset, samples),
    notes:
      dataset === undefined ?
        ["There are no samples because the data set can't be opened before its errors are mended."]
      : [],
  });
}
