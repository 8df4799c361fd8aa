import type { RawImage } from "@mrcnn/core";
import { toFullBitmap, type CocoJson } from "@mrcnn/masks";
import { describe, expect, it } from "vitest";
import { cocoDataset, cocoFromSamples, shapesDataset } from "../src/index.ts";

// 4 rows, 6 columns.
const image = { id: 10, width: 6, height: 4, file_name: "a.png" };
const square = [1, 1, 3, 1, 3, 3, 1, 3];
const json: CocoJson = {
  images: [image, { id: 3, width: 2, height: 2, file_name: "empty.png" }],
  categories: [
    { id: 18, name: "dog" },
    { id: 1, name: "person" },
  ],
  annotations: [
    { id: 7, image_id: 10, category_id: 18, bbox: [1, 1, 2, 2], area: 4, iscrowd: 0, segmentation: [square] },
    // Uncompressed run lengths go down the columns: the first column, then nothing.
    {
      id: 8,
      image_id: 10,
      category_id: 1,
      bbox: [0, 0, 1, 4],
      iscrowd: 1,
      segmentation: { size: [4, 6], counts: [0, 4, 20] },
    },
  ],
};
const blank = async (file: string): Promise<RawImage> => {
  const { width, height } = file === "a.png" ? image : { width: 2, height: 2 };
  return { width, height, data: new Uint8Array(width * height * 3) };
};
const changed = (i: number, change: object): CocoJson => ({
  ...json,
  annotations: json.annotations.map((annotation, k) => (k === i ? { ...annotation, ...change } : annotation)),
});

describe("cocoDataset", () => {
  it("numbers the categories by their ids, from 1", () => {
    const dataset = cocoDataset(json, blank);
    expect(dataset.classNames).toEqual(["background", "person", "dog"]);
    expect(dataset.categories.map(({ id }) => id)).toEqual([1, 18]);
    expect(dataset.imageInfo).toEqual(json.images);
    expect(dataset.hasMasks).toBe(true);
  });
  it("reads an image with its objects", async () => {
    const sample = await cocoDataset(json, blank).get(0);
    expect(sample).toMatchObject({ id: 10, name: "a.png", image: { width: 6, height: 4 } });
    const { boxes, labels, isCrowd, masks } = sample.groundTruth;
    expect([...boxes]).toEqual([1, 1, 3, 3, 0, 0, 1, 4]);
    expect([...labels]).toEqual([2, 1]);
    expect([...isCrowd]).toEqual([0, 1]);
    // prettier-ignore
    expect(masks.map((mask) => [...toFullBitmap(mask)])).toEqual([
      [0, 0, 0, 0, 0, 0,
       0, 1, 1, 0, 0, 0,
       0, 1, 1, 0, 0, 0,
       0, 0, 0, 0, 0, 0],
      [1, 0, 0, 0, 0, 0,
       1, 0, 0, 0, 0, 0,
       1, 0, 0, 0, 0, 0,
       1, 0, 0, 0, 0, 0],
    ]);
  });
  it("gives images without objects as negatives", async () => {
    const { groundTruth } = await cocoDataset(json, blank).get(1);
    expect(groundTruth).toEqual({
      boxes: new Float32Array(0),
      labels: new Int32Array(0),
      masks: [],
      isCrowd: new Uint8Array(0),
    });
  });
  it("clips boxes to the image", () => {
    const { boxes } = cocoDataset(changed(0, { bbox: [-1, 2, 30, 30] }), blank).groundTruth(0);
    expect([...boxes.subarray(0, 4)]).toEqual([0, 2, 6, 4]);
  });
  it("reads sets of boxes alone", () => {
    for (const segmentation of [undefined, []]) {
      const bare = {
        ...json,
        annotations: json.annotations.map((a) => ({ ...a, segmentation })),
      } as CocoJson;
      const dataset = cocoDataset(bare, blank);
      expect(dataset.hasMasks).toBe(false);
      expect(dataset.groundTruth(0).masks).toEqual([]);
      expect(dataset.groundTruth(0).labels.length).toBe(2);
    }
  });

  it("refuses masks on some objects only", () => {
    expect(() => cocoDataset(changed(1, { segmentation: [] }), blank, { name: "gt.json" })).toThrow(
      'gt.json: annotation 8 of a.png: has no mask (segmentation is missing, null or empty) while others have one. Give it a mask, or remove it. Or leave such objects out with degenerate: "drop".',
    );
  });
  it.each([
    [[1, 1, 0, 2], "have a positive width and height"],
    [[1, 1, 2, -3], "have a positive width and height"],
    [[6, 0, 2, 2], "lie within its image (6x4)"],
  ])("refuses box %j, naming the annotation", (bbox, must) => {
    expect(() => cocoDataset(changed(1, { bbox }), blank, { name: "gt.json" })).toThrow(
      `gt.json: annotation 8 of a.png: bbox must ${must}, got ${JSON.stringify(bbox)}. Correct it. Or leave such objects out with degenerate: "drop".`,
    );
    const dataset = cocoDataset(changed(1, { bbox }), blank, { degenerate: "drop" });
    expect(dataset.dropped.map(({ id }) => id)).toEqual([8]);
    expect([...dataset.groundTruth(0).labels]).toEqual([2]);
  });
  it("refuses dangling ids", () => {
    expect(() => cocoDataset(changed(0, { image_id: 99 }), blank)).toThrow(
      "annotations: annotation 7: image_id must be the id of an image of the file, got 99.",
    );
    expect(() => cocoDataset(changed(0, { category_id: 2 }), blank)).toThrow(
      "annotations: annotation 7 of a.png: category_id must be the id of a category of the file, got 2.",
    );
  });
  it("refuses a mask of another size at once, naming annotation and file", () => {
    expect(() =>
      cocoDataset(changed(1, { segmentation: { size: [6, 4], counts: [0, 4, 20] } }), blank, {
        name: "gt.json",
      }),
    ).toThrow(
      "gt.json: annotation 8 of a.png: segmentation must be of the image's size 4 x 6 (height x width), got 6 x 4.",
    );
  });
  it("refuses an image of another size than the annotated one", async () => {
    const dataset = cocoDataset(json, async () => ({ width: 4, height: 6, data: new Uint8Array(72) }), {
      name: "gt.json",
    });
    await expect(dataset.get(0)).rejects.toMatchObject({
      code: "dataset",
      message:
        'a.png: the file has 4x6 pixels, gt.json says 6x4. Photos are read as they are stored; if EXIF says that this one is turned, and it was annotated upright, choose orientation "exif". Else correct the annotations.',
    });
  });
  it("refuses an index out of range", async () => {
    await expect(cocoDataset(json, blank).get(2)).rejects.toThrow(
      "annotations: index must be within 0..1, got 2.",
    );
  });
});

it("cocoFromSamples writes what cocoDataset reads", async () => {
  const shapes = shapesDataset({ count: 3, seed: 1, size: { height: 40, width: 50 }, objectSize: [8, 20] });
  const samples = await Promise.all([0, 1, 2].map((i) => shapes.get(i)));
  const written = cocoFromSamples(samples, shapes.classNames);
  const read = cocoDataset(JSON.parse(JSON.stringify(written)), async () => samples[0]!.image);
  expect(read.classNames).toEqual(shapes.classNames);
  samples.forEach(({ groundTruth }, i) => expect(read.groundTruth(i)).toEqual(groundTruth));
  const { area, bbox } = written.annotations[0]!;
  expect(area).toBe(samples[0]!.groundTruth.masks[0]!.data.reduce((a, b) => a + b, 0));
  expect(bbox).toHaveLength(4);
});
