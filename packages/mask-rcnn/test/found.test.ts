import { encodeRle, bitmapFromFull } from "@mrcnn/masks";
import { expect, it } from "vitest";
import { maskToBitmap, maskToRgba, toFound } from "../src/found.ts";

// 3 wide, 2 high: the right column and the middle of the lower row.
const pixels = Uint8Array.of(0, 0, 1, 0, 1, 1);
const size = { height: 2, width: 3 };
const detections = {
  imageSize: size,
  boxes: Float32Array.of(1, 0, 3, 2, 0, 0, 0.5, 1.5),
  labels: Int32Array.of(2, 1),
  scores: Float32Array.of(0.75, 0.5),
  masks: [encodeRle(bitmapFromFull(pixels, size)), encodeRle(bitmapFromFull(new Uint8Array(6), size))],
  keypoints: {
    count: 2,
    points: Float32Array.of(1, 2, 1, 3, 4, 1, 5, 6, 1, 7, 8, 1),
    scores: Float32Array.of(9, 10, 11, 12),
  },
};
const categories = [
  { id: 1, name: "person" },
  { id: 18, name: "dog" },
];

it("are plain objects with the data set's ids", () => {
  const found = toFound(detections, categories, ["nose", "tail"]);
  expect(JSON.parse(JSON.stringify(found))).toEqual(found);
  expect(found).toMatchObject({
    width: 3,
    height: 2,
    objects: [
      { label: 2, categoryId: 18, name: "dog", score: 0.75, box: { x: 1, y: 0, width: 2, height: 2 } },
      { label: 1, categoryId: 1, name: "person" },
    ],
  });
  expect(found.objects[1]!.box).toEqual({ x: 0, y: 0, width: 0.5, height: 1.5 });
  expect(found.objects[1]!.keypoints).toEqual([
    { name: "nose", x: 5, y: 6, score: 11 },
    { name: "tail", x: 7, y: 8, score: 12 },
  ]);
  expect(found.objects[0]!.mask!.size).toEqual([2, 3]);
  expect(
    Object.keys(
      toFound({ ...detections, masks: undefined as never, keypoints: undefined as never }, categories, [])
        .objects[0]!,
    ),
  ).toEqual(["label", "categoryId", "name", "score", "box"]);
});

it("masks become bitmaps and pixels", () => {
  const { objects } = toFound(detections, categories, ["nose", "tail"]);
  expect(maskToBitmap(objects[0]!.mask!)).toEqual(pixels);
  expect(maskToBitmap(objects[1]!.mask!)).toEqual(new Uint8Array(6));
  const rgba = maskToRgba(objects[0]!.mask!, [255, 0, 0, 128]);
  expect([...rgba.subarray(0, 12)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 128]);
  expect(() => maskToBitmap({ size: [2, 3], counts: "0" })).toThrow(/add up to height \* width/);
});
