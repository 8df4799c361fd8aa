import { DatasetError } from "@mrcnn/core";
import type { CocoResult } from "@mrcnn/masks";

const [QUOTE, COMMA, OPEN_LIST, BACKSLASH, CLOSE_LIST, OPEN, CLOSE] = Array.from('",[\\]{}', (c) => c.charCodeAt(0));
// As much text as is parsed at once. Larger pieces are no faster and keep more objects alive.
const PIECE = 2 ** 20;

/**
 * Reads a JSON list piece by piece, cutting it between its entries, and hands them over in order; in memory is
 * about a megabyte of the text, or one entry when that is longer.
 *
 * @throws DatasetError naming the file when it is no JSON list, and what `visit` throws.
 */
export async function readResults(chunks: AsyncIterable<Uint8Array>, name: string, visit: (result: CocoResult, index: number) => void): Promise<void> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = new Uint8Array(2 * PIECE);
  let length = 0;
  // Up to where brackets are counted, and the last comma between entries there; what is before `text` is done with.
  let scanned = 0;
  let comma = -1;
  let depth = 0;
  let inString = false;
  let state = "before" as "before" | "within" | "after";
  let index = 0;

  const fail = (reason: string, cause?: unknown): never => {
    throw new DatasetError(`${name} must be a JSON list of COCO results: ${reason}. It may be cut short, or another kind of file.`, { cause });
  };
  const visitUpTo = (end: number): void => {
    let entries: CocoResult[] = [];
    try {
      entries = JSON.parse(`[${decoder.decode(text.subarray(0, end))}]`) as CocoResult[];
    } catch (cause) {
      fail(`from entry ${index} on, ${(cause as Error).message}`, cause);
    }
    for (const entry of entries) visit(entry, index++);
    drop(end + 1);
  };
  const drop = (bytes: number): void => {
    text.copyWithin(0, bytes, length);
    length = Math.max(0, length - bytes);
    scanned -= bytes;
    comma = -1;
  };
  const isSpace = (byte: number): boolean => byte === 32 || (byte >= 9 && byte <= 13);
  const scan = (): void => {
    if (state === "before") {
      const start = text.subarray(0, length).findIndex((byte) => !isSpace(byte));
      if (start < 0) return;
      if (text[start] !== OPEN_LIST) fail("it does not begin as one");
      drop(start + 1);
      scanned = 0;
      state = "within";
    }
    let at = scanned;
    for (; at < length && state === "within"; at++) {
      const byte = text[at]!;
      if (inString) {
        if (byte === BACKSLASH) at++;
        else if (byte === QUOTE) inString = false;
      } else if (byte === QUOTE) inString = true;
      else if (byte === OPEN || byte === OPEN_LIST) depth++;
      else if (byte === CLOSE || byte === CLOSE_LIST) {
        if (--depth >= 0) continue;
        if (byte !== CLOSE_LIST) fail("its brackets don't match");
        const last = text.subarray(0, at);
        // An empty list has no entry; behind a comma there must be one.
        if (index > 0 && last.every(isSpace)) fail("it ends in a comma");
        visitUpTo(at);
        state = "after";
        at = -1;
      } else if (byte === COMMA && depth === 0) comma = at;
    }
    scanned = at;
    if (state === "after" && !text.subarray(0, length).every(isSpace)) fail("more follows behind its end");
    if (state === "within" && comma >= PIECE) visitUpTo(comma);
  };

  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.length; from += PIECE) {
      const part = chunk.subarray(from, from + PIECE);
      if (length + part.length > text.length) {
        const wider = new Uint8Array(2 * (length + part.length));
        wider.set(text.subarray(0, length));
        text = wider;
      }
      text.set(part, length);
      length += part.length;
      scan();
    }
  }
  if (state !== "after") fail(state === "before" ? "it is empty" : "its end is missing");
}
