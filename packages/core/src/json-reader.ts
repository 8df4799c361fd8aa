/**
 * A JSON reader for texts of any length, read piece by piece: keeps whole numbers exact (bigints beyond 2^53)
 * and reports the place of errors. Otherwise its values are those of JSON.parse. It takes about twice as long
 * as JSON.parse, which is limited to texts of 512 MB.
 */

/** Options of reading JSON. */
export interface ReadJsonOptions {
  /**
   * Whether NaN, Infinity and -Infinity, which Python writes although JSON has none, are an error or kept as
   * numbers. Default "error".
   */
  readonly nonFinite?: "error" | "keep";
  /** Called with each entry of the outermost list, which is then discarded: the result is an empty list. */
  readonly onEntry?: (entry: unknown, index: number) => void;
  /** Most memory that the values may take, in bytes (estimated). Default unlimited. */
  readonly maxBytes?: number;
}

/** A place in a JSON text. */
export interface JsonPlace {
  /** Line, counted from 1; `column` is counted from 1 too, in characters. */
  readonly line: number;
  readonly column: number;
  /** The value being read, as in `annotations[3].bbox`; empty for the outermost. */
  readonly path: string;
}

/** An error in a JSON text, with its place. */
export class JsonError extends SyntaxError implements JsonPlace {
  readonly line: number;
  readonly column: number;
  readonly path: string;
  constructor(reason: string, { line, column, path }: JsonPlace) {
    super(`line ${line}, column ${column}${path === "" ? "" : ` (${path})`}: ${reason}`);
    this.name = "JsonError";
    this.line = line;
    this.column = column;
    this.path = path;
  }
}

// Longest whole number in digits that Python reads.
const LONGEST_NUMBER = 4300;
// Characters of lookahead, where that many have come: no word of JSON is longer, nor what messages show.
const AHEAD = 20;
// Longest text value that is joined from pieces.
const LONGEST_TEXT = 2 ** 27;
// Limits of the memory for keys: a key of an object is likely the key at the same position of the previous
// object.
const REMEMBERED = { levels: 8, keys: 64 };

const POWERS_OF_10 = Array.from({ length: 16 }, (_, i) => 10 ** i);
const WORDS: readonly (readonly [name: string, value: boolean | null | number])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
  ["NaN", NaN],
  ["Infinity", Infinity],
];
const isDigit = (c: number): boolean => c >= 48 && c <= 57;

const FIRST_VALUE = 0; // a value, or the end of the list
const VALUE = 1;
const FIRST_KEY = 2; // a key, or the end of the object
const KEY = 3;
const AFTER_VALUE = 4;
const END = 5;

interface Frame {
  readonly isList: boolean;
  readonly object: Record<string, unknown>;
  /** Index in `items` of the list's first entry. */
  readonly start: number;
  key: string;
  /** Number of entries so far, including those of a list that were handed over. */
  count: number;
}

/**
 * A reader for a text that comes in pieces: `push` each, then `end` returns the value. Both throw a
 * JsonError.
 */
export interface JsonReader {
  push(piece: string): void;
  end(): unknown;
  /** Ends reading with an error `reason`, placed after `characters` that follow the pieces so far. */
  failAfter(characters: string, reason: string): never;
}

/** Starts reading a JSON text. */
export function createJsonReader({
  nonFinite = "error",
  onEntry,
  maxBytes = Infinity,
}: ReadJsonOptions = {}): JsonReader {
  let text = "";
  let pos = 0;
  // Pieces that have come since, not yet worth joining.
  let waiting: string[] = [];
  let waitingLength = 0;
  // Number of lines before `text`, and of characters before it in its first line.
  let linesBefore = 0;
  let columnsBefore = 0;

  let state = VALUE;
  let value: unknown;
  let bytes = 0;
  const frames: Frame[] = [];
  let frame: Frame | undefined;
  // Entries of all open lists. Leading numbers of the innermost list are kept in `numbers` instead, since a
  // copy of those is compact.
  const items: unknown[] = [];
  const numbers = [0.5];
  let numberCount = -1;
  let whyItEnds = "the file ends here, in the middle: it was cut short";
  const keysSeen: { key: string; quoted: string }[][] = [];

  const fail = (at: number, reason: string): never => {
    const before = text.slice(0, at);
    const lastBreak = before.lastIndexOf("\n");
    throw new JsonError(reason, {
      line: linesBefore + countLines(before) + 1,
      column: (lastBreak < 0 ? columnsBefore + at : at - lastBreak - 1) + 1,
      path: pathOf(frames),
    });
  };
  const takes = (more: number, at: number): void => {
    bytes += more;
    if (bytes > maxBytes)
      fail(at, `the values take more memory than there is for them (${(maxBytes / 1e9).toFixed(1)} GB)`);
  };
  const open = (isList: boolean, at: number): void => {
    if (numberCount >= 0) flushNumbers();
    frame = { isList, object: {}, start: items.length, key: "", count: 0 };
    frames.push(frame);
    takes(128, at);
  };
  const flushNumbers = (): void => {
    for (let i = 0; i < numberCount; i++) items.push(numbers[i]);
    numberCount = -1;
  };
  const close = (): void => {
    const { isList, object, start } = frames.pop()!;
    if (!isList) value = object;
    else if (numberCount >= 0) value = numbers.slice(0, numberCount);
    else {
      value = items.slice(start);
      items.length = start;
    }
    numberCount = -1;
    frame = frames.at(-1);
  };
  // Puts `value` into the list or object that it belongs to.
  const place = (at: number): void => {
    if (frame === undefined) {
      state = END;
      return;
    }
    state = AFTER_VALUE;
    if (!frame.isList) {
      if (frame.key === "__proto__")
        Object.defineProperty(frame.object, frame.key, {
          value,
          writable: true,
          enumerable: true,
          configurable: true,
        });
      else frame.object[frame.key] = value;
      bytes += 24;
    } else {
      if (typeof value === "number" && (numberCount >= 0 || frame.count === 0)) {
        if (numberCount < 0) numberCount = 0;
        numbers[numberCount++] = value;
      } else {
        if (numberCount >= 0) flushNumbers();
        if (frames.length > 1 || onEntry === undefined) items.push(value);
      }
      if (frames.length === 1 && onEntry !== undefined) {
        numberCount = -1;
        onEntry(value, frame.count);
        bytes = 0; // entries that were handed over don't count
      }
      bytes += 8;
    }
    frame.count++;
    if (bytes > maxBytes) takes(0, at);
  };

  // Returns the position of the closing quote of a text beginning at `from`, or -1.
  const closingQuote = (from: number): number => {
    let quote = text.indexOf('"', from + 1);
    while (quote >= 0 && text.charCodeAt(quote - 1) === 92) {
      let backslashes = 1;
      while (text.charCodeAt(quote - 1 - backslashes) === 92) backslashes++;
      if (backslashes % 2 === 0) break;
      quote = text.indexOf('"', quote + 1);
    }
    return quote;
  };
  const unquote = (from: number, quote: number): string => {
    try {
      // Parsed into a string of its own, which keeps no piece in memory.
      return JSON.parse(text.slice(from, quote + 1)) as string;
    } catch {
      const bad = /[^\u0020-\uffff]|\\(?!["\\/bfnrt]|u[\da-fA-F]{4})/.exec(
        text.slice(from, quote).replaceAll("\\\\", "__"),
      );
      const at = from + (bad?.index ?? 0);
      return fail(
        at,
        bad?.[0] === "\\" ?
          `there is no escape ${JSON.stringify(text.slice(at, at + 2))} in a JSON text`
        : "a text holds a line break or another control character; its end quote may be missing",
      );
    }
  };

  // Reads all complete tokens; with `isLast` reads to the end.
  const run = (isLast: boolean): void => {
    const source = text;
    const { length } = source;
    let p = pos;
    const cut = (at: number): void => {
      if (isLast) fail(length, whyItEnds);
      if (length - at > LONGEST_TEXT) fail(at, `a single text is longer than ${LONGEST_TEXT} characters`);
      pos = at;
    };
    while (true) {
      let c = source.charCodeAt(p);
      while (c === 32 || c === 10 || c === 13 || c === 9) c = source.charCodeAt(++p);
      if (p >= length || (!isLast && length - p < AHEAD)) return void (pos = p);

      if (state === AFTER_VALUE) {
        const { isList } = frame!;
        if (c === 44) state = isList ? VALUE : KEY;
        else if (c === (isList ? 93 : 125)) {
          close();
          place(p);
        } else fail(p, `after a value must come a comma or "${isList ? "]" : "}"}", not ${shown(source, p)}`);
        p++;
        continue;
      }
      if (state === KEY || state === FIRST_KEY) {
        if (c === 125 && state === FIRST_KEY) {
          close();
          place(p);
          p++;
          continue;
        }
        if (c !== 34)
          fail(
            p,
            c === 125 ? 'a comma stands before "}"' : (
              `a key in double quotes must come here, not ${shown(source, p)}`
            ),
          );
        const seen = (keysSeen[Math.min(frames.length, REMEMBERED.levels)] ??= []);
        const guess = seen[frame!.count];
        let after: number;
        let key: string;
        if (guess !== undefined && source.startsWith(guess.quoted, p)) {
          key = guess.key;
          after = p + guess.quoted.length;
        } else {
          const quote = closingQuote(p);
          if (quote < 0) return cut(p);
          key = unquote(p, quote);
          after = quote + 1;
          bytes += 160 + key.length;
          const quoted = JSON.stringify(key);
          if (frame!.count < REMEMBERED.keys && quoted.length === after - p)
            seen[frame!.count] = { key, quoted };
        }
        c = source.charCodeAt(after);
        while (c === 32 || c === 10 || c === 13 || c === 9) c = source.charCodeAt(++after);
        if (after >= length) return cut(p);
        frame!.key = key;
        if (c !== 58) fail(after, `after a key must come ":", not ${shown(source, after)}`);
        state = VALUE;
        p = after + 1;
        continue;
      }
      if (state === END)
        fail(p, "the value has ended, and more follows. One file must hold one value: are these JSON lines?");

      // Reads a value.
      const start = p;
      if (c === 34) {
        const quote = closingQuote(p);
        if (quote < 0) return cut(start);
        value = unquote(p, quote);
        bytes += 24 + quote - p;
        p = quote + 1;
      } else if (c === 45 || isDigit(c)) {
        let at = p;
        const isNegative = c === 45;
        if (isNegative) c = source.charCodeAt(++at);
        if (isNegative && c === 73) {
          if (!source.startsWith("Infinity", at)) fail(p, unexpected(source, p));
          value = infinite(-Infinity, "-Infinity", start);
          const end = at + "Infinity".length;
          p = end;
          place(start);
          continue;
        }
        const firstDigit = at;
        const leadsWith0 = c === 48;
        let mantissa = 0;
        while (c >= 48 && c <= 57) {
          mantissa = mantissa * 10 + (c - 48);
          c = source.charCodeAt(++at);
        }
        let digits = at - firstDigit;
        let isSound = digits > 0 && !(leadsWith0 && digits > 1);
        let isWhole = true;
        let decimals = 0;
        if (c === 46) {
          isWhole = false;
          const first = at + 1;
          c = source.charCodeAt(++at);
          while (c >= 48 && c <= 57) {
            mantissa = mantissa * 10 + (c - 48);
            c = source.charCodeAt(++at);
          }
          decimals = at - first;
          digits += decimals;
          isSound &&= decimals > 0;
        }
        if (c === 101 || c === 69) {
          isWhole = false;
          digits = Infinity; // leave it to Number
          c = source.charCodeAt(++at);
          if (c === 43 || c === 45) c = source.charCodeAt(++at);
          const first = at;
          while (c >= 48 && c <= 57) c = source.charCodeAt(++at);
          isSound &&= at > first;
        }
        if (at >= length && !isLast) return cut(start);
        if (!isSound)
          fail(
            start,
            `${JSON.stringify(source.slice(start, Math.min(at + 1, start + 30)))} is no number in JSON`,
          );
        if (at - start > LONGEST_NUMBER)
          fail(start, `a number has ${at - start} characters, more than ${LONGEST_NUMBER}`);
        // Fifteen digits and their power of ten are exact, so their quotient is rounded only once, as the
        // number itself would be.
        if (digits <= 15) value = (isNegative ? -mantissa : mantissa) / POWERS_OF_10[decimals]!;
        else {
          const number = source.slice(start, at);
          value = Number(number);
          if (isWhole && !Number.isSafeInteger(value)) {
            value = BigInt(number);
            bytes += number.length;
          }
        }
        p = at;
        // A short cut, since most of a file are lists of numbers.
        if (numberCount > 0 && c === 44 && typeof value === "number") {
          numbers[numberCount++] = value;
          frame!.count++;
          bytes += 8;
          state = VALUE;
          p++;
          continue;
        }
      } else if (c === 91) {
        open(true, p++);
        state = FIRST_VALUE;
        continue;
      } else if (c === 123) {
        open(false, p++);
        state = FIRST_KEY;
        continue;
      } else if (c === 93 && state === FIRST_VALUE) {
        close();
        p++;
      } else {
        const word = WORDS.find(([name]) => source.startsWith(name, p));
        if (word === undefined) {
          if (isLast && WORDS.some(([name]) => name.startsWith(source.slice(p)))) fail(length, whyItEnds);
          return fail(
            p,
            c === 93 || c === 125 ?
              `a comma stands before "${String.fromCharCode(c)}"`
            : unexpected(source, p),
          );
        }
        value = typeof word[1] === "number" ? infinite(word[1], word[0], p) : word[1];
        p += word[0].length;
      }
      place(start);
    }
  };
  const infinite = (number: number, name: string, at: number): number => {
    const which = frame?.isList === true ? ` (of entry ${frame.count})` : "";
    if (nonFinite === "error")
      fail(at, `${name}${which} is no number in JSON; Python writes it for one that is missing or too large`);
    return number;
  };
  // Joins the unread rest with the pieces that have come since.
  const advance = (): void => {
    const dropped = text.slice(0, pos);
    const lines = countLines(dropped);
    linesBefore += lines;
    columnsBefore =
      lines > 0 ? dropped.length - dropped.lastIndexOf("\n") - 1 : columnsBefore + dropped.length;
    text = text.slice(pos) + waiting.join("");
    pos = 0;
    waiting = [];
    waitingLength = 0;
  };
  return {
    push(piece) {
      waiting.push(piece);
      waitingLength += piece.length;
      // Otherwise a long text that is cut would be joined again and again.
      if (waitingLength < text.length - pos) return;
      advance();
      run(false);
    },
    end() {
      advance();
      run(true);
      if (state !== END) {
        if (frame === undefined && text.trim() === "") fail(text.length, "it is empty");
        fail(text.length, whyItEnds);
      }
      return value;
    },
    failAfter(characters, reason) {
      waiting.push(characters);
      whyItEnds = reason;
      this.end(); // throws this error, or an earlier one
      return fail(text.length, reason);
    },
  };
}

function countLines(text: string): number {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  return lines;
}

function pathOf(frames: readonly Frame[]): string {
  return frames
    .slice(0, 20)
    .map(({ isList, key, count }) =>
      isList ? `[${count}]`
      : /^[\w$]+$/.test(key) ? `.${key}`
      : key === "" ? ""
      : `[${JSON.stringify(key.slice(0, 40))}]`,
    )
    .join("")
    .replace(/^\./, "");
}

const shown = (text: string, at: number): string =>
  JSON.stringify(/^\S{0,20}/.exec(text.slice(at, at + 20))![0]);

function unexpected(text: string, at: number): string {
  const word = /^-?[\w.+]*/.exec(text.slice(at, at + 20))![0];
  const what: Readonly<Record<string, string>> = {
    True: "true",
    False: "false",
    None: "null",
    nan: "NaN",
    inf: "Infinity",
    undefined: "null",
  };
  if (what[word] !== undefined)
    return `${word} is no word of JSON (it may be ${what[word]} in another language)`;
  if (text[at] === "'")
    return "texts must be in double quotes; this looks like Python's way of printing, not JSON";
  if (text[at] === "/" || text[at] === "#") return "JSON has no comments";
  return `a value must come here, not ${shown(text, at)}`;
}

// Matches whole numbers that a double may round. JSON.parse reads other texts equally well, and faster.
const LARGE = /(?:^|[[:,\s])-?\d{16,}\s*(?:[\]},]|$)/;
// In texts of at least this many characters the memory of the values is counted.
const SHORT = 2 ** 26;

/**
 * Parses a JSON text as `JSON.parse` does, but returns whole numbers beyond 2^53 as bigints, which `toJson`
 * writes with the same digits.
 *
 * @throws JsonError, which is a SyntaxError, with the place of the error.
 */
export function parseJson(text: string, options: ReadJsonOptions = {}): unknown {
  if (text.length < SHORT && options.onEntry === undefined && !LARGE.test(text)) {
    try {
      return JSON.parse(text);
    } catch {
      // Read again, for the place of the error.
    }
  }
  const reader = createJsonReader(options);
  reader.push(text);
  return reader.end();
}
