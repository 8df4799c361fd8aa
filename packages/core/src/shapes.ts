import { ShapeError } from "./errors.ts";

const show = (shape: readonly (number | null)[]): string => `[${shape.map((n) => n ?? "*").join(", ")}]`;

/**
 * Throws a ShapeError unless `value.shape` equals `shape`; null stands for any size.
 * `where` is the function's name and `argument` the parameter's.
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
