import { rasterizePolygons, rleArea, rleFromBox, rleToBox, rleToString } from "../src/index.ts";
import { golden } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";

interface Golden {
  boxes: { size: [number, number]; drawn: { box: [number, number, number, number]; string: string }[] };
  cases: { size: [number, number]; polygons: number[][]; string: string; area: number }[];
  tangled: {
    size: [number, number];
    points: number;
    steps: [number, number];
    string: string;
    union: string;
  }[];
}
const { boxes, cases, tangled } = golden<Golden>(import.meta.url, "polygons");

describe("rasterizePolygons", () => {
  it.each(cases.map((c, i) => ({ i, ...c })))(
    "equals pycocotools pixel for pixel, case $i",
    ({ size, polygons, string, area }) => {
      const rle = rasterizePolygons(polygons, { height: size[0], width: size[1] });
      expect(rleToString(rle)).toBe(string);
      expect(rleArea(rle)).toBe(area);
    },
  );

  // Outlines of many points all over the image, made as in tools/golden/masks.py.
  const tangle = (
    count: number,
    [height, width]: readonly [number, number],
    [a, b]: readonly [number, number],
  ): number[] =>
    Array.from({ length: count }, (_, k) => [
      ((k * a) % (width + 7)) - 3,
      ((k * b) % (height + 5)) - 2 + (k % 4) / 4,
    ]).flat();
  it.each(tangled)(
    "equals pycocotools for an outline of $points points over $size, and for its triangles",
    ({ size, points, steps, string, union }) => {
      const [height, width] = size;
      const outline = tangle(points, size, steps);
      expect(rleToString(rasterizePolygons([outline], { height, width }))).toBe(string);
      const triangles = Array.from({ length: Math.min(200, Math.floor(points / 3)) }, (_, i) =>
        outline.slice(6 * i, 6 * i + 6),
      );
      expect(rleToString(rasterizePolygons(triangles, { height, width }))).toBe(union);
    },
  );

  it("bounds the work of an outline by its image", () => {
    const size = { height: 1000, width: 1000 };
    const zigzag = (points: number): number[] =>
      Array.from({ length: points }, (_, k) => [k % 2 === 0 ? 0 : 1000, (k * 7) % 1000]).flat();
    expect(() => rasterizePolygons([zigzag(1e6)], size, "annotation 3")).toThrow(
      "annotation 3: polygon 0 goes back and forth over its image of 1000x1000 pixels: 1000000 points, whose edges cross columns of pixels 1000000000 times, more than 5048576. It is no outline of an object; correct or remove it.",
    );
    expect(() =>
      rasterizePolygons(
        [
          zigzag(1e6).map((v, i) =>
            i % 2 === 0 ?
              v === 0 ?
                -9e5
              : 9e5
            : v,
          ),
        ],
        size,
      ),
    ).toThrow("more than 5048576");
    expect(() => rasterizePolygons([zigzag(1e5)], { height: 10, width: 60_000 })).toThrow(
      "It is no outline of an object",
    );
    expect(rleArea(rasterizePolygons([zigzag(5000)], size))).toBeGreaterThan(0);
  });
  it("draws many small parts in one walk", () => {
    const parts = Array.from({ length: 100_000 }, (_, i) => [
      i % 1000,
      Math.floor(i / 1000) * 10,
      (i % 1000) + 2,
      Math.floor(i / 1000) * 10,
      i % 1000,
      Math.floor(i / 1000) * 10 + 2,
    ]);
    expect(rleArea(rasterizePolygons(parts, { height: 1000, width: 1000 }))).toBe(100_000); // pycocotools' merge of frPyObjects
  });

  it("fills the pixels of a square drawn on their edges", () => {
    const rle = rasterizePolygons([[2, 3, 7, 3, 7, 9, 2, 9]], { height: 12, width: 12 });
    expect(rleToBox(rle)).toEqual([2, 3, 5, 6]);
    expect(rleArea(rle)).toBe(30);
  });

  it("refuses what is no polygon, naming it", () => {
    const size = { height: 4, width: 4 };
    expect(() => rasterizePolygons([], size, "annotation 3")).toThrow(
      "annotation 3: polygons must hold at least one",
    );
    expect(() => rasterizePolygons([[0, 0, 1, 1]], size)).toThrow(
      "polygon 0 must have x and y of at least 3 points, got 4 numbers",
    );
    expect(() => rasterizePolygons([[0, 0, 1, 1, 2]], size)).toThrow("got 5 numbers");
    expect(() => rasterizePolygons([[0, 0, 1, 1, NaN, 2]], size)).toThrow(
      "finite pixel coordinates, got NaN",
    );
    expect(() => rasterizePolygons([[0, 0, 1, 1, 1e12, 2]], size)).toThrow("finite pixel coordinates");
  });
});

describe("rleFromBox", () => {
  it("equals pycocotools pixel for pixel", () => {
    const [height, width] = boxes.size;
    expect(boxes.drawn.map(({ box }) => rleToString(rleFromBox(box, { height, width })))).toEqual(
      boxes.drawn.map(({ string }) => string),
    );
    expect(() => rleFromBox([0, 0, NaN, 1], { height, width }, "object 3")).toThrow(
      "object 3 must have finite pixel coordinates, got NaN",
    );
  });
});
