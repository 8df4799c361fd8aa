import { DatasetError, parseJson } from "@mrcnn/core";
import type { CocoResult } from "@mrcnn/masks";

const [COMMA, OPEN_LIST, OPEN, CLOSE] = Array.from(",[{}", (c) => c.charCodeAt(0));
// As much text as is parsed at once. Larger pieces are no faster and keep more objects alive.
const PIECE = 2 ** 20;
// An entry takes kilobytes. Where so much can't be cut between entries, the text is at fault.
const LONGEST = 2 ** 27;

/**
 * Reads a results file of any length from its bytes, piece by piece, and hands its entries over in order. In
 * memory are a few megabytes of the text at a time. A Node file stream and the body of a `fetch` are such bytes.
 *
 * @throws DatasetError naming the file (`name`) when it is no JSON list, and what `visit` throws.
 */
export async function readCocoResults(chunks: AsyncIterable<Uint8Array>, name: string, visit: (result: CocoResult, index: number) => void): Promise<void> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = new Uint8Array(2 * PIECE);
  let length = 0;
  let begun = false;
  // A piece is tried when the text is so long.
  let enough = PIECE;
  let index = 0;

  const fail = (reason: string, cause?: unknown): never => {
    throw new DatasetError(`${name} must be a JSON list of COCO results: ${reason}. It may be cut short, or another kind of file.`, { cause });
  };
  const drop = (bytes: number): void => {
    text.copyWithin(0, bytes, length);
    length -= bytes;
  };
  const parse = (end: number, close: string): CocoResult[] => parseJson(`[${decoder.decode(text.subarray(0, end))}${close}`) as CocoResult[];
  // Names the entry if it can be told: the first that doesn't parse by itself.
  const whatIsWrong = (cause: unknown): string => {
    const general = `from entry ${index} on, ${cause instanceof Error ? cause.message : "nothing divides them"}`;
    if (!(cause instanceof SyntaxError)) return general;
    const entries = new TextDecoder().decode(text.subarray(0, length)).split(/(?<=\})\s*,\s*(?=\{)/);
    for (const [i, entry] of entries.entries()) {
      const last = i === entries.length - 1;
      try {
        JSON.parse(last ? entry.replace(/\]\s*$/, "") : entry);
      } catch (error) {
        // The last may only have been cut short, or have something behind it.
        if (!last || /\}\s*\]\s*$/.test(entry)) return `entry ${index + i} is no JSON, ${(error as Error).message}`;
      }
    }
    return general;
  };
  const visitAll = (entries: readonly CocoResult[]): void => {
    for (const entry of entries) visit(entry, index++);
  };
  const begin = (): void => {
    const start = text.subarray(0, length).findIndex((byte) => !isSpace(byte));
    if (start < 0) return;
    if (text[start] !== OPEN_LIST) fail("it does not begin as one");
    drop(start + 1);
    begun = true;
  };
  // What lies before a comma between entries is a list when it is closed. Inside an entry such a comma leaves brackets or
  // quotes open and doesn't parse: then more text is awaited.
  const takePiece = (): void => {
    const comma = lastComma(text, length);
    let entries: CocoResult[] | undefined;
    let cause: unknown;
    try {
      if (comma > 0) entries = parse(comma, "]");
    } catch (error) {
      cause = error;
    }
    if (entries === undefined) {
      if (length > LONGEST) fail(whatIsWrong(cause), cause);
      enough = 2 * length;
      return;
    }
    visitAll(entries);
    drop(comma + 1);
    enough = PIECE;
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
      if (!begun) begin();
      if (length >= enough) takePiece();
    }
  }
  if (!begun) fail("it is empty");
  let rest: CocoResult[] = [];
  try {
    rest = parse(length, "");
  } catch (cause) {
    fail(whatIsWrong(cause), cause);
  }
  if (index > 0 && rest.length === 0) fail("it ends in a comma");
  visitAll(rest);
}

const isSpace = (byte: number): boolean => byte === 32 || (byte >= 9 && byte <= 13);

/** The last comma between a closing and an opening brace, or -1. */
function lastComma(text: Uint8Array, length: number): number {
  const before = (at: number): number => {
    do at--;
    while (at >= 0 && isSpace(text[at]!));
    return at;
  };
  for (let open = text.lastIndexOf(OPEN!, length - 1); open > 0; open = text.lastIndexOf(OPEN!, open - 1)) {
    const comma = before(open);
    if (text[comma] === COMMA && text[before(comma)] === CLOSE) return comma;
  }
  return -1;
}
