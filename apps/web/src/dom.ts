/** Helpers for DOM elements and for texts of numbers. */

/**
 * Returns the element with an id.
 *
 * @throws Error when the page has none, or one of another kind.
 */
export function byId<T extends HTMLElement>(id: string, kind: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`index.html has no ${kind.name} with the id ${id}.`);
  return element;
}

/** Makes an element with properties and children. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Formats a number of bytes for display. */
export function megabytes(bytes: number): string {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

/** Formats a count with its noun: "1 object", "2 objects". */
export const plural = (count: number, noun: string): string =>
  `${count} ${noun}${
    count === 1 ? ""
    : noun.endsWith("s") ? "es"
    : "s"
  }`;

/** Formats a duration in seconds for display. */
export const seconds = (value: number): string =>
  value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(value < 10 ? 2 : 1)} s`;
