import { createRandom, type GroundTruth, type Sample } from "@mrcnn/core";
import { bitmapBox, bitmapFromFull, toFullBitmap } from "@mrcnn/masks";
import { describe, expect, it } from "vitest";
import { cropGroundTruth, cropImage, prepareTrainingSample, randomWindow } from "../src/index.ts";

const plain = { mean: [0, 0, 0], std: [1, 1, 1] } as const;

// An image whose channels hold the column, the row, and 255 on objects.
function sampleOf(
  height: number,
  width: number,
  rects: readonly [number, number, number, number][],
  id = 1,
): Sample {
  const data = new Uint8Array(height * width * 3);
  const masks = rects.map(([x1, y1, x2, y2]) => {
    const full = new Uint8Array(height * width);
    for (let y = y1; y < y2; y++) full.fill(1, y * width + x1, y * width + x2);
    return bitmapFromFull(full, { height, width });
  });
  const fulls = masks.map(toFullBitmap);
  for (let i = 0; i < height * width; i++) {
    data.set([i % width, Math.floor(i / width), fulls.some((full) => full[i] === 1) ? 255 : 0], i * 3);
  }
  return {
    id,
    name: "made.png",
    image: { height, width, data },
    groundTruth: {
      boxes: Float32Array.from(rects.flat()),
      labels: Int32Array.from(rects, (_, i) => i + 1),
      masks,
      isCrowd: Uint8Array.from(rects, (_, i) => i % 2),
    },
  };
}

describe("cropGroundTruth", () => {
  const { groundTruth } = sampleOf(20, 30, [
    [2, 2, 8, 9],
    [10, 5, 20, 15],
    [25, 0, 30, 4],
  ]);
  const window = { left: 4, top: 3, height: 10, width: 12 };

  it("keeps what is visible, with the box of the visible part", () => {
    const cut = cropGroundTruth(groundTruth, window);
    // object 1: columns 4..8, rows 3..9; object 2: columns 10..16, rows 5..13; object 3 lies outside
    expect([...cut.boxes]).toEqual([0, 0, 4, 6, 6, 2, 12, 10]);
    expect([...cut.labels]).toEqual([1, 2]);
    expect([...cut.isCrowd]).toEqual([0, 1]);
    expect(cut.masks.map((mask) => mask.data.length)).toEqual([24, 48]);
    expect(cut.masks[0]!.size).toEqual({ height: 10, width: 12 });
  });
  it("shrinks a cut box to the mask, not to the window", () => {
    // An L: a column of 10 rows and a foot; above the foot only the column is left.
    const full = new Uint8Array(100);
    for (let y = 0; y < 10; y++) full[y * 10 + 2] = 1;
    for (let x = 2; x < 9; x++) full[90 + x] = 1;
    const mask = bitmapFromFull(full, { height: 10, width: 10 });
    const gt: GroundTruth = {
      boxes: Float32Array.of(2, 0, 9, 10),
      labels: Int32Array.of(1),
      masks: [mask],
      isCrowd: Uint8Array.of(0),
    };
    expect([...cropGroundTruth(gt, { left: 0, top: 0, height: 5, width: 10 }).boxes]).toEqual([2, 0, 3, 5]);
  });
  it("drops slivers below minArea", () => {
    expect([...cropGroundTruth(groundTruth, window, { minArea: 25 }).labels]).toEqual([2]);
  });
  it("clips boxes without masks, and drops those without area", () => {
    const boxes = { ...groundTruth, masks: [] };
    const cut = cropGroundTruth(boxes, window);
    expect([...cut.boxes]).toEqual([0, 0, 4, 6, 6, 2, 12, 10]);
    expect(cut.masks).toEqual([]);
    expect([...cropGroundTruth(boxes, window, { minArea: 25 }).labels]).toEqual([2]);
  });
  it("leaves an image without objects a negative", () => {
    const cut = cropGroundTruth(groundTruth, { left: 0, top: 16, height: 4, width: 30 });
    expect(cut).toEqual({
      boxes: new Float32Array(0),
      labels: new Int32Array(0),
      isCrowd: new Uint8Array(0),
      masks: [],
    });
  });
});

describe("randomWindow", () => {
  it("reaches every place and stays inside", () => {
    const random = createRandom(2);
    const seen = new Set<string>();
    for (let i = 0; i < 300; i++) {
      const { left, top, height, width } = randomWindow(
        { height: 5, width: 4 },
        { height: 3, width: 2 },
        random,
      );
      expect([height, width]).toEqual([3, 2]);
      seen.add(`${left},${top}`);
    }
    expect([...seen].toSorted()).toEqual(["0,0", "0,1", "0,2", "1,0", "1,1", "1,2", "2,0", "2,1", "2,2"]);
  });
  it("takes all of a shorter edge", () => {
    const window = randomWindow({ height: 3, width: 9 }, { height: 8, width: 4 }, createRandom(1));
    expect(window).toMatchObject({ top: 0, height: 3, width: 4 });
  });
});

it("cropImage refuses a window that reaches outside", () => {
  const { image } = sampleOf(4, 5, []);
  expect(() => cropImage(image, { left: 3, top: 0, height: 4, width: 3 })).toThrow(
    "cropImage: window must lie within 4x5 pixels, got 4x3 at row 0, column 3.",
  );
});

describe("prepareTrainingSample", () => {
  const sample = sampleOf(24, 40, [
    [3, 4, 12, 10],
    [20, 8, 36, 22],
    [30, 1, 38, 5],
  ]);
  const options = { ...plain, flip: 0.5, verticalFlip: 0.5, rotate90: 0.5, crop: { height: 16, width: 16 } };

  it("moves image and objects alike, whatever is drawn", () => {
    let kept = 0;
    for (let seed = 0; seed < 60; seed++) {
      const { image, groundTruth, name } = prepareTrainingSample(sample, options, createRandom(seed));
      expect(name).toBe("made.png");
      expect([image.height, image.width]).toEqual([16, 16]);
      const union = new Uint8Array(256);
      for (const [i, mask] of groundTruth.masks.entries()) {
        toFullBitmap(mask).forEach((bit, at) => (union[at]! |= bit));
        expect([...groundTruth.boxes.subarray(i * 4, i * 4 + 4)]).toEqual([...bitmapBox(mask)]);
      }
      // The blue channel is 1 exactly where an object is.
      expect(union).toEqual(Uint8Array.from({ length: 256 }, (_, i) => image.data[i * 3 + 2]!));
      kept += groundTruth.labels.length;
    }
    expect(kept).toBeGreaterThan(60);
  });
  it("draws all eight orientations", () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 100; seed++) {
      const { image } = prepareTrainingSample(
        sample,
        { ...options, crop: undefined } as never,
        createRandom(seed),
      );
      // Column and row of the original at two corners tell how the picture lies.
      const at = (i: number): string =>
        [...image.data.subarray(i * 3, i * 3 + 2)].map((v) => Math.round(v * 255)).join();
      seen.add(`${at(0)} ${at(image.width - 1)}`);
    }
    expect(seen.size).toBe(8);
  });
  it("repeats itself for the same random state, and only then", () => {
    const scaled = {
      ...options,
      minSizes: [18, 24, 37],
      brightness: 0.2,
      contrast: 0.2,
      saturation: 0.2,
      hue: 0.1,
    };
    const make = (seed: number): unknown => prepareTrainingSample(sample, scaled, createRandom(seed));
    expect(make(7)).toEqual(make(7));
    expect(make(7)).not.toEqual(make(8));
  });
  it("resizes to one of the sizes before cropping", () => {
    const heights = new Set<number>();
    for (let seed = 0; seed < 40; seed++) {
      const { image, groundTruth } = prepareTrainingSample(
        sample,
        { ...plain, minSizes: [12, 48], maxSize: 70 },
        createRandom(seed),
      );
      heights.add(image.height);
      const scale = image.height / 24;
      expect(groundTruth.boxes[0]).toBeCloseTo(3 * scale, 4);
    }
    expect([...heights].toSorted((a, b) => a - b)).toEqual([12, 42]); // 48 would be 80 wide: 70 / 40 · 24
  });
  it("drops objects that resizing leaves without a pixel", () => {
    const tiny = sampleOf(40, 40, [
      [1, 1, 2, 2],
      [4, 4, 30, 30],
    ]);
    const { groundTruth } = prepareTrainingSample(tiny, { ...plain, minSizes: [10] }, createRandom(1));
    expect([...groundTruth.labels]).toEqual([2]);
  });
  it("keeps a smaller image whole", () => {
    const { image } = prepareTrainingSample(
      sample,
      { ...plain, crop: { height: 100, width: 10 } },
      createRandom(1),
    );
    expect([image.height, image.width]).toEqual([24, 10]);
  });
  it("leaves its argument alone", () => {
    const before = structuredClone(sample);
    prepareTrainingSample(sample, { ...options, brightness: 0.5 }, createRandom(3));
    expect(sample).toEqual(before);
  });
});
