/** Pseudo-random values that Python and TypeScript generate alike. */

/**
 * Generates the same values as its twin in Python (tools/golden/seeded.py), so that a golden fixture need not
 * contain its weights: value i of `name` is the murmur3 finaliser of `i + fnv1a(name)`, as a fraction of 2³².
 */
export function seededUniform(name: string, length: number): Float64Array {
  let seed = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) seed = Math.imul(seed ^ name.charCodeAt(i), 0x01000193);
  const values = new Float64Array(length);
  for (let i = 0; i < length; i++) {
    let h = (i + seed) | 0;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    values[i] = ((h ^ (h >>> 16)) >>> 0) / 4294967296;
  }
  return values;
}

/** Returns `seededUniform` as float32, centred on 0: from `-width / 2` to `width / 2`. */
export function seededSpread(name: string, length: number, width: number): Float32Array {
  return Float32Array.from(seededUniform(name, length), (value) => (value - 0.5) * width);
}
