/** Text from files made fit for messages: control characters are shown, not sent to the terminal. */

/**
 * Characters that change how a text is shown instead of being shown: controls (terminals take escape
 * sequences from them), line ends, marks that change the direction of text, and halves of surrogate pairs.
 * The joiners of letters in real words (U+200C, U+200D) are not among them.
 */
const UNPRINTABLE =
  /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\u{e0000}-\u{e007f}]/gu;

// Escapes by UTF-16 units, as JSON does: escaped JSON is the same JSON.
const escaped = (character: string): string =>
  character.replaceAll(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);

/**
 * Escapes every unprintable character of `text` but those of `kept` as JSON does: \u001b. Text that is JSON
 * remains the same JSON.
 */
export const escapeUnprintable = (text: string, kept = ""): string =>
  text.replace(UNPRINTABLE, (character) => (kept.includes(character) ? character : escaped(character)));

/**
 * Makes a name from a file fit for a message on one line: control characters, line ends and marks that change
 * the direction of text become escapes such as \u001b, so that no escape sequence reaches a terminal; text
 * longer than `limit` characters is cut and ends with an ellipsis. Use it wherever a message shows a name of
 * a tensor, class, entry or file. The messages of this project's errors are escaped once more as a whole,
 * except for their line ends.
 */
export function printable(text: string, limit = 200): string {
  const isLong = text.length > limit;
  return escapeUnprintable(isLong ? text.slice(0, limit) : text) + (isLong ? "…" : "");
}
