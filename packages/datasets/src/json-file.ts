/** Reading of JSON files of any length. */
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { getHeapStatistics } from "node:v8";
import { DatasetError, NotJsonError, readJson, readJsonBytes } from "@mrcnn/core";
import type { ReadJsonOptions } from "@mrcnn/core";
import { whyNoFile } from "./regular-file.ts";

/** Options of reading a JSON file. */
export interface ReadJsonFileOptions extends ReadJsonOptions {
  /** Name of the contents in errors. Default "the file". */
  readonly what?: string;
  /** Size in bytes above which files are read piece by piece. Default 2^24. */
  readonly streamAbove?: number;
}

// Bounds on the memory of values: they usually take up to a few times that of their text; much more is an
// attack, or a mistake.
const MOST_BYTES_PER_BYTE = 10;
const MOST_BYTES_AT_LEAST = 2 ** 28;
// Share of the heap's free part that the values may fill; the rest is left for the work.
const SHARE_OF_HEAP = 0.8;

/**
 * Reads a JSON file of any length, a long one piece by piece, so that little more than its values is in
 * memory. Whole numbers beyond 2^53 are read as bigints.
 *
 * @throws DatasetError naming the file, and the line and value of an error: when it is missing, no regular
 * file, no JSON, or its values take more memory than there is.
 */
export async function readJsonFile(
  path: string,
  { what = "the file", streamAbove = 2 ** 24, ...options }: ReadJsonFileOptions = {},
): Promise<unknown> {
  const fail = (reason: string, cause?: unknown): DatasetError =>
    new DatasetError(`${path}: ${what} must be a readable JSON file: ${reason}`, { cause });
  const noFile = whyNoFile(path);
  if (noFile !== undefined) throw fail(noFile);
  const { heap_size_limit, used_heap_size } = getHeapStatistics();
  try {
    const { size } = await stat(path);
    if (size <= streamAbove) return readJsonBytes(await readFile(path), options);
    const maxBytes = Math.min(
      MOST_BYTES_AT_LEAST + MOST_BYTES_PER_BYTE * size,
      SHARE_OF_HEAP * (heap_size_limit - used_heap_size),
    );
    return await readJson(createReadStream(path, { highWaterMark: 2 ** 20 }), { maxBytes, ...options });
  } catch (cause) {
    const { message } = cause as Error;
    if (cause instanceof NotJsonError) throw fail(message, cause);
    if (/more memory than there is/.test(message))
      throw fail(
        `${message}. Give Node more (NODE_OPTIONS=--max-old-space-size=MEGABYTES), or divide the file.`,
        cause,
      );
    throw fail(`${message.replace(/\.$/, "")}. Correct or replace the file.`, cause);
  }
}
