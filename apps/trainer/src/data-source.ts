/** Opens the data set that a config names. */
import { resolve } from "node:path";
import { ConfigError } from "@mrcnn/core";
import type { CocoId, Dataset } from "@mrcnn/core";
import { cocoFromSamples } from "@mrcnn/datasets";
import type { CocoDataset } from "@mrcnn/datasets";
import { openDataset, readThrough } from "@mrcnn/datasets/node";
import type { DatasetDescription } from "@mrcnn/datasets/node";
import { describeFinding } from "@mrcnn/masks";
import type { CocoAdvice, CocoFinding, CocoJson, CocoReviewOptions } from "@mrcnn/masks";
import type { DataSource } from "./config.ts";
import { plural } from "./plural.ts";

/** A class with the id that its data set gives it. */
export interface Category {
  readonly id: CocoId;
  readonly name: string;
}

/** A data set, opened, with what evaluation and workers need of it. */
export interface OpenSource {
  readonly dataset: Dataset;
  /** In the order of the labels: label 1 first. */
  readonly categories: readonly Category[];
  /** What errors call it: the file of its annotations, or its place in the config. */
  readonly name: string;
  /** Names of the classes that objects are of. */
  readonly usedClasses: readonly string[];
  /** What is odd about it, a line each. */
  readonly notes: readonly string[];
  /** For opening it again in another thread. */
  readonly description: DatasetDescription;
  /** The objects in COCO format, of the first `limit` images. */
  annotations(limit?: number): Promise<CocoJson>;
}

/** What a data source is opened for. */
export interface SourceUse {
  readonly purpose: "training" | "evaluation";
  /** Whether the model has a mask head. */
  readonly masks: boolean;
}

/**
 * The rules for COCO annotations of a source of a config, and what its user can set; `where` is its path in
 * the config ("data.train").
 */
export function reviewOptionsOf(
  {
    degenerate,
    emptyCategories,
    maxPixels,
  }: Pick<DataSource, "degenerate" | "emptyCategories" | "maxPixels">,
  where: string,
  { purpose, masks }: SourceUse,
): CocoReviewOptions {
  const advice: CocoAdvice = {
    "drop degenerate": `Or leave such objects out with --set ${where}.degenerate=drop.`,
    "drop empty categories": `Or leave categories without objects out with --set ${where}.emptyCategories=drop.`,
    "boxes alone": "Or train on boxes alone with --set model.mask=false.",
    "more pixels": `Or raise the limit with --set ${where}.maxPixels=N if there is the memory.`,
    "turn photos": `Where photos were annotated upright, as EXIF turns them, choose --set ${where}.orientation=exif.`,
  };
  // In validation such objects count, as with pycocotools, unless they are dropped.
  const degenerates =
    degenerate === undefined || (degenerate === "error" && purpose === "evaluation") ? {} : { degenerate };
  return {
    purpose,
    masks: masks ? "needed" : "unneeded",
    ...degenerates,
    ...given({ emptyCategories, maxPixels }),
    advice,
  };
}

/** Findings as lines for the person at the terminal. */
export const noteLines = (findings: readonly CocoFinding[], file: string): string[] =>
  findings.map((finding) => `${file}: ${describeFinding(finding)}`);

// Options that are set.
const given = <T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;

function describe(source: DataSource, where: string, use: SourceUse): DatasetDescription {
  const { format, images, annotations, folder, masks, className, shapes } = source;
  const missing = (what: string): never => {
    throw new ConfigError(
      `${where}: ${what} must be given for format "${format}". Set it in the config, or with --set ${where}.${what}=…`,
    );
  };
  const pictures = given({ orientation: source.orientation, maxPixels: source.maxPixels });
  const named = { ...given({ className }), ...pictures };
  switch (format) {
    case "coco":
      return {
        kind: "coco",
        images: images ?? missing("images"),
        annotations: annotations ?? missing("annotations"),
        ...reviewOptionsOf(source, where, use),
        ...pictures,
      };
    case "folders":
      return folder === undefined ?
          {
            kind: "maskFolders",
            images: images ?? missing("folder"),
            masks: masks ?? missing("masks"),
            ...named,
          }
        : { kind: "maskFolders", folder, ...named };
    case "shapes":
      return { ...(shapes ?? missing("shapes")), kind: "shapes" };
  }
}

/** The same source with absolute paths, so that a run can be read from anywhere. */
export function resolveSource(source: DataSource): DataSource {
  const resolved = { ...source };
  for (const key of ["images", "annotations", "folder", "masks"] as const) {
    const path = source[key];
    if (path !== undefined) resolved[key] = resolve(path);
  }
  return resolved;
}

// As JPEG they take 5 s on two cores: 80 photos of twelve megapixels.
const READ_FIRST = 1e9;
const TOLD_EVERY_MS = 10_000;

/**
 * Opens a data source of a config; `where` is its path in the config ("data.train"). All headers of its
 * pictures are looked at, and the first are read, up to 1e9 pixels in all, so that what is wrong with them is
 * told now and not when they are drawn; `onNote` is told how far that is when it takes long, and how many
 * were not read.
 *
 * @throws ConfigError for what is not given; DatasetError for what is wrong with the data.
 */
export async function openSource(
  source: DataSource,
  where: string,
  use: SourceUse,
  { onNote = () => {} }: { readonly onNote?: (note: string) => void } = {},
): Promise<OpenSource> {
  const description = describe(source, where, use);
  let told = performance.now();
  const looking =
    (what: string) =>
    (done: number): void => {
      if (performance.now() - told < TOLD_EVERY_MS) return;
      told = performance.now();
      onNote(`${where}: ${what} ${plural(done, "image")} so far.`);
    };
  const dataset = await openDataset(description, { onImage: looking("looked at the headers of") });
  if (description.kind !== "shapes") {
    const read = await readThrough(dataset, { maxPixels: READ_FIRST, onImage: looking("read") });
    if (read < dataset.length)
      onNote(
        `${where}: ${read} of ${plural(dataset.length, "image")} were read to their end. Whether another is cut shows when it is drawn; \`mrcnn inspect\` reads all of them.`,
      );
  }
  const { notes = [], emptyCategories = [] } = dataset as Partial<CocoDataset>;
  const categories =
    "categories" in dataset ?
      (dataset.categories as readonly Category[]).map(({ id, name }) => ({ id, name }))
    : dataset.classNames.slice(1).map((name, i) => ({ id: i + 1, name }));
  return {
    dataset,
    categories,
    name: source.annotations ?? where,
    usedClasses: categories.filter(({ id }) => !emptyCategories.includes(id)).map(({ name }) => name),
    notes: source.annotations === undefined ? [] : noteLines(notes, source.annotations),
    description,
    async annotations(limit = Infinity) {
      const { json } = dataset as Partial<CocoDataset>;
      if (json === undefined) return objectsOf(dataset, limit);
      if (json.images.length <= limit) return json;
      const images = json.images.slice(0, limit);
      const ids = new Set(images.map(({ id }) => id));
      return { ...json, images, annotations: json.annotations.filter(({ image_id }) => ids.has(image_id)) };
    },
  };
}

async function objectsOf(dataset: Dataset, limit: number): Promise<CocoJson> {
  const samples = [];
  for (let i = 0; i < Math.min(limit, dataset.length); i++) {
    const { id, name, image, groundTruth } = await dataset.get(i);
    samples.push({ id, name, image: { height: image.height, width: image.width }, groundTruth });
  }
  return cocoFromSamples(samples, dataset.classNames);
}
