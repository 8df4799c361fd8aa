import { createRandom } from "@mrcnn/core";
import { bitmapFromFull, toFullBitmap } from "@mrcnn/masks";
import { expectClose, golden } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";
import {
  batchImages,
  imagenetNormalization,
  mapBoxes,
  normalizeImage,
  prepareImage,
  resizeGroundTruth,
  resizeImage,
  shortestEdgeSize,
} from "../src/index.ts";

interface Case {
  size: [number, number];
  minSize: number;
  maxSize: number;
  data: number[];
  masks: string[];
  boxes: number[];
  resizedSize: [number, number];
  resized: number[];
  resizedMasks: string[];
  resizedBoxes: number[];
  boxesBack: number[];
}
interface Fixture {
  short799: number[];
  sizes: [number, number, number, number, number, number][];
  cases: Case[];
  batches: { sizes: [number, number][]; batch: [number, number] }[];
}
const fixture = golden<Fixture>(import.meta.url, "transforms");
const sizeOf = ([height, width]: readonly [number, number]): { height: number; width: number } => ({
  height,
  width,
});

describe("shortestEdgeSize", () => {
  it.each(fixture.sizes)("%i x %i to %i / %i is torchvision's", (height, width, minSize, maxSize, h, w) => {
    expect(shortestEdgeSize({ height, width }, { minSize, maxSize })).toEqual({ height: h, width: w });
  });
  it("ends at 799 where torchvision does", () => {
    const short = [];
    for (let s = 100; s < 3000; s++) {
      if (shortestEdgeSize({ height: s, width: s }, { minSize: 800, maxSize: 1333 }).height === 799)
        short.push(s);
    }
    expect(short).toEqual(fixture.short799);
  });
  it("refuses an edge of less than a pixel", () => {
    expect(() => shortestEdgeSize({ height: 1, width: 5000 }, { minSize: 800, maxSize: 1333 })).toThrow(
      /shortestEdgeSize: an image of 1x5000 pixels .* would become 0x1332\. Choose a larger maxSize\./,
    );
  });
});

describe("against GeneralizedRCNNTransform", () => {
  it.each(fixture.cases)("$size to $minSize / $maxSize", async (c) => {
    const from = sizeOf(c.size);
    const to = sizeOf(c.resizedSize);
    const raw = { ...from, data: Uint8Array.from(c.data) };
    const { image, originalSize } = prepareImage(raw, {
      ...imagenetNormalization,
      minSize: c.minSize,
      maxSize: c.maxSize,
    });
    expect({ height: image.height, width: image.width }).toEqual(to);
    expect(originalSize).toEqual(from);
    await expectClose(image.data, c.resized, { atol: 1e-5, rtol: 0 });

    const bits = (text: string): Uint8Array => Uint8Array.from(text, Number);
    const masks = c.masks.map((mask) => bitmapFromFull(bits(mask), from));
    const groundTruth = {
      boxes: Float32Array.from(c.boxes),
      labels: new Int32Array([1, 1]),
      masks,
      isCrowd: new Uint8Array(2),
    };
    const resized = resizeGroundTruth(groundTruth, from, to);
    expect(resized.masks.map((mask) => toFullBitmap(mask))).toEqual(c.resizedMasks.map(bits));
    expect([...resized.boxes]).toEqual([...Float32Array.from(c.resizedBoxes)]);
    expect([...mapBoxes(resized.boxes, to, from)]).toEqual([...Float32Array.from(c.boxesBack)]);
  });
  it.each(fixture.batches)("a batch of $sizes has size $batch", ({ sizes, batch }) => {
    const images = sizes.map(sizeOf).map((s) => ({ ...s, data: new Float32Array(s.height * s.width * 3) }));
    expect(batchImages(images).size).toEqual(sizeOf(batch));
  });
});

describe("resizeImage", () => {
  const random = createRandom(5);
  const image = {
    height: 9,
    width: 14,
    data: Float32Array.from({ length: 9 * 14 * 3 }, () => random.normal()),
  };

  it("computes a window as a part of the whole", () => {
    const size = { height: 21, width: 10 };
    const whole = resizeImage(image, size);
    const window = { left: 3, top: 5, height: 12, width: 6 };
    const part = resizeImage(image, size, { window });
    expect(part).toMatchObject({ height: 12, width: 6 });
    for (let y = 0; y < 12; y++) {
      const start = ((y + 5) * 10 + 3) * 3;
      expect(part.data.slice(y * 18, y * 18 + 18)).toEqual(whole.data.slice(start, start + 18));
    }
  });
  it("gives a single pixel to every place", () => {
    const pixel = { height: 1, width: 1, data: new Float32Array([1, -2, 3]) };
    expect([...resizeImage(pixel, { height: 2, width: 3 }).data]).toEqual(Array(6).fill([1, -2, 3]).flat());
  });
  it("halves by averaging the two middle pixels", () => {
    // 4 → 2: source positions 0.5 and 2.5 fall half-way between 0, 1 and 2, 3.
    const row = {
      height: 1,
      width: 4,
      data: new Float32Array([0, 0, 0, 10, 10, 10, 20, 20, 20, 40, 40, 40]),
    };
    expect([...resizeImage(row, { height: 1, width: 2 }).data]).toEqual([5, 5, 5, 30, 30, 30]);
  });
});

it("normalizeImage maps bytes to (x / 255 - mean) / std", async () => {
  const image = { height: 1, width: 2, data: new Uint8Array([0, 128, 255, 51, 0, 0]) };
  const { data } = normalizeImage(image, { mean: [0, 0.5, 1], std: [1, 0.5, 2] });
  await expectClose(data, [0, (128 / 255 - 0.5) / 0.5, 0, 0.2, -1, -0.5], { atol: 1e-7 });
});
