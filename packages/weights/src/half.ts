/** Conversion between float32 and float16, as numpy's astype. */

/**
 * Converts float32 values to the bits of the nearest float16: ties to even, subnormals kept, infinity from
 * 65520 up, as numpy's astype(float16).
 */
export function toHalf(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const rounded = new Float32Array(1);
  const roundedBits = new Uint32Array(rounded.buffer);
  const half = new Uint16Array(values.length);
  for (let i = 0; i < half.length; i++) {
    const sign = (bits[i]! >>> 16) & 0x8000;
    const size = bits[i]! & 0x7fffffff;
    let out: number;
    if (size > 0x7f800000) out = 0x7c00 | Math.max(1, (size >>> 13) & 0x3ff);
    else if (size >= 0x477ff000) out = 0x7c00;
    else if (size >= 0x38800000) out = (size - 0x38000000 + 0xfff + ((size >>> 13) & 1)) >>> 13;
    else {
      // In the sum with 0.5 the last places are those of float16's subnormals: the addition rounds to them.
      rounded[0] = Math.abs(values[i]!) + 0.5;
      out = roundedBits[0]! - 0x3f000000;
    }
    half[i] = sign | out;
  }
  return half;
}

/** Converts the bits of float16 values to float32, exactly. */
export function fromHalf(half: Uint16Array): Float32Array {
  const values = new Float32Array(half.length);
  const bits = new Uint32Array(values.buffer);
  for (let i = 0; i < half.length; i++) {
    const sign = (half[i]! & 0x8000) << 16;
    const size = half[i]! & 0x7fff;
    if (size >= 0x7c00) bits[i] = sign | 0x7f800000 | ((size & 0x3ff) << 13);
    else if (size >= 0x400) bits[i] = sign | ((size << 13) + 0x38000000);
    else values[i] = (sign === 0 ? size : -size) * 2 ** -24;
  }
  return values;
}
