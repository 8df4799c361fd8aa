import {
  bitmapFromFull,
  decodeRle,
  encodeRle,
  mergeRles,
  rleArea,
  rleFromCounts,
  rleFromString,
  rleToBox,
  rleToString,
  toFullBitmap,
} from "../src/index.ts";
import { createRandom, isMrcnnError } from "@mrcnn/core";
import type { ImageSize } from "@mrcnn/core";
import { golden } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";

interface Group {
  size: [number, number];
  counts: number[][];
  strings: string[];
  area: number[];
  box: number[][];
  union: string;
  intersection: string;
}
const { groups } = golden<{ groups: Group[] }>(import.meta.url, "rle");
const sizeOf = ([height, width]: [number, number]): ImageSize => ({ height, width });

describe("run lengths", () => {
  it("read, write, measure and merge as pycocotools does", () => {
    for (const { size, counts, strings, area, box, union, intersection } of groups) {
      const rles = counts.map((runs) => rleFromCounts(runs, sizeOf(size)));
      expect(rles.map(rleToString)).toEqual(strings);
      expect(strings.map((text) => [...rleFromString(text, sizeOf(size)).counts])).toEqual(counts);
      expect(rles.map(rleArea)).toEqual(area);
      expect(rles.map((rle) => [...rleToBox(rle)])).toEqual(box);
      expect(rles.map((rle) => [...encodeRle(decodeRle(rle)).counts])).toEqual(counts);
      expect(rleToString(mergeRles(rles.slice(0, 3)))).toBe(union);
      expect(rleToString(mergeRles(rles.slice(0, 3), { intersect: true }))).toBe(intersection);
    }
  });

  it("are column-major and start with zeros", () => {
    // 0 1
    // 0 1
    // 1 0  down the columns: 0 0 1 | 1 1 0
    const bitmap = bitmapFromFull([0, 1, 0, 1, 1, 0], { height: 3, width: 2 });
    expect([...encodeRle(bitmap).counts]).toEqual([2, 3, 1]);
    expect([...encodeRle(bitmapFromFull([1, 0], { height: 2, width: 1 })).counts]).toEqual([0, 1, 1]);
  });

  it("decode to a tight window, and an empty mask to none", () => {
    const bitmap = decodeRle(rleFromCounts([7, 1, 4, 2, 11], { height: 5, width: 5 }));
    expect(bitmap).toMatchObject({ left: 1, top: 2, width: 2, height: 2 });
    expect([...bitmap.data]).toEqual([1, 1, 0, 1]);
    expect(decodeRle(rleFromCounts([25], { height: 5, width: 5 }))).toMatchObject({
      left: 0,
      top: 0,
      width: 0,
      height: 0,
    });
    expect([...decodeRle(rleFromCounts([], { height: 0, width: 5 })).data]).toEqual([]);
  });

  it("survive encode and decode for any mask", () => {
    const random = createRandom(11);
    for (let i = 0; i < 50; i++) {
      const size = { height: 1 + random.int(20), width: 1 + random.int(20) };
      const density = random.uniform();
      const full = Uint8Array.from({ length: size.height * size.width }, () =>
        random.uniform() < density ? 1 : 0,
      );
      const rle = encodeRle(bitmapFromFull(full, size));
      expect(toFullBitmap(rle)).toEqual(full);
      expect(rleFromString(rleToString(rle), size)).toEqual(rle);
    }
  });

  it("survive as text up to the largest image", () => {
    for (const counts of [
      [2 ** 32 - 1],
      [0, 2 ** 31, 2 ** 31 - 1],
      [2 ** 30, 3, 2 ** 30, 2 ** 31 - 4],
      [5, 1, 2 ** 31, 2, 2 ** 31 - 9],
    ]) {
      const size = { height: counts.reduce((a, b) => a + b, 0), width: 1 };
      const rle = rleFromCounts(counts, size);
      expect(rleFromString(rleToString(rle), size)).toEqual(rle);
    }
  });

  it("accept runs of nothing", () => {
    const odd = rleFromCounts([3, 0, 2, 4, 0, 1, 2], { height: 4, width: 3 });
    expect(rleToBox(odd)).toEqual([1, 0, 2, 4]);
    expect([...mergeRles([odd, odd]).counts]).toEqual([5, 5, 2]);
  });

  it("refuse what doesn't add up, naming the place", () => {
    const size = { height: 2, width: 3 };
    const thrown = (run: () => unknown): unknown => {
      try {
        return run();
      } catch (error) {
        return error;
      }
    };
    const error = thrown(() => rleFromCounts([1, 2, 2], size, "a.json: annotation 7"));
    expect(isMrcnnError(error, "dataset")).toBe(true);
    expect(String(error)).toContain(
      "a.json: annotation 7: counts must add up to height * width = 2 * 3 = 6, got 5",
    );
    expect(() => rleFromCounts([7, -1], size)).toThrow("got -1 at place 1");
    expect(() => rleFromCounts([1.5, 4.5], size)).toThrow("got 1.5 at place 0");
    expect(() => rleFromCounts([6], { height: 2, width: 3.5 })).toThrow("size must be whole pixels");
    expect(() => rleFromString("6 ", size)).toThrow('got " " at place 1');
    expect(() => rleFromString("o", size)).toThrow("its end in the middle of a number");
    expect(() => rleFromString("5", size)).toThrow("must add up");
    expect(() => rleFromString("O7", size)).toThrow("must be whole numbers >= 0, got -1 at place 0");
    expect(() => rleFromString("oooooooo0", size)).toThrow("compressed run lengths");
    expect(() => rleFromString("", { height: 2, width: 0.5 })).toThrow("size must be whole pixels");
    expect(() => mergeRles([])).toThrow("at least one mask");
    expect(() => mergeRles([rleFromCounts([6], size), rleFromCounts([6], { height: 3, width: 2 })])).toThrow(
      "one size, got 2 x 3 and 3 x 2",
    );
  });
});
