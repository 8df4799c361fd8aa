import { createRandom } from "@mrcnn/core";
import { bitmapBox, bitmapFromFull, toFullBitmap } from "@mrcnn/masks";
import { describe, expect, it } from "vitest";
import { orientBitmap, orientBoxes, orientImage } from "../src/index.ts";

const flags = [false, true];
const all = flags.flatMap((transpose) =>
  flags.flatMap((flipHorizontal) =>
    flags.map((flipVertical) => ({ transpose, flipHorizontal, flipVertical })),
  ),
);

describe.each(all)("%o", (orientation) => {
  const random = createRandom(1);
  const size = { height: 4, width: 6 };
  const out = orientation.transpose ? { height: 6, width: 4 } : size;
  // Which source pixel must appear at (y, x): undo the mirrors, then the transposition.
  const source = (y: number, x: number): number => {
    const v = orientation.flipVertical ? out.height - 1 - y : y;
    const u = orientation.flipHorizontal ? out.width - 1 - x : x;
    return orientation.transpose ? u * size.width + v : v * size.width + u;
  };

  it("moves each pixel of an image", () => {
    const data = Uint8Array.from({ length: 72 }, () => random.int(256));
    const image = orientImage({ ...size, data }, orientation);
    expect(image).toMatchObject(out);
    for (let y = 0; y < out.height; y++) {
      for (let x = 0; x < out.width; x++) {
        const i = (y * out.width + x) * 3;
        const j = source(y, x) * 3;
        expect(image.data.slice(i, i + 3)).toEqual(data.slice(j, j + 3));
      }
    }
  });
  it("moves masks and boxes alike", () => {
    // Not symmetric, and away from the borders on two sides.
    const full = new Uint8Array(24);
    for (const i of [7, 8, 9, 14]) full[i] = 1;
    const mask = bitmapFromFull(full, size);
    const turned = orientBitmap(mask, orientation);
    expect(turned.size).toEqual(out);
    const expected = Uint8Array.from(
      { length: 24 },
      (_, i) => full[source(Math.floor(i / out.width), i % out.width)]!,
    );
    expect(toFullBitmap(turned)).toEqual(expected);
    const box = orientBoxes(Float32Array.from(bitmapBox(mask)), size, orientation);
    expect([...box]).toEqual([...bitmapBox(turned)]);
  });
});
