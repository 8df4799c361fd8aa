import type { CocoId } from "@mrcnn/core";
/** Looks COCO annotations over without giving up at the first mistake, as opening them for training does. */
import { rleArea, segmentationToRle } from "@mrcnn/masks";
import type { CocoAnnotation, CocoImage } from "@mrcnn/masks";
import { CommandError } from "./errors.ts";

/** Something wrong, and how often. */
export interface Problem {
  readonly kind: string;
  /** Whether it would stop a training. */
  readonly fatal: boolean;
  readonly count: number;
  /** The first few: file names or annotation ids. */
  readonly examples: readonly string[];
}

export interface Bin {
  readonly label: string;
  readonly count: number;
}

/** What a data set is like. */
export interface Inspection {
  readonly images: number;
  readonly objects: number;
  readonly crowds: number;
  readonly withMasks: number;
  readonly imagesWithoutObjects: number;
  readonly imageSizes: readonly Bin[];
  readonly objectsPerImage: readonly Bin[];
  /** By the square root of the area, in pixels. */
  readonly objectSizes: readonly Bin[];
  readonly medianObjectsPerImage: number;
  readonly maxObjectsPerImage: number;
  readonly classes: readonly { readonly id: CocoId; readonly name: string; readonly objects: number; readonly images: number }[];
  readonly problems: readonly Problem[];
}

/** Collects mistakes by kind. */
export interface ProblemList {
  add(kind: string, example: string, severity: "fatal" | "warning"): void;
  all(): Problem[];
}

export function createProblemList(): ProblemList {
  const found = new Map<string, { fatal: boolean; count: number; examples: string[] }>();
  return {
    add(kind, example, severity) {
      const entry = found.get(kind) ?? { fatal: severity === "fatal", count: 0, examples: [] };
      entry.count++;
      if (entry.examples.length < 5) entry.examples.push(example);
      found.set(kind, entry);
    },
    all: () => [...found].map(([kind, entry]) => ({ kind, ...entry })).toSorted((a, b) => Number(b.fatal) - Number(a.fatal)),
  };
}

// How many values fall between neighbouring edges; the last bin is open.
function histogram(values: readonly number[], edges: readonly number[]): Bin[] {
  return edges.map((low, i) => {
    const high = edges[i + 1] ?? Infinity;
    const label = high === Infinity ? `${low} up` : high === low + 1 ? `${low}` : `${low}–${high - 1}`;
    return { label, count: values.filter((value) => value >= low && value < high).length };
  });
}

function tally(values: readonly string[]): Bin[] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].map(([label, count]) => ({ label, count })).toSorted((a, b) => b.count - a.count);
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** "1 image", "2 images", "3 classes". */
export const plural = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : noun.endsWith("s") ? "es" : "s"}`;

function listOf<T>(json: unknown, key: string, file: string): readonly Partial<T>[] {
  const value = (json as Record<string, unknown> | null)?.[key];
  if (!Array.isArray(value)) throw new CommandError(`${file}: key "${key}" must be a list. Is it a COCO annotation file?`);
  return value as Partial<T>[];
}

function duplicates(entries: readonly { readonly id?: unknown }[], what: string, problems: ProblemList): void {
  const seen = new Set<unknown>();
  for (const { id } of entries) {
    if (seen.has(id)) problems.add(`${what} id used twice`, String(id), "fatal");
    seen.add(id);
  }
}

/**
 * Looks at annotations; `problems` collects what is wrong with them.
 *
 * @throws CommandError when it is no COCO annotation file at all.
 */
export function inspectAnnotations(json: unknown, file: string, problems: ProblemList): Inspection {
  const images = listOf<CocoImage>(json, "images", file);
  const annotations = listOf<CocoAnnotation>(json, "annotations", file);
  const categories = listOf<{ id: CocoId; name: string }>(json, "categories", file);
  duplicates(images, "image", problems);
  duplicates(annotations, "annotation", problems);
  duplicates(categories, "category", problems);

  const imageOf = new Map(images.map((image) => [image.id, image]));
  const perImage = new Map(images.map((image) => [image.id, 0]));
  const perClass = new Map(categories.map(({ id }) => [id, { objects: 0, images: new Set<unknown>() }]));
  const sides: number[] = [];
  let crowds = 0;
  let withMasks = 0;
  let bare = 0;
  for (const annotation of annotations) {
    const { id, image_id, category_id, bbox, segmentation } = annotation;
    const name = `annotation ${id}`;
    const image = imageOf.get(image_id!);
    const ofClass = perClass.get(category_id!);
    if (image === undefined) problems.add("annotation of an image that is not listed", `${name}: image ${image_id}`, "fatal");
    if (ofClass === undefined) problems.add("annotation of a category that is not listed", `${name}: category ${category_id}`, "fatal");
    if (image === undefined || ofClass === undefined) continue;
    perImage.set(image_id!, perImage.get(image_id!)! + 1);
    ofClass.objects++;
    ofClass.images.add(image_id);
    if (annotation.iscrowd === 1) crowds++;

    const isBox = Array.isArray(bbox) && bbox.length === 4 && bbox.every((n) => Number.isFinite(n));
    if (!isBox) {
      problems.add("box that is not [x, y, width, height]", name, "fatal");
      continue;
    }
    const [x, y, w, h] = bbox;
    const [width, height] = [image.width ?? 0, image.height ?? 0];
    if (!(w > 0 && h > 0)) problems.add("box without area", `${name}: [${bbox.join(", ")}]`, "fatal");
    else if (x >= width || y >= height || x + w <= 0 || y + h <= 0) problems.add("box outside its image", `${name}: [${bbox.join(", ")}]`, "fatal");
    else if (x < -1 || y < -1 || x + w > width + 1 || y + h > height + 1) problems.add("box that reaches over its image's edge (it is cut)", name, "warning");
    let area = w * h;
    if (segmentation === undefined) bare++;
    else {
      withMasks++;
      try {
        area = rleArea(segmentationToRle(segmentation, { width, height }, name));
        if (area === 0) problems.add("mask without pixels", name, "warning");
      } catch (error) {
        problems.add("mask that can't be read or is of the wrong size", (error as Error).message, "fatal");
      }
    }
    sides.push(Math.sqrt(Math.max(area, 0)));
  }
  if (withMasks > 0 && bare > 0) problems.add("objects without a mask, while others have one", plural(bare, "object"), "fatal");
  if (images.length === 0) problems.add("no images", file, "fatal");
  if (annotations.length === 0) problems.add("no objects", file, "fatal");
  for (const { id, name } of categories) if (perClass.get(id!)?.objects === 0) problems.add("class without objects", String(name), "warning");

  const counts = [...perImage.values()];
  return {
    images: images.length,
    objects: annotations.length,
    crowds,
    withMasks,
    imagesWithoutObjects: counts.filter((n) => n === 0).length,
    imageSizes: tally(images.map(({ width, height }) => `${width}x${height}`)),
    objectsPerImage: histogram(counts, [0, 1, 2, 5, 10, 20, 50, 100, 200]),
    objectSizes: histogram(sides, [0, 4, 8, 16, 32, 64, 96, 128, 256, 512]),
    medianObjectsPerImage: median(counts),
    maxObjectsPerImage: counts.reduce((a, b) => Math.max(a, b), 0),
    classes: categories.map(({ id, name }) => ({ id: id!, name: name!, objects: perClass.get(id!)!.objects, images: perClass.get(id!)!.images.size })),
    problems: problems.all(),
  };
}
