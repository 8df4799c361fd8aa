import { describe, expect, it } from "vitest";
import { parseCocoJson, reviewCoco } from "../src/index.ts";

const zigzag = (points: number, width: number): number[] =>
  Array.from({ length: points }, (_, k) => [k % 2 === 0 ? 0 : width, k % 7]).flat();
const file = (size: { width: number; height: number }, segmentations: readonly unknown[]): object => ({
  images: [{ id: 1, file_name: "a.png", ...size }],
  categories: [{ id: 1, name: "a" }],
  annotations: segmentations.map((segmentation, i) => ({
    id: i + 1,
    image_id: 1,
    category_id: 1,
    bbox: [0, 0, 2, 2],
    segmentation,
  })),
});
const square = [[0, 0, 2, 0, 2, 2, 0, 2]];
const kinds = (value: unknown, options = {}): string[] =>
  reviewCoco(value, "a.json", options)
    .findings.filter(({ severity }) => severity === "error")
    .map(({ kind }) => kind);

describe("reviewCoco on sizes", () => {
  it.each([
    [{ width: 60_000, height: 60_000 }, "3600000000"],
    [{ width: 1, height: 178_956_971 }, "178956971"],
    [{ width: 1e15, height: 8 }, "8e15"],
    [{ width: 1_000_001, height: 1 }, "a side"],
  ])("refuses an image that claims %j", (size) => {
    expect(kinds(file(size, [square]))).toContain("image of more pixels than are read");
    // Results are evaluated without the images.
    expect(kinds(file(size, [square]), { purpose: "evaluation", masks: "unneeded" })).not.toContain(
      "image of more pixels than are read",
    );
  });
  it("takes the largest that are read", () => {
    expect(kinds(file({ width: 13_377, height: 13_377 }, [square]))).toEqual([]);
    expect(kinds(file({ width: 1_000_000, height: 178 }, [square]))).toEqual([]);
    expect(kinds(file({ width: 20_000, height: 20_000 }, [square]), { maxPixels: 4e8 })).toEqual([]);
  });
  it("refuses outlines that go back and forth, whatever they are read for", () => {
    const tangled = file({ width: 1000, height: 500 }, [
      square,
      [square[0], zigzag(100_000, 1000)],
      [zigzag(3000, 900_000)],
    ]);
    for (const purpose of ["training", "evaluation"] as const) {
      expect(() => parseCocoJson(tangled, "a.json", { purpose })).toThrow(
        /a\.json: annotation 2 of a\.png: polygon 1 goes back and forth over its image of 1000x500 pixels: 100000 points, whose edges cross columns of pixels \d+ times, more than 3048576\. /,
      );
    }
    expect(kinds(tangled, { masks: "unneeded" })).toEqual([]);
  });
  it("refuses masks of one image that take too much memory together", () => {
    const whole = [[0, 0, 10_000, 0, 10_000, 10_000, 0, 10_000]];
    const beyond = [[-9e5, -9e5, 9e5, -9e5, 9e5, 9e5, -9e5, 9e5]];
    const runs = { size: [10_000, 10_000], counts: [0, 1e8] };
    const size = { width: 10_000, height: 10_000 };
    expect(kinds(file(size, [whole, runs, beyond, whole, square]))).toEqual([]);
    expect(() => parseCocoJson(file(size, [whole, runs, beyond, whole, runs, whole]), "a.json")).toThrow(
      'a.json: image 1 ("a.png"): the boxes of its masks have 600000000 pixels in all, more than 536870910.',
    );
  });
});
