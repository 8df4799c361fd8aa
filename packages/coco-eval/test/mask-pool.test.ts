import { createMaskPool } from "../src/mask-pool.ts";
import { createRandom } from "@mrcnn/core";
import { describe, expect, it } from "vitest";

describe("createMaskPool", () => {
  it("gives back all counts, up to the largest and over many blocks", () => {
    const random = createRandom(3);
    const masks = Array.from({ length: 40 }, (_, i) =>
      Uint32Array.from({ length: i === 7 ? 1_200_000 : random.int(300_000) }, () => Math.floor(2 ** (32 * random.uniform()))),
    );
    masks.push(Uint32Array.of(0, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32 - 1));
    const pool = createMaskPool();
    for (let round = 0; round < 2; round++) {
      const places = masks.map((counts) => pool.add(counts, counts.length));
      for (const [i, counts] of masks.entries()) {
        const out = new Uint32Array(counts.length + 2);
        pool.read(places[i]!, counts.length, out, 1);
        expect(out[0]! + out[counts.length + 1]!).toBe(0);
        expect(Buffer.compare(Buffer.from(out.buffer, 4, 4 * counts.length), Buffer.from(counts.buffer))).toBe(0);
      }
      pool.clear();
    }
  });
});
