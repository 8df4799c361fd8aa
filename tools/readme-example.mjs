// @ts-check
/** Reads a README's example, to compare its output with the comments behind its console.log lines. */

const PRINT = /console\.log\((.*)\); \/\/ (.*)$/;

/** The first example of a README, or undefined. @param {string} readme */
export const exampleOf = (readme) => /```(?:ts|js)\n([\s\S]*?)```/.exec(readme)?.[1];

/**
 * Takes an example apart: its code with every `console.log(...); // comment` handing its values to
 * `globalThis.printed(line, ...)`, and those comments by line. Words follow a value after ": "; what can't be
 * compared has no place behind a statement.
 *
 * @param {string} code
 * @returns {{ code: string, stated: Map<number, string>, unchecked: string[] }} `unchecked`: lines that state
 *   a value but don't print it
 */
export function takeApart(code) {
  /** @type {Map<number, string>} */
  const stated = new Map();
  /** @type {string[]} */
  const unchecked = [];
  const lines = code.split("\n").map((line, i) => {
    const [, values, comment] = PRINT.exec(line) ?? [];
    if (values !== undefined && comment !== undefined) {
      stated.set(i, comment);
      return line.replace(PRINT, () => `globalThis.printed(${i}, ${values});`);
    }
    if (/; \/\/ (?:[[{"'±-]|\d|true\b|false\b|null\b)/.test(line)) unchecked.push(line.trim());
    return line;
  });
  return { code: lines.join("\n"), stated, unchecked };
}

/** A value as README comments write it. @param {unknown} value @returns {string} */
export function show(value, isInside = false) {
  if (typeof value === "string") return isInside ? JSON.stringify(value) : value;
  if (ArrayBuffer.isView(value) || Array.isArray(value))
    return `[${Array.from(/** @type {number[]} */ (value), (one) => show(one, true)).join(", ")}]`;
  if (typeof value === "object" && value !== null)
    return `{ ${Object.entries(value)
      .map(([key, one]) => `${key}: ${show(one, true)}`)
      .join(", ")} }`;
  return Object.is(value, -0) ? "0" : String(value);
}

const NUMBER = /(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?/g;

/** @param {string} stated @param {string} printed */
function isSame(stated, printed) {
  const literal = (/** @type {string} */ text) =>
    text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll("\\.\\.\\.", ".*");
  const pattern = `${stated.split(NUMBER).map(literal).join(`(${NUMBER.source})`)}`;
  const found = new RegExp(`^${pattern}$`).exec(printed);
  // To as many digits as are written.
  return (
    found !== null &&
    (stated.match(NUMBER) ?? []).every(
      (text, i) =>
        Math.abs(Number(found[i + 1]) - Number(text)) <=
        0.5 * 10 ** -(text.split(".")[1]?.length ?? Infinity) * 1.000001,
    )
  );
}

/**
 * Whether a comment is true of what was printed: all of it, or what stands before a ": ".
 *
 * @param {string} comment
 * @param {readonly unknown[]} values
 */
export function agrees(comment, values) {
  const printed = values.map((value) => show(value)).join(" ");
  const ends = [...comment.matchAll(/: /g)].map(({ index }) => index);
  return [comment.length, ...ends].some((end) => isSame(comment.slice(0, end), printed));
}
