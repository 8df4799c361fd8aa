/** Copies strided views of flat memory into contiguous arrays. */

type Values = { [index: number]: number | bigint; readonly length: number };

/**
 * Fills `out`, row-major and of `shape`, from `values` whose axes have the given `strides`, in values. Takes
 * as many steps as `out` has values.
 */
export function gatherStrided(
  values: Values,
  out: Values,
  shape: readonly number[],
  strides: readonly number[],
): void {
  // Axes of size 1 have no effect, but would cost time for every value.
  const axes = shape.flatMap((size, axis) => (size === 1 ? [] : [{ size, stride: strides[axis]! }]));
  const index = axes.map(() => 0);
  let from = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = values[from]!;
    for (let k = axes.length - 1; k >= 0; k--) {
      const { size, stride } = axes[k]!;
      index[k] = index[k]! + 1;
      from += stride;
      if (index[k]! < size) break;
      from -= stride * size;
      index[k] = 0;
    }
  }
}

/**
 * Returns the bytes of a strided view of values of `size` bytes, which is in `bytes` and begins `offset`
 * values from its start, aligned or not. Only the view's own values are copied, however far apart they are.
 */
export function gatherBytes(
  bytes: Uint8Array,
  size: number,
  {
    offset,
    shape,
    strides,
  }: { readonly offset: number; readonly shape: readonly number[]; readonly strides: readonly number[] },
): Uint8Array {
  const out = new Uint8Array(shape.reduce((a, b) => a * b, size));
  const begin = offset * size;
  if (size === 1) gatherStrided(bytes.subarray(begin), out, shape, strides);
  else if ((bytes.byteOffset + begin) % size === 0) {
    // Copied as words, whatever their type, which is several times as fast.
    const Words = { 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array }[size]!;
    const words = new Words(
      bytes.buffer as ArrayBuffer,
      bytes.byteOffset + begin,
      Math.floor((bytes.length - begin) / size),
    );
    gatherStrided(words, new Words(out.buffer), shape, strides);
  } else
    gatherStrided(
      bytes.subarray(begin),
      out,
      [...shape, size],
      [...strides.map((stride) => stride * size), 1],
    );
  return out;
}
