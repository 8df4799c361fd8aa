// What a COCO data set is like, and what is wrong with it: the rules are those by which training opens it.
import type { CocoId } from "@mrcnn/core";
import { rleArea, reviewCoco, segmentationToRle } from "@mrcnn/masks";
import type {
  CocoAnnotation,
  CocoFinding,
  CocoImage,
  CocoReview,
  CocoReviewOptions,
  FindingList,
} from "@mrcnn/masks";

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
  readonly classes: readonly {
    readonly id: CocoId;
    readonly name: string;
    readonly objects: number;
    readonly images: number;
  }[];
  /** What is wrong or odd. */
  readonly problems: readonly CocoFinding[];
}

// How many values fall between neighbouring edges; the last bin is open.
function histogram(values: readonly number[], edges: readonly number[]): Bin[] {
  return edges.map((low, i) => {
    const high = edges[i + 1] ?? Infinity;
    const label =
      high === Infinity ? `${low} up`
      : high === low + 1 ? `${low}`
      : `${low}–${high - 1}`;
    return { label, count: values.filter((value) => value >= low && value < high).length };
  });
}

function tally(values: readonly string[]): Bin[] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].map(([label, count]) => ({ label, count })).toSorted((a, b) => b.count - a.count);
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** A look at annotations: what they are like, and the review behind `problems`. */
export interface Inspected {
  readonly inspection: Inspection;
  readonly review: CocoReview;
}

/**
 * Looks at annotations by the rules of a training; `found` collects what else there is to say.
 *
 * @throws DatasetError when it is no COCO annotation file at all.
 */
export function inspectAnnotations(
  value: unknown,
  file: string,
  { rules, found }: { readonly rules: CocoReviewOptions; readonly found: FindingList },
): Inspected {
  const review = reviewCoco(value, file, rules);
  const { images, categories, annotations } = value as {
    images: Partial<CocoImage>[];
    categories: { id: CocoId; name: unknown }[];
    annotations: Partial<CocoAnnotation>[];
  };
  const imageOf = new Map(images.map((image) => [image.id, image]));
  const perImage = new Map(images.map(({ id }) => [id, 0]));
  const perClass = new Map(
    categories.map(({ id }) => [id as CocoId | undefined, { objects: 0, images: new Set<unknown>() }]),
  );
  const sides: number[] = [];
  let crowds = 0;
  let withMasks = 0;
  for (const annotation of annotations) {
    const { image_id, category_id } = annotation;
    const image = imageOf.get(image_id);
    const ofClass = perClass.get(category_id);
    if (image === undefined || ofClass === undefined) continue;
    perImage.set(image_id, perImage.get(image_id)! + 1);
    ofClass.objects++;
    ofClass.images.add(image_id);
    if (annotation.iscrowd === 1 || (annotation.iscrowd as unknown) === true) crowds++;
    const mask = maskArea(annotation, image);
    if (mask !== undefined) withMasks++;
    if (mask === 0 && Array.isArray(annotation.segmentation)) {
      found.add("mask without pixels", {
        severity: "note",
        example: `annotation ${String(annotation.id)} of ${image.file_name}: segmentation has no pixel set`,
        advice: "Its object has a box alone.",
      });
    }
    const area = mask ?? boxArea(annotation);
    if (area !== undefined) sides.push(Math.sqrt(area));
  }

  const counts = [...perImage.values()];
  return {
    review,
    inspection: {
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
      classes: categories.map(({ id, name }) => ({
        id,
        name: String(name),
        objects: perClass.get(id)!.objects,
        images: perClass.get(id)!.images.size,
      })),
      problems: review.findings,
    },
  };
}

// The mask of an annotation that may be wrong, which the review says; undefined when none can be drawn.
function maskArea(
  { segmentation }: Partial<CocoAnnotation>,
  { width, height }: Partial<CocoImage>,
): number | undefined {
  if (segmentation === undefined || segmentation === null || width === undefined || height === undefined)
    return undefined;
  const parts =
    Array.isArray(segmentation) ?
      segmentation.filter((part) => Array.isArray(part) && part.length >= 6)
    : segmentation;
  if (
    Array.isArray(parts) &&
    !(parts.length > 0 && parts.every((part) => (part as readonly unknown[]).every(Number.isFinite)))
  )
    return undefined;
  try {
    return rleArea(segmentationToRle(parts, { width, height }));
  } catch {
    return undefined;
  }
}

function boxArea({ bbox }: Partial<CocoAnnotation>): number | undefined {
  return Array.isArray(bbox) && bbox.length === 4 && bbox.every(Number.isFinite) ?
      Math.max(bbox[2], 0) * Math.max(bbox[3], 0)
    : undefined;
}
