/** JSON whose whole numbers stay exact beyond 2^53, and values as messages quote them. */

// What stands for a large number, and for text that would look like one, while JSON.parse is at work. JSON text can write
// this character in one way only.
const MARK = "\0";
const WRITTEN_MARK = '"\\u0000';
const LARGE = /(?:^|[[:,\s])-?\d{16,}\s*(?:[\]},]|$)/;
const STRING_OR_NUMBER = /"|-?\d[\d.eE+-]*/g;

/**
 * Parses JSON as `JSON.parse` does, but gives whole numbers that a double can't be trusted with (those beyond 2^53) as
 * bigints. `toJson` writes them as they stood.
 *
 * @throws SyntaxError when it is no JSON.
 */
export function parseJson(text: string): unknown {
  const rounded: unknown = JSON.parse(text); // throws first: below, the text is JSON
  if (!LARGE.test(text)) return rounded;
  const marked = markLarge(text);
  if (marked === text) return rounded;
  const top = { value: JSON.parse(marked) as unknown };
  unmark(top);
  return top.value;
}

// A loop, not recursion: JSON.parse takes lists in lists of any depth. Several times as fast as a reviver.
function unmark(top: object): void {
  const open: Record<string, unknown>[] = [top as Record<string, unknown>];
  for (let here = open.pop(); here !== undefined; here = open.pop()) {
    for (const key of Object.keys(here)) {
      const value = here[key];
      if (typeof value === "object" && value !== null) open.push(value as Record<string, unknown>);
      else if (typeof value === "string" && value.startsWith(MARK)) here[key] = value[1] === "n" ? BigInt(value.slice(2)) : MARK + value.slice(2);
    }
  }
}

// Of text that is JSON. Strings are stepped over by hand: long ones overflow the stack of a regular expression.
function markLarge(text: string): string {
  const parts: string[] = [];
  let done = 0;
  const put = (part: string, from: number, to: number): void => {
    parts.push(text.slice(done, from), part);
    done = to;
  };
  const next = new RegExp(STRING_OR_NUMBER);
  for (let found = next.exec(text); found !== null; found = next.exec(text)) {
    const { 0: token, index } = found;
    if (token === '"') {
      const end = endOfString(text, index);
      next.lastIndex = end;
      const isMarked = text.startsWith(WRITTEN_MARK, index) && !/^\s*:/.test(text.slice(end, end + 100));
      if (isMarked) put(`${WRITTEN_MARK}s`, index, index + WRITTEN_MARK.length);
    } else if (token.length >= 16 && /^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token))) {
      put(`${WRITTEN_MARK}n${token}"`, index, index + token.length);
    }
  }
  return parts.join("") + text.slice(done);
}

/** The place after the quote that ends the string which begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text[end - 1 - slashes] === "\\") slashes++;
    if (slashes % 2 === 0) return end + 1;
  }
}

/** Writes JSON as `JSON.stringify` does, and bigints as their digits; `indent` is the number of spaces per level. */
export function toJson(value: unknown, { indent = 0 }: { readonly indent?: number } = {}): string {
  return write(value, { indent, number: (n) => JSON.stringify(n) }, 0);
}

/**
 * A value as messages quote it: JSON, so that the text "1" and the number 1 differ; bigints as their digits, NaN, Infinity and
 * undefined by name. Longer than `most` characters it is cut.
 */
export function quote(value: unknown, { most = 60 }: { readonly most?: number } = {}): string {
  if (value === undefined) return "undefined";
  const text = write(value, { indent: 0, number: String, atMost: most }, 0);
  return text.length > most ? `${text.slice(0, most - 3)}...` : text;
}

interface Writing {
  readonly indent: number;
  readonly number: (value: number) => string;
  /** No more than so many entries of a list or object, and levels, are needed. */
  readonly atMost?: number;
}

function write(value: unknown, writing: Writing, depth: number): string {
  const { indent, atMost = Infinity } = writing;
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number") return writing.number(value);
  if (typeof value !== "object" || value === null || "toJSON" in value) return JSON.stringify(value) ?? "null";
  if (depth > atMost) return "...";
  const isList = Array.isArray(value);
  const inner = isList
    ? Array.from(value.slice(0, atMost), (item) => write(item, writing, depth + 1))
    : Object.entries(value)
        .filter(([, item]) => item !== undefined && typeof item !== "function")
        .slice(0, atMost)
        .map(([key, item]) => `${JSON.stringify(key)}:${indent > 0 ? " " : ""}${write(item, writing, depth + 1)}`);
  const [open, close] = isList ? "[]" : "{}";
  if (inner.length === 0) return `${open}${close}`;
  const margin = (levels: number): string => (indent > 0 ? `\n${" ".repeat(indent * levels)}` : "");
  return `${open}${margin(depth + 1)}${inner.join(`,${margin(depth + 1)}`)}${margin(depth)}${close}`;
}
