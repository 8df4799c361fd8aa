import { createMaskList, createMaskPool } from "../src/mask-store.ts";
import { createRandom } from "@mrcnn/core";
import { rleToString } from "@mrcnn/masks";
import { describe, expect, it } from "vitest";

const random = createRandom(3);
// More than a block, one mask longer than a block.
const masks = Array.from({ length: 40 }, (_, i) =>
  Uint32Array.from({ length: i === 7 ? 1_500_000 : random.int(60_000) }, () =>
    Math.floor(2 ** (32 * random.uniform())),
  ),
);
masks.push(Uint32Array.of(0, 31, 32, 1023, 1024, 2 ** 31, 2 ** 32 - 1, 0), Uint32Array.of());

describe.each([
  ["createMaskList", createMaskList],
  ["createMaskPool", createMaskPool],
])("%s", (_, create) => {
  it("gives back all counts, up to the largest, whether their text is at hand or not", () => {
    const store = create();
    for (const given of [false, true]) {
      const places = masks.map((counts) =>
        given ?
          store.add(counts, new TextEncoder().encode(rleToString({ size: { height: 0, width: 0 }, counts })))
        : store.add(counts),
      );
      for (const [i, counts] of masks.entries()) {
        const read = store.read(places[i]!);
        expect(read.length).toBe(counts.length);
        expect(read.every((count, at) => count === counts[at])).toBe(true);
      }
      store.clear();
    }
  });
});
