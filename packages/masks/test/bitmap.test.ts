import {
  bitmapBox,
  bitmapFromFull,
  cropBitmap,
  decodeRle,
  encodeRle,
  flipBitmap,
  resizeBitmap,
  rleFromCounts,
  toFullBitmap,
} from "../src/index.ts";
import { createRandom } from "@mrcnn/core";
import type { Bitmap } from "@mrcnn/core";
import { golden } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";

interface Golden {
  resize: { size: [number, number]; counts: number[]; to: { size: [number, number]; counts: number[] }[] };
}
const { resize } = golden<Golden>(import.meta.url, "crop");

// . . . .
// . x x .
// . x . .
const corner = (): Bitmap => bitmapFromFull([0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0], { height: 3, width: 4 });

describe("bitmaps", () => {
  it("keep a tight window and expand again", () => {
    expect(corner()).toMatchObject({ left: 1, top: 1, width: 2, height: 2 });
    expect([...corner().data]).toEqual([1, 1, 1, 0]);
    expect([...toFullBitmap(corner())]).toEqual([0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0]);
    expect([...toFullBitmap(encodeRle(corner()))]).toEqual([...toFullBitmap(corner())]);
    expect(bitmapFromFull(new Uint8Array(6), { height: 2, width: 3 })).toMatchObject({
      left: 0,
      top: 0,
      width: 0,
      height: 0,
    });
    expect(() => bitmapFromFull([1], { height: 2, width: 3 })).toThrow("data must hold 6 values, got 1");
  });

  it("know their box", () => {
    expect(bitmapBox(corner())).toEqual([1, 1, 3, 3]);
    const loose = {
      size: { height: 9, width: 9 },
      left: 2,
      top: 3,
      width: 3,
      height: 2,
      data: Uint8Array.of(0, 0, 0, 0, 1, 0),
    };
    expect(bitmapBox(loose)).toEqual([3, 4, 4, 5]);
    expect(bitmapBox({ ...loose, data: new Uint8Array(6) })).toEqual([0, 0, 0, 0]);
  });

  it("flip left to right", () => {
    expect([...toFullBitmap(flipBitmap(corner()))]).toEqual([0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0]);
    expect(flipBitmap(flipBitmap(corner()))).toEqual(corner());
  });

  it("crop as a full image is cropped, also beyond its edges", () => {
    const cropped = cropBitmap(corner(), { left: 2, top: 0, width: 3, height: 2 });
    expect(cropped.size).toEqual({ height: 2, width: 3 });
    expect([...toFullBitmap(cropped)]).toEqual([0, 0, 0, 1, 0, 0]);
    expect([...toFullBitmap(cropBitmap(corner(), { left: -1, top: 1, width: 3, height: 1 }))]).toEqual([
      0, 0, 1,
    ]);
    expect(cropBitmap(corner(), { left: 3, top: 2, width: 1, height: 1 }).data).toHaveLength(0);
  });

  it("resize as torch's nearest interpolation", () => {
    const mask = decodeRle(rleFromCounts(resize.counts, { height: resize.size[0], width: resize.size[1] }));
    for (const { size, counts } of resize.to) {
      expect([...encodeRle(resizeBitmap(mask, { height: size[0], width: size[1] })).counts]).toEqual(counts);
    }
  });

  it("agree with whole images for any window", () => {
    const random = createRandom(8);
    for (let i = 0; i < 30; i++) {
      const size = { height: 2 + random.int(9), width: 2 + random.int(9) };
      const full = Uint8Array.from({ length: size.height * size.width }, () =>
        random.uniform() < 0.3 ? 1 : 0,
      );
      const window = {
        left: random.int(5) - 2,
        top: random.int(5) - 2,
        width: 1 + random.int(8),
        height: 1 + random.int(8),
      };
      const expected = Uint8Array.from({ length: window.width * window.height }, (_, k) => {
        const x = window.left + (k % window.width);
        const y = window.top + Math.floor(k / window.width);
        return x < 0 || y < 0 || x >= size.width || y >= size.height ? 0 : full[y * size.width + x]!;
      });
      expect(toFullBitmap(cropBitmap(bitmapFromFull(full, size), window))).toEqual(expected);
    }
  });
});
