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

/** A COCO data set on disk; plain data. */
export interface CocoFiles extends Omit<CocoDatasetOptions, "name"> {
  /** Folder that `file_name`s are relative to. */
  readonly images: string;
  /** The COCO instances JSON. */
  readonly annotations: string;
  /**
   * What is looked at of the images when the data set is opened: the headers of all, and what is wrong with one is an error
   * at once (default, "checked"), or when it is read ("later"; `notes` says what is odd). "unread": nothing, as when the
   * data set has been opened before.
   */
  readonly pictures?: "checked" | "later" | "unread";
}

/**
 * Reads a COCO annotation file as it stands; `reviewCoco` of @mrcnn/masks judges what it holds. NaN and Infinity, which
 * Python writes, are kept.
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
 * Reads and checks a COCO annotation file, by default for training.
 *
 * @throws DatasetError naming the file when it is missing, no JSON, or wrong.
 */
export async function readCocoAnnotations(path: string, options: CocoReviewOptions = {}): Promise<CocoJson> {
  return parseCocoJson(await readCocoValue(path), path, options);
}

/** Writes COCO annotations, whole or not at all. */
export async function writeCocoAnnotations(path: string, json: CocoJson): Promise<void> {
  await writeOutput(path, toJson(json));
}

/**
 * Opens a COCO data set on disk. Pixels are read when asked for, but that all images are there, and what their headers say,
 * is looked at at once, some thousands a second; `onImage` is told how many are done. Photos that EXIF says are turned are
 * read as `orientation` says: "stored" (default), as COCO's own tools and torchvision do, or "exif", upright, where they
 * were annotated so; `notes` says which are turned in a way that their size doesn't tell.
 *
 * @throws DatasetError as `readCocoAnnotations` and `cocoDataset`, naming the images that are missing, with what lies
 *   there instead, that can't be read, that have another size than annotated, and photos that were annotated the other way up.
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
