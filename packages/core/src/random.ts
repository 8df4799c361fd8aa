/** Seeded random numbers: xoshiro128** (Blackman and Vigna, 2018). */

/** A seeded stream of random numbers whose state can be saved and restored exactly. */
export interface Random {
  /** Returns a uniform number in [0, 1) of 32 bits of resolution. */
  uniform(): number;
  /** Returns a uniform integer in [0, n). */
  int(n: number): number;
  /** Returns a standard normal number. */
  normal(): number;
  /** Shuffles `values` in place (Fisher-Yates) and returns them. */
  shuffle<T extends unknown[] | Int32Array>(values: T): T;
  /** Returns an independent stream; the same label from the same state gives the same stream. */
  fork(label: number): Random;
  /** Returns the four words of state. */
  state(): readonly [number, number, number, number];
}

// splitmix32, which spreads a small seed over the whole state.
function splitmix(seed: number): () => number {
  let a = seed | 0;
  return () => {
    a = (a + 0x9e3779b9) | 0;
    let t = a ^ (a >>> 16);
    t = Math.imul(t, 0x21f0aaad);
    t ^= t >>> 15;
    t = Math.imul(t, 0x735a2d97);
    return (t ^ (t >>> 15)) >>> 0;
  };
}

/**
 * Creates a generator from a seed or a saved state. The algorithm is xoshiro128** (Blackman and
 * Vigna, 2018); it is not for cryptography.
 */
export function createRandom(seed: number | readonly [number, number, number, number]): Random {
  let a: number, b: number, c: number, d: number;
  if (typeof seed === "number") {
    const next = splitmix(seed);
    [a, b, c, d] = [next(), next(), next(), next()];
  } else [a, b, c, d] = seed;

  const next = (): number => {
    const m = Math.imul(b, 5);
    const result = Math.imul((m << 7) | (m >>> 25), 9);
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    return result >>> 0;
  };
  const uniform = (): number => next() / 4294967296;
  const int = (n: number): number => Math.floor(uniform() * n);
  return {
    uniform,
    int,
    normal() {
      const r = Math.sqrt(-2 * Math.log(1 - uniform()));
      return r * Math.cos(2 * Math.PI * uniform());
    },
    shuffle(values) {
      for (let i = values.length - 1; i > 0; i--) {
        const j = int(i + 1);
        const kept = values[i];
        values[i] = values[j] as never;
        values[j] = kept as never;
      }
      return values;
    },
    fork: (label) => createRandom((next() ^ Math.imul(label | 0, 0x9e3779b1)) | 0),
    state: () => [a >>> 0, b >>> 0, c >>> 0, d >>> 0],
  };
}

/**
 * A generator that draws nothing: `normal()` is 0, `uniform()` 0.5. Meant for networks whose weights are
 * replaced at once: they begin as zeros, which take no time, and no memory until something is written.
 */
export const noRandom: Random = {
  uniform: () => 0.5,
  int: () => 0,
  normal: () => 0,
  shuffle: (values) => values,
  fork: () => noRandom,
  state: () => [0, 0, 0, 0],
};
