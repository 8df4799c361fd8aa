import { DatasetError, quote, readJson } from "@mrcnn/core";
import { foreignResults } from "@mrcnn/masks";
import type { CocoResult } from "@mrcnn/masks";

// An entry takes kilobytes; so many bytes of values are none.
const LARGEST_ENTRY = 2 ** 28;

/**
 * Reads a results file of any length from its bytes, piece by piece, and hands its entries over in order. In
 * memory are a few megabytes of the text at a time. A Node file stream and the body of a `fetch` are such bytes.
 * NaN and Infinity, which Python writes, are handed over as they are; ids beyond 2^53 as bigints.
 *
 * @throws DatasetError naming the file (`name`), and the line and the entry, when it is no JSON list, and what `visit` throws.
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
