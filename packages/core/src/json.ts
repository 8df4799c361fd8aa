/** Writing of JSON with whole numbers kept exact beyond 2^53, and quoting of values for messages. */

/** Tells whether a value is what JSON calls an object: neither null nor a list. */
export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Writes JSON as `JSON.stringify` does, and bigints as their digits; `indent` is the number of spaces per
 * level.
 */
export function toJson(value: unknown, { indent = 0 }: { readonly indent?: number } = {}): string {
  return write(value, { indent, number: (n) => JSON.stringify(n) }, 0);
}

/**
 * Quotes a value for a message: as JSON, so that the text "1" and the number 1 differ; bigints as their
 * digits, NaN and Infinity by name, undefined as nothing, a function as such. Cut after `most` characters.
 */
export function quote(value: unknown, { most = 60 }: { readonly most?: number } = {}): string {
  if (value === undefined) return "nothing";
  if (typeof value === "function") return "a function";
  const text = write(value, { indent: 0, number: String, atMost: most }, 0);
  return text.length > most ? `${text.slice(0, most - 3)}...` : text;
}

interface Writing {
  readonly indent: number;
  readonly number: (value: number) => string;
  /** Most entries of a list or object, and most levels, that are written. */
  readonly atMost?: number;
}

function write(value: unknown, writing: Writing, depth: number): string {
  const { indent, atMost = Infinity } = writing;
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number") return writing.number(value);
  if (typeof value !== "object" || value === null || "toJSON" in value)
    return JSON.stringify(value) ?? "null";
  if (depth > atMost) return "...";
  const isList = Array.isArray(value);
  const inner =
    isList ?
      Array.from(value.slice(0, atMost), (item) => write(item, writing, depth + 1))
    : Object.entries(value)
        .filter(([, item]) => item !== undefined && typeof item !== "function")
        .slice(0, atMost)
        .map(
          ([key, item]) =>
            `${JSON.stringify(key)}:${indent > 0 ? " " : ""}${write(item, writing, depth + 1)}`,
        );
  const [open, close] = isList ? "[]" : "{}";
  if (inner.length === 0) return `${open}${close}`;
  const margin = (levels: number): string => (indent > 0 ? `\n${" ".repeat(indent * levels)}` : "");
  return `${open}${margin(depth + 1)}${inner.join(`,${margin(depth + 1)}`)}${margin(depth)}${close}`;
}
