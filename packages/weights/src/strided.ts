type Values = { [index: number]: number | bigint; readonly length: number };

/** Fills `out`, row-major and of `shape`, from `values` whose axes lie `strides` values apart. */
export function gatherStrided(values: Values, out: Values, shape: readonly number[], strides: readonly number[]): void {
  const index = shape.map(() => 0);
  let from = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = values[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = index[axis]! + 1;
      from += strides[axis]!;
      if (index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
}
