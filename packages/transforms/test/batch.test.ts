import { describe, expect, it } from "vitest";
import { batchImages } from "../src/index.ts";

const filled = (height: number, width: number, value: number) => ({
  height,
  width,
  data: new Float32Array(height * width * 3).fill(value),
});

describe("batchImages", () => {
  it("pads with zeros to the right and below", () => {
    const batch = batchImages([filled(2, 3, 1), filled(3, 1, 2)], { divisor: 2 });
    expect(batch.size).toEqual({ height: 4, width: 4 });
    expect(batch.imageSizes).toEqual([
      { height: 2, width: 3 },
      { height: 3, width: 1 },
    ]);
    const red = [...batch.data].filter((_, i) => i % 3 === 0);
    // prettier-ignore
    expect(red).toEqual([
      1, 1, 1, 0,
      1, 1, 1, 0,
      0, 0, 0, 0,
      0, 0, 0, 0,

      2, 0, 0, 0,
      2, 0, 0, 0,
      2, 0, 0, 0,
      0, 0, 0, 0,
    ]);
  });
  it("makes batches of a fixed size", () => {
    expect(batchImages([filled(2, 3, 1)], { size: { height: 40, width: 32 } }).size).toEqual({
      height: 64,
      width: 32,
    });
  });
  it("refuses no images, and images larger than the size", () => {
    expect(() => batchImages([])).toThrow("batchImages: images must hold at least one image, got none.");
    expect(() => batchImages([filled(5, 9, 0)], { size: { height: 8, width: 8 } })).toThrow(
      "batchImages: images must fit into 8x8 pixels, got up to 5x9. Lower maxSize, crop, or raise the batch's size.",
    );
  });
});
