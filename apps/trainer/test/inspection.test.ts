// What a data set is like, counted by hand; what is wrong with it is the review's, which has tests of its own.
import { createFindingList } from "@mrcnn/masks";
import { describe, expect, it } from "vitest";
import { inspectAnnotations } from "../src/inspection.ts";
import type { Inspected } from "../src/inspection.ts";

const image = (id: number, width = 100, height = 80) => ({ id, width, height, file_name: `${id}.png` });
/** An outline around `width` by `height` pixels. */
const outline = (width: number, height = width, x = 10, y = 10) => [
  [x, y, x + width, y, x + width, y + height, x, y + height],
];
let ids = 0;
const object = (image_id: number, more: object = {}) => ({
  id: ++ids,
  image_id,
  category_id: 1,
  bbox: [10, 10, 20, 20],
  ...more,
});
const look = (
  annotations: readonly object[],
  { images = [image(1)], categories = [{ id: 1, name: "a" }] as readonly object[] } = {},
): Inspected & { notes: ReturnType<ReturnType<typeof createFindingList>["all"]> } => {
  const found = createFindingList();
  const inspected = inspectAnnotations({ images, categories, annotations }, "a.json", {
    rules: { masks: "consistent" },
    found,
  });
  return { ...inspected, notes: found.all() };
};
const bins = (labels: readonly string[], counts: Readonly<Record<string, number>> = {}) =>
  labels.map((label) => ({ label, count: counts[label] ?? 0 }));
const PER_IMAGE = ["0", "1", "2–4", "5–9", "10–19", "20–49", "50–99", "100–199", "200 up"];
const SIDES = ["0–3", "4–7", "8–15", "16–31", "32–63", "64–95", "96–127", "128–255", "256–511", "512 up"];

describe("inspectAnnotations", () => {
  it("counts images, objects, crowds, masks and classes", () => {
    const { inspection, review, notes } = look(
      [
        ...Array.from({ length: 5 }, () => object(1, { segmentation: outline(20) })),
        object(2, { category_id: 9, iscrowd: 1, segmentation: outline(20) }),
        object(4, { iscrowd: true, segmentation: outline(20) }),
        object(4, { iscrowd: 0, segmentation: outline(20) }),
      ],
      {
        images: [
          image(1),
          image(2, 80, 100),
          image(3, 64, 64),
          image(4),
          image(5, 64, 64),
          image(6),
          image(7),
        ],
        categories: [
          { id: 1, name: "a" },
          { id: 5, name: 5 },
          { id: 9, name: "b" },
        ],
      },
    );
    expect(inspection).toEqual({
      images: 7,
      objects: 8,
      crowds: 2,
      withMasks: 8,
      imagesWithoutObjects: 4,
      // The most frequent first.
      imageSizes: [
        { label: "100x80", count: 4 },
        { label: "64x64", count: 2 },
        { label: "80x100", count: 1 },
      ],
      objectsPerImage: bins(PER_IMAGE, { "0": 4, "1": 1, "2–4": 1, "5–9": 1 }),
      objectSizes: bins(SIDES, { "16–31": 8 }),
      // Of 5, 1, 0, 2, 0, 0, 0.
      medianObjectsPerImage: 0,
      maxObjectsPerImage: 5,
      classes: [
        { id: 1, name: "a", objects: 7, images: 2 },
        { id: 5, name: "5", objects: 0, images: 0 },
        { id: 9, name: "b", objects: 1, images: 1 },
      ],
      problems: review.findings,
    });
    expect(review.findings.map(({ kind }) => kind)).toEqual([
      "category without a name",
      "category without objects",
    ]);
    expect(notes).toEqual([]);
  });

  it("takes the one in the middle for the median, whatever the order", () => {
    const images = [image(1), image(2), image(3)];
    const per = (...counts: number[]): number =>
      look(
        counts.flatMap((count, i) => Array.from({ length: count }, () => object(i + 1))),
        { images },
      ).inspection.medianObjectsPerImage;
    expect([per(11, 2, 3), per(2, 3, 11), per(3, 11, 2)]).toEqual([3, 3, 3]);
  });

  it("puts each number into the bin that begins with it", () => {
    const counts = [0, 1, 2, 4, 5, 9, 10, 19, 20, 49, 50, 99, 100, 199, 200, 250];
    const { inspection } = look(
      counts.flatMap((count, i) => Array.from({ length: count }, () => object(i + 1))),
      { images: counts.map((_, i) => image(i + 1)) },
    );
    expect(inspection.objectsPerImage.map(({ count }) => count)).toEqual([1, 1, 2, 2, 2, 2, 2, 2, 2]);
    expect(inspection.maxObjectsPerImage).toBe(250);
    const sides = [0, 3.9, 4, 8, 15.9, 16, 32, 64, 95, 96, 128, 256, 512, 3000];
    expect(
      look(sides.map((side) => object(1, { bbox: [0, 0, side, side] }))).inspection.objectSizes.map(
        ({ count }) => count,
      ),
    ).toEqual([2, 1, 2, 1, 1, 2, 1, 1, 1, 2]);
  });

  it("of nothing is zeros", () => {
    const { inspection } = look([], { images: [], categories: [] });
    expect(inspection).toMatchObject({
      images: 0,
      objects: 0,
      imagesWithoutObjects: 0,
      imageSizes: [],
      objectsPerImage: bins(PER_IMAGE),
      objectSizes: bins(SIDES),
      medianObjectsPerImage: 0,
      maxObjectsPerImage: 0,
      classes: [],
    });
  });

  it("counts an annotation of no listed image or class as an object, and no further", () => {
    const strays = [object(99, { iscrowd: 1 }), object(1, { category_id: 99, segmentation: outline(20) })];
    const { inspection } = look([...strays, object(1)]);
    expect(inspection).toMatchObject({
      objects: 3,
      crowds: 0,
      withMasks: 0,
      maxObjectsPerImage: 1,
      objectSizes: bins(SIDES, { "16–31": 1 }),
      classes: [{ id: 1, name: "a", objects: 1, images: 1 }],
    });
  });

  describe("the size of an object", () => {
    // Its box has a side of 20.
    const byBox = "16–31";
    const sizeOf = (more: object, images = [image(1)]): { bin: string | undefined; withMasks: number } => {
      const { inspection } = look([object(1, more)], { images });
      return {
        bin: inspection.objectSizes.find(({ count }) => count === 1)?.label,
        withMasks: inspection.withMasks,
      };
    };

    it.each<[string, object, string]>([
      ["an outline's", { segmentation: outline(5) }, "4–7"],
      // 4 x 16 pixels are as many as 8 x 8.
      ["an outline's, as a square", { segmentation: outline(4, 16) }, "8–15"],
      ["that of several parts together", { segmentation: [...outline(6), ...outline(6, 6, 50)] }, "8–15"],
      ["that of the parts with three points or more", { segmentation: [[1, 2, 3, 4], ...outline(5)] }, "4–7"],
      // A triangle: half of 12 x 12 pixels.
      ["a triangle's", { segmentation: [[10, 10, 22, 10, 10, 22]] }, "8–15"],
      // Nine pixels in run lengths.
      ["that of run lengths", { segmentation: { size: [80, 100], counts: [100, 9, 7891] } }, "0–3"],
      ["that of run lengths without a pixel", { segmentation: { size: [80, 100], counts: [8000] } }, "0–3"],
    ])("is %s", (_, more, bin) => expect(sizeOf(more)).toEqual({ bin, withMasks: 1 }));

    it.each<[string, object]>([
      ["no mask", {}],
      ["null for a mask", { segmentation: null }],
      ["an empty list for a mask", { segmentation: [] }],
      ["no part with three points", { segmentation: [[1, 2, 3, 4]] }],
      ["a part that is no list", { segmentation: [5, 5, 5, 5, 5, 5] }],
      ["text in an outline", { segmentation: [[1, 2, 3, 4, 5, "6"], ...outline(5)] }],
      ["run lengths of another image's size", { segmentation: { size: [8, 10], counts: [80] } }],
      ["run lengths that are none", { segmentation: { size: [80, 100], counts: "?" } }],
      ["a word for a mask", { segmentation: "none" }],
    ])("is its box's with %s", (_, more) => expect(sizeOf(more)).toEqual({ bin: byBox, withMasks: 0 }));

    it("is its box's on an image whose width or height is not known", () => {
      const { width, height, ...rest } = image(1);
      for (const known of [{ width }, { height }])
        expect(sizeOf({ segmentation: outline(5) }, [{ ...rest, ...known } as never])).toEqual({
          bin: byBox,
          withMasks: 0,
        });
    });

    it.each<[string, unknown, string | undefined]>([
      // 2 x 32 are as many as 8 x 8.
      ["as a square", [1, 2, 2, 32], "8–15"],
      ["0 where a width is negative", [1, 2, -9, 20], "0–3"],
      ["0 where a height is negative", [1, 2, 20, -9], "0–3"],
      ["0 where both are", [1, 2, -9, -9], "0–3"],
      ["unknown without a box", undefined, undefined],
      ["unknown of three numbers", [1, 2, 3], undefined],
      ["unknown of five numbers", [1, 2, 3, 4, 5], undefined],
      ["unknown with text", [1, 2, "3", 4], undefined],
      ["unknown of four letters", "abcd", undefined],
    ])("is, of a box, %s", (_, bbox, bin) => expect(sizeOf({ bbox }).bin).toBe(bin));
  });

  it("notes outlines without a pixel, of polygons alone", () => {
    const flat = [[5, 5, 5, 5, 5, 5]];
    const { notes, inspection } = look([
      object(1, { id: 7, segmentation: flat }),
      object(1, { id: 8, segmentation: outline(5) }),
      object(1, { id: "x", segmentation: flat }),
      object(1, { id: 9, segmentation: { size: [80, 100], counts: [8000] } }),
    ]);
    expect(notes).toEqual([
      {
        kind: "mask without pixels",
        severity: "note",
        count: 2,
        examples: [
          "annotation 7 of 1.png: segmentation has no pixel set",
          "annotation x of 1.png: segmentation has no pixel set",
        ],
        advice: "Its object has a box alone.",
      },
    ]);
    expect(inspection.objectSizes[0]).toEqual({ label: "0–3", count: 3 });
  });
});
