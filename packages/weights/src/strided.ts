// Strided views of flat memory as arrays of their own.

type Values = { [index: number]: number | bigint; readonly length: number };

/** Fills `out`, row-major and of `shape`, from `values` whose axes lie `strides` values apart. Takes as many steps as `out` has values. */
export function gatherStrided(
  values: Values,
  out: Values,
  shape: readonly number[],
  strides: readonly number[],
): void {
  // Axes of one value move nothing, but would be looked at for every value.
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
 * The bytes of a strided view of values of `size` bytes, which lies in `bytes` and begins `offset` values from
 * its start, aligned or not; nothing but the view's own values is copied, however far they lie apart.
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
    // As words, which is several times as fast: bits are bits, whatever they stand for.
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
