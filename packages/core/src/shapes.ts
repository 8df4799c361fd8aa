/** Checks of shapes and lengths. */
import { ShapeError } from "./errors.ts";
import type { NamedArrays } from "./types.ts";

const show = (shape: readonly (number | null)[]): string => `[${shape.map((n) => n ?? "*").join(", ")}]`;

/**
 * Throws a ShapeError unless `value.shape` equals `shape`, where null stands for any size. `where` is the
 * function's name and `argument` the parameter's.
 */
export function assertShape(
  value: { readonly shape: readonly number[] },
  shape: readonly (number | null)[],
  where: string,
  argument: string,
): void {
  const got = value.shape;
  const fits = got.length === shape.length && shape.every((n, i) => n === null || n === got[i]);
  if (!fits) throw new ShapeError(`${where}: ${argument} must have shape ${show(shape)}, got ${show(got)}.`);
}

/** Throws a ShapeError unless a flat host array holds exactly `length` values. */
export function assertLength(
  value: { readonly length: number },
  length: number,
  where: string,
  argument: string,
): void {
  if (value.length !== length) {
    throw new ShapeError(`${where}: ${argument} must hold ${length} values, got ${value.length}.`);
  }
}

const some = (all: readonly string[]): string =>
  all.slice(0, 5).join(", ") + (all.length > 5 ? ` and ${all.length - 5} more` : "");

/**
 * Describes how `arrays` differ from the weights that `shapes` lists: which are missing, unexpected or of
 * another shape, naming up to five of each. With `strict` false only shapes count.
 *
 * @returns undefined where nothing is wrong.
 */
export function misfitOf(
  shapes: ReadonlyMap<string, readonly number[]>,
  arrays: NamedArrays,
  { strict = true }: { readonly strict?: boolean } = {},
): string | undefined {
  const missing = strict ? [...shapes.keys()].filter((name) => !arrays.has(name)) : [];
  const unexpected = strict ? [...arrays.keys()].filter((name) => !shapes.has(name)) : [];
  const misshapen = [...shapes].flatMap(([name, shape]) => {
    const got = arrays.get(name)?.shape;
    return got === undefined || String(got) === String(shape) ?
        []
      : [`${name} (needs ${show(shape)}, got ${show(got)})`];
  });
  const problems = Object.entries({ missing, unexpected, "of the wrong shape": misshapen }).filter(
    ([, names]) => names.length > 0,
  );
  return problems.length === 0 ?
      undefined
    : problems.map(([what, names]) => `${what} ${some(names)}`).join("; ");
}
