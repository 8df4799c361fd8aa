import { join } from "node:path";
import { DatasetError, toJson, type RawImage } from "@mrcnn/core";
import { createFindingList, errorOf, foreignAnnotations, parseCocoJson, type CocoJson, type CocoReviewOptions } from "@mrcnn/masks";
import { cocoDataset, type CocoDataset, type CocoDatasetOptions } from "./coco.ts";
import { readImageFile } from "./image-file.ts";
import { addTurnedPhoto, describeMissingImage, findTurnedPhotos, missingImageFinder } from "./image-review.ts";
import { readJsonFile } from "./json-file.ts";
import { writeOutput } from "./output-file.ts";

// Headers of so many photos tell whether a data set has turned ones, in a fraction of a second.
const PHOTOS_LOOKED_AT = 200;

/** A COCO data set on disk; plain data. */
export interface CocoFiles extends Omit<CocoDatasetOptions, "name"> {
  /** Folder that `file_name`s are relative to. */
  readonly images: string;
  /** The COCO instances JSON. */
  readonly annotations: string;
  /** Whether images that aren't there are an error when the data set is opened (default), or when each is read. */
  readonly missingImages?: "error" | "later";
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
 * Opens a COCO data set on disk. Images are read when asked for, but that they are there is checked at once. Photos that
 * EXIF says are turned are read as `orientation` says: "stored" (default), as COCO's own tools and torchvision do, or "exif",
 * upright, where they were annotated so; of up to 200 the headers are looked at, and `notes` says which are turned.
 *
 * @throws DatasetError as `readCocoAnnotations` and `cocoDataset`, naming the images that are missing, with what lies
 *   there instead, and a turned photo whose size shows that it was annotated the other way up.
 */
export async function cocoDatasetFromFiles({ images, annotations, missingImages = "error", ...options }: CocoFiles): Promise<CocoDataset> {
  const { orientation = "stored", maxPixels } = options;
  const value = await readCocoValue(annotations);
  const decoding = { orient: orientation === "exif", ...(maxPixels === undefined ? {} : { maxPixels }) };
  const findMissing = missingImageFinder(images);
  const readImage = async (file: string): Promise<RawImage> => {
    const [missing] = findMissing([file]);
    if (missing !== undefined) throw new DatasetError(describeMissingImage(missing));
    return readImageFile(join(images, file), decoding);
  };
  const dataset = cocoDataset(value as CocoJson, readImage, { ...options, name: annotations });
  const missing = missingImages === "later" ? [] : findMissing(dataset.imageInfo.map(({ file_name }) => file_name));
  if (missing.length > 0) {
    const others = missing.length === 1 ? "" : ` Missing as well: ${missing.slice(1, 4).map(({ name }) => name).join(", ")}${missing.length > 4 ? ` and ${missing.length - 4} more` : ""}.`;
    throw new DatasetError(`${annotations}: ${describeMissingImage(missing[0]!)}${others}`);
  }
  const turned = createFindingList(options.advice);
  const lookedAt = dataset.length > PHOTOS_LOOKED_AT ? `${PHOTOS_LOOKED_AT} of ${dataset.length} photos were looked at. ` : "";
  for (const photo of await findTurnedPhotos(images, dataset.imageInfo, { limit: PHOTOS_LOOKED_AT })) addTurnedPhoto(turned, photo, { read: orientation, lookedAt });
  const findings = turned.all();
  const error = errorOf(findings, annotations);
  if (error !== undefined && missingImages === "error") throw error;
  return { ...dataset, notes: [...dataset.notes, ...findings] };
}
