import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DatasetError, parseJson, toJson } from "@mrcnn/core";
import { parseCocoJson, type CocoJson, type ParseCocoOptions } from "@mrcnn/masks";
import { cocoDataset, type CocoDataset, type CocoDatasetOptions } from "./coco.ts";
import { readImageFile } from "./image-file.ts";
import { writeOutput } from "./output-file.ts";

/** A COCO data set on disk; plain data. */
export interface CocoFiles extends Pick<CocoDatasetOptions, "degenerate"> {
  /** Folder that `file_name`s are relative to. */
  readonly images: string;
  /** The COCO instances JSON. */
  readonly annotations: string;
}

/**
 * Reads and checks a COCO annotation file.
 *
 * @throws DatasetError naming the file when it is missing, no JSON, or wrong.
 */
export async function readCocoAnnotations(path: string, options: ParseCocoOptions = {}): Promise<CocoJson> {
  let value: unknown;
  try {
    value = parseJson(await readFile(path, "utf8"));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DatasetError(`${path}: annotations must be a readable JSON file: ${reason}. Check the path and the file.`, { cause });
  }
  return parseCocoJson(value, path, options);
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
  const json = await readCocoAnnotations(annotations, { emptyBoxes: options.degenerate === "drop" ? "keep" : "error" });
  return cocoDataset(json, (file) => readImageFile(join(images, file), { orient: false }), { ...options, name: annotations });
}
