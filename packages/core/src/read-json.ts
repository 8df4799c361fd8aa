/** Reading of JSON from bytes: detects their encoding, and recognises files that hold no JSON. */
import { whatFile } from "./file-kind.ts";
import { createJsonReader, JsonError, parseJson } from "./json-reader.ts";
import type { JsonReader, ReadJsonOptions } from "./json-reader.ts";

/** An error for a file that is not JSON; the message says what it is, and what to do. */
export class NotJsonError extends SyntaxError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "NotJsonError";
  }
}

type Encoding = "utf-8" | "utf-16le" | "utf-16be";

// Number of bytes that are decoded at once.
const PIECE = 2 ** 20;
// Number of bytes at the beginning of a file that tell its kind.
const HEAD = 4096;

/**
 * Reads a JSON text of any length from a stream of its bytes, such as a Node file stream or the body of a
 * `fetch`, in UTF-8 or UTF-16 with or without a byte order mark.
 *
 * @throws JsonError with the place of the error; NotJsonError when the bytes are something else (a zip, a web
 * page, XML, YOLO's text).
 */
export async function readJson(
  chunks: AsyncIterable<Uint8Array>,
  options: ReadJsonOptions = {},
): Promise<unknown> {
  const reader = createBytesReader(options);
  for await (const chunk of chunks) reader.push(chunk);
  return reader.end();
}

/**
 * Reads a JSON text whose bytes are all in memory.
 *
 * @throws as `readJson`.
 */
export function readJsonBytes(bytes: Uint8Array, options: ReadJsonOptions = {}): unknown {
  let text: string;
  try {
    text = new TextDecoder(encodingOf(bytes), { fatal: true }).decode(bytes);
  } catch {
    const reader = createBytesReader(options); // for the place of the error
    reader.push(bytes);
    return reader.end();
  }
  return named(bytes, () => parseJson(text, options));
}

function createBytesReader(options: ReadJsonOptions): { push(bytes: Uint8Array): void; end(): unknown } {
  const reader = createJsonReader(options);
  let head: Uint8Array = new Uint8Array(0);
  let decode: ((bytes?: Uint8Array) => string) | undefined;
  const decodePart = (part: Uint8Array): void => named(head, () => reader.push(decode!(part)));
  // The first bytes tell the encoding.
  const begin = (): void => {
    decode = decoder(encodingOf(head), reader);
    decodePart(head);
  };
  return {
    push(bytes) {
      let rest = bytes;
      if (decode === undefined) {
        rest = bytes.subarray(HEAD - head.length);
        head = concat(head, bytes.subarray(0, HEAD - head.length));
        if (head.length < HEAD) return;
        begin();
      }
      for (let at = 0; at < rest.length; at += PIECE) decodePart(rest.subarray(at, at + PIECE));
    },
    end() {
      if (decode === undefined) begin();
      return named(head, () => {
        reader.push(decode!());
        return reader.end();
      });
    },
  };
}

function decoder(encoding: Encoding, reader: JsonReader): (bytes?: Uint8Array) => string {
  const strict = new TextDecoder(encoding, { fatal: true });
  return (bytes) => {
    try {
      return bytes === undefined ? strict.decode() : strict.decode(bytes, { stream: true });
    } catch {
      const readable = new TextDecoder(encoding).decode(bytes ?? new Uint8Array(0));
      const before = readable.slice(0, Math.max(0, readable.indexOf("\ufffd")));
      return reader.failAfter(
        before,
        `here stand bytes that are no ${encoding.toUpperCase()}. Save the file as UTF-8`,
      );
    }
  };
}

// Detected as by Python's json: JSON begins with two ASCII characters.
function encodingOf(bytes: Uint8Array): Encoding {
  const [a, b, c, d] = bytes;
  if ((a === 0xff && b === 0xfe && c === 0 && d === 0) || (a === 0 && b === 0 && (c === 0xfe || c === 0))) {
    throw new NotJsonError("it is text in UTF-32 or no text at all. Save it as UTF-8.");
  }
  if ((a === 0xff && b === 0xfe) || (a !== 0 && b === 0)) return "utf-16le";
  if ((a === 0xfe && b === 0xff) || (a === 0 && b !== 0 && b !== undefined)) return "utf-16be";
  return "utf-8";
}

// Runs `read`. Where the text is not JSON, the kind of the file says more than the first wrong character
// does.
function named<T>(head: Uint8Array, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const kind = cause instanceof JsonError ? whatFile(head) : undefined;
    if (kind === undefined) throw cause;
    throw new NotJsonError(kind, { cause });
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
