/** Many masks' run lengths in few bytes: seven bits of a count per byte, low first, 128 = "more follow". */
export interface MaskPool {
  /** Keeps the first `n` counts. @returns where, for `read`. */
  add(counts: Uint32Array, n: number): number;
  /** Writes `n` counts of the mask kept at `place` into `out` from `from` on. */
  read(place: number, n: number, out: Uint32Array, from: number): void;
  /** Forgets all masks, keeping the memory. */
  clear(): void;
}

// Blocks rather than one array: growing never copies, and there is no longest array to reach.
const BLOCK = 2 ** 22;
const LONGEST_COUNT = 5;

export function createMaskPool(): MaskPool {
  const blocks: Uint8Array<ArrayBuffer>[] = [];
  let block = -1;
  let bytes = new Uint8Array(0);
  let at = 0;
  return {
    add(counts, n) {
      if (at + LONGEST_COUNT * n > bytes.length) {
        const kept = blocks[block + 1];
        bytes = kept !== undefined && kept.length >= LONGEST_COUNT * n ? kept : new Uint8Array(Math.max(BLOCK, LONGEST_COUNT * n));
        blocks[++block] = bytes;
        at = 0;
      }
      const place = block * 2 ** 32 + at;
      for (let i = 0; i < n; i++) {
        let count = counts[i]! >>> 0;
        while (count > 127) {
          bytes[at++] = (count & 127) | 128;
          count >>>= 7;
        }
        bytes[at++] = count;
      }
      return place;
    },
    read(place, n, out, from) {
      const source = blocks[Math.floor(place / 2 ** 32)]!;
      let byte = place % 2 ** 32;
      for (let i = from; i < from + n; i++) {
        let value = source[byte++]!;
        if (value > 127) {
          value &= 127;
          for (let shift = 7, more = true; more; shift += 7) {
            const next = source[byte++]!;
            value |= (next & 127) << shift; // stored as unsigned, so the sign bit is right
            more = next > 127;
          }
        }
        out[i] = value;
      }
    },
    clear() {
      block = blocks.length > 0 ? 0 : -1;
      bytes = blocks[0] ?? bytes;
      at = 0;
    },
  };
}
