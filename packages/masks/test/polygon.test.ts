import { rasterizePolygons, rleArea, rleFromBox, rleToBox, rleToString } from "../src/index.ts";
import { golden } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";

interface Golden {
  boxes: { size: [number, number]; drawn: { box: [number, number, number, number]; string: string }[] };
  cases: { size: [number, number]; polygons: number[][]; string: string; area: number }[];
}
const { boxes, cases } = golden<Golden>(import.meta.url, "polygons");

describe("rasterizePolygons", () => {
  it.each(cases.map((c, i) => ({ i, ...c })))("equals pycocotools pixel for pixel, case $i", ({ size, polygons, string, area }) => {
    const rle = rasterizePolygons(polygons, { height: size[0], width: size[1] });
    expect(rleToString(rle)).toBe(string);
    expect(rleArea(rle)).toBe(area);
  });

  it("fills the pixels of a square drawn on their edges", () => {
    const rle = rasterizePolygons([[2, 3, 7, 3, 7, 9, 2, 9]], { height: 12, width: 12 });
    expect(rleToBox(rle)).toEqual([2, 3, 5, 6]);
    expect(rleArea(rle)).toBe(30);
  });

  it("refuses what is no polygon, naming it", () => {
    const size = { height: 4, width: 4 };
    expect(() => rasterizePolygons([], size, "annotation 3")).toThrow("annotation 3: polygons must hold at least one");
    expect(() => rasterizePolygons([[0, 0, 1, 1]], size)).toThrow("polygon 0 must have x and y of at least 3 points, got 4 numbers");
    expect(() => rasterizePolygons([[0, 0, 1, 1, 2]], size)).toThrow("got 5 numbers");
    expect(() => rasterizePolygons([[0, 0, 1, 1, NaN, 2]], size)).toThrow("finite pixel coordinates, got NaN");
    expect(() => rasterizePolygons([[0, 0, 1, 1, 1e12, 2]], size)).toThrow("finite pixel coordinates");
  });
});

describe("rleFromBox", () => {
  it("equals pycocotools pixel for pixel", () => {
    const [height, width] = boxes.size;
    expect(boxes.drawn.map(({ box }) => rleToString(rleFromBox(box, { height, width })))).toEqual(boxes.drawn.map(({ string }) => string));
    expect(() => rleFromBox([0, 0, NaN, 1], { height, width }, "object 3")).toThrow("object 3 must have finite pixel coordinates, got NaN");
  });
});
