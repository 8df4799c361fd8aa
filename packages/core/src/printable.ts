// Text that comes from files, made fit for messages: control characters are shown, not sent to the terminal.

/**
 * Characters that change how a text is shown instead of being shown: controls (terminals take escape
 * sequences from them), the ends of lines, marks that turn the direction of text, and halves of surrogate
 * pairs. What joins letters in real words (U+200C, U+200D) is not among them.
 */
const UNPRINTABLE =
  /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\u{e0000}-\u{e007f}]/gu;

// By its UTF-16 units, as JSON has them: escaped JSON is the same JSON.
const escaped = (character: string): string =>
  character.replaceAll(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** Writes every unprintable character of `text` but those of `kept` as JSON does: \u001b. What was JSON stays the same JSON. */
export const escapeUnprintable = (text: string, kept = ""): string =>
  text.replace(UNPRINTABLE, (character) => (kept.includes(character) ? character : escaped(character)));

/**
 * Makes a name from a file fit for a message on one line: control characters, ends of lines and marks that
 * turn the direction of text become escapes such as \u001b, so that no escape sequence reaches a terminal;
 * what is longer than `limit` characters is cut and ends with an ellipsis. The one place for this: use it
 * wherever a message shows a name of a tensor, class, entry or file. The messages of this project's errors
 * are escaped once more as a whole, except for their line ends.
 */
export function printable(text: string, limit = 200): string {
  const isLong = text.length > limit;
  return escapeUnprintable(isLong ? text.slice(0, limit) : text) + (isLong ? "…" : "");
}
