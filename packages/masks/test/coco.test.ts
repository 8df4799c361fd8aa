import { rleArea, segmentationToRle } from "../src/index.ts";
import { describe, expect, it } from "vitest";

describe("segmentationToRle", () => {
  const size = { height: 4, width: 3 };
  it("reads polygons, plain counts and compressed counts alike", () => {
    // The two left columns.
    const forms = [
      [[0, 0, 2, 0, 2, 4, 0, 4]],
      { size: [4, 3] as const, counts: [0, 8, 4] },
      { size: [4, 3] as const, counts: "084" },
    ];
    for (const form of forms) expect([...segmentationToRle(form, size).counts]).toEqual([0, 8, 4]);
    expect(
      rleArea(
        segmentationToRle(
          [
            [0, 0, 1, 0, 1, 1, 0, 1],
            [1, 0, 2, 0, 2, 1, 1, 1],
          ],
          size,
        ),
      ),
    ).toBe(2);
  });

  it("refuses other sizes and forms, naming the annotation", () => {
    expect(() => segmentationToRle({ size: [3, 4], counts: [12] }, size, "annotation 9")).toThrow(
      "annotation 9: segmentation must be of the image's size 4 x 3 (height x width), got 3 x 4",
    );
    expect(() => segmentationToRle(null as never, size)).toThrow(
      "must be a list of polygons or { size, counts }, got null",
    );
    expect(() => segmentationToRle([], size)).toThrow("at least one");
  });
});
