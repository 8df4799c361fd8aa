import { parseCocoJson, rleArea, segmentationToRle } from "../src/index.ts";
import { isMrcnnError } from "@mrcnn/core";
import { describe, expect, it } from "vitest";

const valid = () => ({
  info: { year: 2017 },
  images: [{ id: 1, width: 20, height: 10, file_name: "a.jpg" }],
  categories: [{ id: 18, name: "dog" }],
  annotations: [
    { id: 5, image_id: 1, category_id: 18, bbox: [1, 1, 4, 4], area: 16, iscrowd: 0, segmentation: [[1, 1, 5, 1, 5, 5, 1, 5]] },
    { id: 6, image_id: 1, category_id: 18, bbox: [2, 2, 3, 3] },
  ] as Record<string, unknown>[],
});
const broken = (change: (json: ReturnType<typeof valid>) => void): unknown => {
  const json = valid();
  change(json);
  return json;
};

describe("parseCocoJson", () => {
  it("returns a sound file as it is", () => {
    const json = valid();
    expect(parseCocoJson(json, "a.json")).toBe(json);
  });

  it.each<[string, unknown]>([
    ["must be a COCO annotation object, got [1]", [1]],
    ['key "images" must be a list, got undefined', {}],
    ['key "categories" must be a list', broken((j) => Object.assign(j, { categories: { 1: "dog" } }))],
    ["annotations[0] must be an object, got null", broken((j) => Object.assign(j, { annotations: [null] }))],
    ["images[0]: id must be a whole number or text, got 1.5", broken((j) => Object.assign(j.images[0]!, { id: 1.5 }))],
    ["image 1: height must be a whole number > 0, got 0", broken((j) => (j.images[0]!.height = 0))],
    ["image 1: file_name must be a string", broken((j) => Object.assign(j.images[0]!, { file_name: undefined }))],
    ["category 18: name must be a string", broken((j) => Object.assign(j.categories[0]!, { name: 3 }))],
    ["annotations[1]: id 5 is used twice", broken((j) => (j.annotations[1]!.id = 5))],
    ["annotation 6: image_id must be the id of an image of the file, got 2", broken((j) => (j.annotations[1]!.image_id = 2))],
    ["annotation 6: category_id must be the id of a category of the file, got 1", broken((j) => (j.annotations[1]!.category_id = 1))],
    ["annotation 6: bbox must be [x, y, width, height] in numbers, got [1,2,3]", broken((j) => (j.annotations[1]!.bbox = [1, 2, 3]))],
    ["annotation 6: area must be a number >= 0, got -1", broken((j) => (j.annotations[1]!.area = -1))],
    ["annotation 6: iscrowd must be 0 or 1, got 2", broken((j) => (j.annotations[1]!.iscrowd = 2))],
    ["annotation 6: segmentation must be a list of polygons or { size, counts }", broken((j) => (j.annotations[1]!.segmentation = [1, 2]))],
  ])("says %s", (message, value) => {
    let error: unknown;
    try {
      parseCocoJson(value, "train.json");
    } catch (thrown) {
      error = thrown;
    }
    expect(isMrcnnError(error, "dataset")).toBe(true);
    expect(String(error)).toContain(`train.json: ${message}`);
  });

  it("lists empty and negative boxes by annotation, or leaves them out", () => {
    const value = broken((j) => {
      j.annotations[0]!.bbox = [1, 1, 0, 4];
      j.annotations[1]!.bbox = [1, 1, 3, -1];
    });
    expect(() => parseCocoJson(value, "train.json")).toThrow("2 have not, of annotation 5, 6");
    expect(parseCocoJson(value, "train.json", { emptyBoxes: "skip" }).annotations).toEqual([]);
    expect(parseCocoJson(value, "train.json", { emptyBoxes: "keep" }).annotations).toHaveLength(2);
  });
});

describe("segmentationToRle", () => {
  const size = { height: 4, width: 3 };
  it("reads polygons, plain counts and compressed counts alike", () => {
    // The two left columns.
    const forms = [[[0, 0, 2, 0, 2, 4, 0, 4]], { size: [4, 3] as const, counts: [0, 8, 4] }, { size: [4, 3] as const, counts: "084" }];
    for (const form of forms) expect([...segmentationToRle(form, size).counts]).toEqual([0, 8, 4]);
    expect(rleArea(segmentationToRle([[0, 0, 1, 0, 1, 1, 0, 1], [1, 0, 2, 0, 2, 1, 1, 1]], size))).toBe(2);
  });

  it("refuses other sizes and forms, naming the annotation", () => {
    expect(() => segmentationToRle({ size: [3, 4], counts: [12] }, size, "annotation 9")).toThrow(
      "annotation 9: segmentation must be of the image's size 4 x 3 (height x width), got 3 x 4",
    );
    expect(() => segmentationToRle(null as never, size)).toThrow("must be a list of polygons or { size, counts }, got null");
    expect(() => segmentationToRle([], size)).toThrow("at least one");
  });
});
