/** COCO data sets on disk. */
import { join } from "node:path";
import { DatasetError, toJson, type RawImage } from "@mrcnn/core";
import {
  createFindingList,
  errorOf,
  foreignAnnotations,
  parseCocoJson,
  type CocoJson,
  type CocoReviewOptions,
} from "@mrcnn/masks";
import { cocoDataset, type CocoDataset, type CocoDatasetOptions } from "./coco.ts";
import { readImageFile } from "./image-file.ts";
import { describeMissingImage, missingImageFinder, reviewPictures } from "./image-review.ts";
import type { PictureReviewOptions } from "./image-review.ts";
import { readJsonFile } from "./json-file.ts";
import { writeOutput } from "./output-file.ts";

/** A description of a COCO data set on disk, as plain data. */
export interface CocoFiles extends Omit<CocoDatasetOptions, "name"> {
  /** Folder to which `file_name`s are relative. */
  readonly images: string;
  /** Path of the COCO instances JSON file. */
  readonly annotations: string;
  /**
   * How images are reviewed when the data set is opened. "checked" reads the headers of all and throws for
   * wrong ones at once. "later" reads them too, but throws for wrong ones only when they are read; `notes`
   * lists oddities. "unread" reads nothing, for a data set that has been opened before. Default "checked".
   */
  readonly pictures?: "checked" | "later" | "unread";
}

/**
 * Reads a COCO annotation file without a review of its content, which `reviewCoco` of @mrcnn/masks does. NaN
 * and Infinity, which Python writes, are kept.
 *
 * @throws DatasetError naming the file when it is missing, no JSON, or in another known format.
 */
export async function readCocoValue(path: string): Promise<unknown> {
  const value = await readJsonFile(path, { what: "annotations", nonFinite: "keep" });
  const foreign = foreignAnnotations(value);
  if (foreign !== undefined) throw new DatasetError(`${path}: annotations must be COCO JSON, and ${foreign}`);
  return value;
}

/**
 * Reads a COCO annotation file and reviews it, for training unless `options` say otherwise.
 *
 * @throws DatasetError naming the file when it is missing, no JSON, or wrong.
 */
export async function readCocoAnnotations(path: string, options: CocoReviewOptions = {}): Promise<CocoJson> {
  return parseCocoJson(await readCocoValue(path), path, options);
}

/** Writes COCO annotations, completely or not at all. */
export async function writeCocoAnnotations(path: string, json: CocoJson): Promise<void> {
  await writeOutput(path, toJson(json));
}

/**
 * Opens a COCO data set on disk. Pixels are read on demand, but the existence of all images and their headers
 * are checked at once, some thousands a second; `onImage` receives the number done. Photos with an EXIF
 * orientation are read according to `orientation`: "stored" (default), as COCO's own tools and torchvision
 * do, or "exif", upright, where they were annotated so; `notes` lists those whose size doesn't reveal the
 * orientation.
 *
 * @throws DatasetError as `readCocoAnnotations` and `cocoDataset`, naming images that are missing (and
 * similar files that exist), that can't be read or that have another size than annotated, and photos that
 * were annotated in the other orientation.
 */
export async function cocoDatasetFromFiles(
  { images, annotations, pictures = "checked", ...options }: CocoFiles,
  { onImage }: Pick<PictureReviewOptions, "onImage"> = {},
): Promise<CocoDataset> {
  const { orientation = "stored", maxPixels } = options;
  const value = await readCocoValue(annotations);
  const limit = maxPixels === undefined ? {} : { maxPixels };
  const findMissing = missingImageFinder(images);
  const readImage = async (file: string): Promise<RawImage> => {
    const [missing] = findMissing([file]);
    if (missing !== undefined) throw new DatasetError(describeMissingImage(missing));
    return readImageFile(join(images, file), { orient: orientation === "exif", ...limit });
  };
  const dataset = cocoDataset(value as CocoJson, readImage, { ...options, name: annotations });
  if (pictures === "unread") return dataset;
  const found = createFindingList(options.advice);
  await reviewPictures(images, dataset.imageInfo, found, { orientation, onImage, ...limit });
  const findings = found.all();
  const error = errorOf(findings, annotations);
  if (error !== undefined && pictures === "checked") throw error;
  return { ...dataset, notes: [...dataset.notes, ...findings.filter(({ severity }) => severity === "note")] };
}
