import { DatasetError, isCocoId, quote } from "@mrcnn/core";
import type { CocoId, ImageSize, Rle } from "@mrcnn/core";
import { rasterizePolygons } from "./polygon.ts";
import { rleFromString } from "./rle-string.ts";
import { rleFromCounts } from "./rle.ts";

/** (x, y, width, height) in pixels. */
export type CocoBox = readonly [x: number, y: number, width: number, height: number];

/** Run lengths in a COCO file: `size` is [height, width]; counts are plain or COCO's compressed text. */
export interface CocoRle {
  readonly size: readonly [height: number, width: number];
  readonly counts: string | readonly number[];
}

/** Polygons (x1, y1, x2, y2, ...) whose union is the object, or run lengths. */
export type CocoSegmentation = readonly (readonly number[])[] | CocoRle;

/** An entry of a COCO file's `images`. */
export interface CocoImage {
  readonly id: CocoId;
  readonly width: number;
  readonly height: number;
  readonly file_name: string;
}

/** An entry of `categories`. */
export interface CocoCategory {
  readonly id: CocoId;
  readonly name: string;
  readonly supercategory?: string;
}

/** An entry of `annotations`: one object, or one crowd. */
export interface CocoAnnotation {
  readonly id: CocoId;
  readonly image_id: CocoId;
  readonly category_id: CocoId;
  readonly bbox: CocoBox;
  readonly segmentation?: CocoSegmentation;
  /** In pixels; what COCO's size ranges go by. */
  readonly area?: number;
  readonly iscrowd?: number;
  /** (x, y, visibility) of each keypoint, flat; visibility 0 is unmarked. */
  readonly keypoints?: readonly number[];
  /** How many are marked. */
  readonly num_keypoints?: number;
}

/** A COCO annotation file ("instances_*.json"); further keys are allowed and left alone. */
export interface CocoJson {
  readonly images: readonly CocoImage[];
  readonly annotations: readonly CocoAnnotation[];
  readonly categories: readonly CocoCategory[];
}

/** One entry of a COCO results file. */
export interface CocoResult {
  readonly image_id: CocoId;
  readonly category_id: CocoId;
  readonly score: number;
  readonly bbox?: CocoBox;
  readonly segmentation?: CocoSegmentation;
  /** (x, y, visibility) of each keypoint, flat; the evaluation reads x and y. */
  readonly keypoints?: readonly number[];
  /** Of each keypoint, as the model gives them: logits or probabilities. COCO's format has none and ignores them. */
  readonly keypoint_scores?: readonly number[];
}

/** Of `parseCocoJson`. */
export interface ParseCocoOptions {
  /** What to do with boxes whose width or height is not above 0: throw (default), leave those annotations out, or keep them. */
  readonly emptyBoxes?: "error" | "skip" | "keep";
}

type Loose = Readonly<Record<string, unknown>>;
const isRecord = (value: unknown): value is Loose => typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Checks the parsed JSON of a COCO annotation file and returns it typed. `where` is the file's name.
 * Segmentations are checked for their form only; `segmentationToRle` reads them.
 *
 * @throws DatasetError naming the file and the image, annotation or category: a missing or ill-typed
 * key, an id used twice, an annotation of an unknown image or category, empty or negative boxes (listed).
 */
export function parseCocoJson(value: unknown, where: string, options: ParseCocoOptions = {}): CocoJson {
  const { emptyBoxes = "error" } = options;
  if (!isRecord(value)) throw new DatasetError(`${where}: must be a COCO annotation object, got ${quote(value)}.`);
  const list = (key: string): readonly Loose[] => {
    const entries = value[key];
    if (!Array.isArray(entries)) {
      throw new DatasetError(`${where}: key "${key}" must be a list, got ${quote(entries)}. Is it a COCO annotation file?`);
    }
    entries.forEach((entry, i) => {
      if (!isRecord(entry)) throw new DatasetError(`${where}: ${key}[${i}] must be an object, got ${quote(entry)}.`);
    });
    return entries as Loose[];
  };
  const fail = (entry: string, key: string, wanted: string, got: unknown): never => {
    throw new DatasetError(`${where}: ${entry}: ${key} must be ${wanted}, got ${quote(got)}.`);
  };
  const ids = (key: string, entries: readonly Loose[]): Set<unknown> => {
    const seen = new Set<unknown>();
    entries.forEach((entry, i) => {
      if (!isCocoId(entry.id)) fail(`${key}[${i}]`, "id", "a whole number or text", entry.id);
      if (seen.has(entry.id)) throw new DatasetError(`${where}: ${key}[${i}]: id ${quote(entry.id)} is used twice. Ids must be unique.`);
      seen.add(entry.id);
    });
    return seen;
  };

  const images = list("images");
  const imageIds = ids("images", images);
  for (const image of images) {
    const name = `image ${quote(image.id)}`;
    for (const key of ["width", "height"]) {
      if (!(Number.isInteger(image[key]) && (image[key] as number) > 0)) fail(name, key, "a whole number > 0", image[key]);
    }
    if (typeof image.file_name !== "string") fail(name, "file_name", "a string", image.file_name);
  }

  const categories = list("categories");
  const categoryIds = ids("categories", categories);
  for (const category of categories) {
    if (typeof category.name !== "string") fail(`category ${quote(category.id)}`, "name", "a string", category.name);
  }

  const annotations = list("annotations");
  ids("annotations", annotations);
  const empty: CocoId[] = [];
  for (const annotation of annotations) {
    const { id, image_id, category_id, bbox, segmentation, area, iscrowd } = annotation;
    const name = `annotation ${quote(id)}`;
    if (!imageIds.has(image_id)) fail(name, "image_id", "the id of an image of the file", image_id);
    if (!categoryIds.has(category_id)) fail(name, "category_id", "the id of a category of the file", category_id);
    if (!isBox(bbox)) fail(name, "bbox", "[x, y, width, height] in numbers", bbox);
    const [, , width, height] = bbox as CocoBox;
    if (!(width > 0 && height > 0)) empty.push(id as CocoId);
    if (area !== undefined && !(Number.isFinite(area) && (area as number) >= 0)) fail(name, "area", "a number >= 0", area);
    if (iscrowd !== undefined && iscrowd !== 0 && iscrowd !== 1 && typeof iscrowd !== "boolean") fail(name, "iscrowd", "0 or 1", iscrowd);
    if (segmentation !== undefined && !isSegmentation(segmentation)) {
      fail(name, "segmentation", "a list of polygons or { size, counts }", segmentation);
    }
  }
  if (empty.length > 0 && emptyBoxes === "error") {
    const shown = empty.slice(0, 10).join(", ") + (empty.length > 10 ? ", ..." : "");
    throw new DatasetError(
      `${where}: boxes must have a width and a height above 0; ${empty.length} have not, of annotation ${shown}. ` +
        'Correct or remove them, or read the file with emptyBoxes: "skip".',
    );
  }
  if (empty.length > 0 && emptyBoxes === "skip") {
    const left = new Set<unknown>(empty);
    return { ...(value as unknown as CocoJson), annotations: (annotations as unknown as CocoAnnotation[]).filter((a) => !left.has(a.id)) };
  }
  return value as unknown as CocoJson;
}

function isBox(value: unknown): value is CocoBox {
  return Array.isArray(value) && value.length === 4 && value.every((n) => Number.isFinite(n));
}

function isSegmentation(value: unknown): value is CocoSegmentation {
  if (Array.isArray(value)) return value.every((polygon) => Array.isArray(polygon));
  if (!isRecord(value)) return false;
  const { size, counts } = value;
  return Array.isArray(size) && size.length === 2 && (typeof counts === "string" || Array.isArray(counts));
}

/**
 * The mask of a COCO segmentation, polygons or run lengths, on an image of `size`.
 * `where` names the file and annotation in errors.
 *
 * @throws DatasetError when it is not a segmentation, is of another size, or its counts don't add up.
 */
export function segmentationToRle(segmentation: CocoSegmentation, size: ImageSize, where = "segmentationToRle"): Rle {
  if (!isSegmentation(segmentation)) {
    throw new DatasetError(`${where}: segmentation must be a list of polygons or { size, counts }, got ${quote(segmentation)}.`);
  }
  if (!("counts" in segmentation)) return rasterizePolygons(segmentation, size, where);
  const [height, width] = segmentation.size;
  if (height !== size.height || width !== size.width) {
    throw new DatasetError(
      `${where}: segmentation must be of the image's size ${size.height} x ${size.width} (height x width), got ${height} x ${width}.`,
    );
  }
  const { counts } = segmentation;
  return typeof counts === "string" ? rleFromString(counts, size, where) : rleFromCounts(counts, size, where);
}
