import { join } from "node:path";
import { DatasetError, toJson } from "@mrcnn/core";
import { foreignAnnotations, parseCocoJson, type CocoJson, type CocoReviewOptions } from "@mrcnn/masks";
import { cocoDataset, type CocoDataset, type CocoDatasetOptions } from "./coco.ts";
import { readImageFile } from "./image-file.ts";
import { readJsonFile } from "./json-file.ts";
import { writeOutput } from "./output-file.ts";

/** A COCO data set on disk; plain data. */
export interface CocoFiles extends Omit<CocoDatasetOptions, "name"> {
  /** Folder that `file_name`s are relative to. */
  readonly images: string;
  /** The COCO instances JSON. */
  readonly annotations: string;
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
 * Opens a COCO data set on disk. Images are read when asked for.
 *
 * @throws DatasetError as `readCocoAnnotations` and `cocoDataset`.
 */
export async function cocoDatasetFromFiles({ images, annotations, ...options }: CocoFiles): Promise<CocoDataset> {
  const value = await readCocoValue(annotations);
  return cocoDataset(value as CocoJson, (file) => readImageFile(join(images, file), { orient: false }), { ...options, name: annotations });
}
