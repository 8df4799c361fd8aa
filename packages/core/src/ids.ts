/** Ids of COCO files, with the order of Python's `sorted`. */
import { quote } from "./json.ts";

/**
 * An id of a COCO file, kept exactly: a whole number (a bigint beyond 2^53, where a double would round it),
 * or text. The text "1" and the number 1 are different ids.
 */
export type CocoId = number | bigint | string;

/**
 * Tells whether a value can be an id: an exact whole number, or text. A number beyond 2^53 that is no bigint
 * has been rounded, so it can't.
 */
export const isCocoId = (value: unknown): value is CocoId =>
  typeof value === "string" || typeof value === "bigint" || Number.isSafeInteger(value);

/** Compares ids for sorting: numbers before text, numbers by value, text by code points. */
export function compareIds(a: CocoId, b: CocoId): number {
  if (typeof a === "string" && typeof b === "string") return compareText(a, b);
  if (typeof a === "string") return 1;
  if (typeof b === "string") return -1;
  return (
    a < b ? -1
    : a > b ? 1
    : 0
  );
}

// Comparing UTF-16 units would sort characters beyond U+FFFF before some below.
function compareText(a: string, b: string): number {
  let i = 0;
  while (i < a.length && a[i] === b[i]) i++;
  return (a.codePointAt(i) ?? -1) - (b.codePointAt(i) ?? -1);
}

/** Quotes the first ten ids for a message: "1, 2, 3, …". */
export const quoteIds = (ids: readonly CocoId[]): string =>
  ids
    .slice(0, 10)
    .map((id) => quote(id))
    .join(", ") + (ids.length > 10 ? ", …" : "");
