/** Streaming reader of COCO results files. */
import { DatasetError, quote, readJson } from "@mrcnn/core";
import { foreignResults } from "@mrcnn/masks";
import type { CocoResult } from "@mrcnn/masks";

// Most bytes that the values of an entry may take; real entries take kilobytes.
const LARGEST_ENTRY = 2 ** 28;

/**
 * Reads a results file of any length from its bytes, such as a Node file stream or the body of a `fetch`, and
 * passes its entries to `visit` in order. Only a few megabytes of the text are in memory at a time. NaN and
 * Infinity, which Python writes, are passed on as numbers, ids beyond 2^53 as bigints.
 *
 * @throws DatasetError naming the file (`name`), and the line and the entry, when it is no JSON list; and
 * whatever `visit` throws.
 */
export async function readCocoResults(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
  visit: (result: CocoResult, index: number) => void,
): Promise<void> {
  let value: unknown;
  try {
    value = await readJson(chunks, {
      nonFinite: "keep",
      maxBytes: LARGEST_ENTRY,
      onEntry: (entry, i) => visit(entry as CocoResult, i),
    });
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new DatasetError(
      `${name} must be a JSON list of COCO results: ${cause.message.replace(/\.$/, "")}. Correct or replace the file.`,
      { cause },
    );
  }
  if (Array.isArray(value)) return;
  throw new DatasetError(
    `${name} must be a JSON list of COCO results: ${foreignResults(value) ?? `it is ${quote(value)}. Is it another kind of file?`}`,
  );
}
