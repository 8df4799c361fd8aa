/** Types of COCO's JSON files, and conversion of segmentations to run lengths. */
import { DatasetError, isRecord, quote } from "@mrcnn/core";
import type { CocoId, ImageSize, Rle } from "@mrcnn/core";
import { rasterizePolygons } from "./polygon.ts";
import { rleFromString } from "./rle-string.ts";
import { rleFromCounts } from "./rle.ts";

/** A box (x, y, width, height) in pixels. */
export type CocoBox = readonly [x: number, y: number, width: number, height: number];

/**
 * Run lengths in a COCO file: `size` is [height, width]; `counts` are plain numbers or COCO's compressed
 * text.
 */
export interface CocoRle {
  readonly size: readonly [height: number, width: number];
  readonly counts: string | readonly number[];
}

/** A segmentation: polygons (x1, y1, x2, y2, ...) whose union is the object, or run lengths. */
export type CocoSegmentation = readonly (readonly number[])[] | CocoRle;

/** An entry of a COCO file's `images`. */
export interface CocoImage {
  readonly id: CocoId;
  readonly width: number;
  readonly height: number;
  readonly file_name: string;
}

/** An entry of a COCO file's `categories`. */
export interface CocoCategory {
  readonly id: CocoId;
  readonly name: string;
  readonly supercategory?: string;
}

/** An entry of a COCO file's `annotations`: one object, or one crowd. */
export interface CocoAnnotation {
  readonly id: CocoId;
  readonly image_id: CocoId;
  readonly category_id: CocoId;
  readonly bbox: CocoBox;
  readonly segmentation?: CocoSegmentation;
  /** Area in pixels, by which COCO's size ranges are decided. */
  readonly area?: number;
  readonly iscrowd?: number;
  /** (x, y, visibility) of each keypoint, flat; visibility 0 is unmarked. */
  readonly keypoints?: readonly number[];
  /** Number of marked keypoints. */
  readonly num_keypoints?: number;
}

/** A COCO annotation file ("instances_*.json"); further keys are allowed and left unchanged. */
export interface CocoJson {
  readonly images: readonly CocoImage[];
  readonly annotations: readonly CocoAnnotation[];
  readonly categories: readonly CocoCategory[];
}

/** An entry of a COCO results file. */
export interface CocoResult {
  readonly image_id: CocoId;
  readonly category_id: CocoId;
  readonly score: number;
  readonly bbox?: CocoBox;
  readonly segmentation?: CocoSegmentation;
  /** (x, y, visibility) of each keypoint, flat; the evaluation reads x and y. */
  readonly keypoints?: readonly number[];
  /**
   * Score of each keypoint as the model gives it, a logit or a probability. COCO's format has no such key and
   * ignores it.
   */
  readonly keypoint_scores?: readonly number[];
}
function isSegmentation(value: unknown): value is CocoSegmentation {
  if (Array.isArray(value)) return value.every((polygon) => Array.isArray(polygon));
  if (!isRecord(value)) return false;
  const { size, counts } = value;
  return Array.isArray(size) && size.length === 2 && (typeof counts === "string" || Array.isArray(counts));
}

/**
 * Returns the mask of a COCO segmentation, polygons or run lengths, on an image of `size`. `where` names the
 * file and annotation in errors.
 *
 * @throws DatasetError when it is not a segmentation, is of another size, or its counts don't add up.
 */
export function segmentationToRle(
  segmentation: CocoSegmentation,
  size: ImageSize,
  where = "segmentationToRle",
): Rle {
  if (!isSegmentation(segmentation)) {
    throw new DatasetError(
      `${where}: segmentation must be a list of polygons or { size, counts }, got ${quote(segmentation)}.`,
    );
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
