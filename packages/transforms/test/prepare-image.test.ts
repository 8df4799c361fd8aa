import { createHash } from "node:crypto";
import type { RawImage } from "@mrcnn/core";
import { golden, seededUniform } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";
import {
  preparedSize,
  prepareImage,
  resizeLikePillow,
  resizeLikeScikitImage,
  roundedShortestEdgeSize,
} from "../src/index.ts";
import type { ImageOptions } from "../src/index.ts";

interface Case {
  size: [height: number, width: number];
  low: number;
  high: number;
  minSize: number;
  maxSize: number;
  sha256: string;
  resized?: number[];
}

// The twin of `photo` in tools/golden/transforms.py.
function photo({ size: [height, width], low, high }: Case): RawImage {
  const values = seededUniform(`photo${height}x${width}`, height * width * 3);
  return { height, width, data: Uint8Array.from(values, (v) => low + Math.floor(v * (high - low + 1))) };
}
const sha256 = (data: Float32Array): string => createHash("sha256").update(data).digest("hex");

describe("prepareImage like detectron2", () => {
  const fixture = golden<{
    mean: [number, number, number];
    std: [number, number, number];
    sizes: [number, number, number, number, number, number][];
    cases: (Case & { resizedSize: [number, number] })[];
  }>(import.meta.url, "detectron2");
  const options: ImageOptions = {
    mean: fixture.mean,
    std: fixture.std,
    channelOrder: "bgr",
    range: 255,
    resize: "detectron2",
  };

  it("has sizes of ResizeShortestEdge", () => {
    for (const [height, width, minSize, maxSize, h, w] of fixture.sizes) {
      expect(roundedShortestEdgeSize({ height, width }, { minSize, maxSize }), `${height}x${width}`).toEqual({
        height: h,
        width: w,
      });
    }
  });

  it.each(fixture.cases)("$size to $minSize / $maxSize is Pillow's to the bit, normalised alike", (c) => {
    const image = photo(c);
    const [height, width] = c.resizedSize;
    if (c.resized !== undefined)
      expect([...resizeLikePillow(image, { height, width }).data]).toEqual(c.resized);
    const prepared = prepareImage(image, { ...options, minSize: c.minSize, maxSize: c.maxSize });
    expect(prepared.window).toEqual({ left: 0, top: 0, height, width });
    expect(prepared.originalSize).toEqual({ height: c.size[0], width: c.size[1] });
    expect(sha256(prepared.image.data)).toBe(c.sha256);
  });

  it("keeps the size without minSize, and refuses an edge of less than a pixel", () => {
    const image = { height: 1, width: 900, data: new Uint8Array(2700) };
    expect(prepareImage(image, options).image).toMatchObject({ height: 1, width: 900 });
    expect(() => prepareImage(image, { ...options, minSize: 800, maxSize: 400 })).toThrow(
      "roundedShortestEdgeSize: an image of 1x900 pixels with minSize 800 and maxSize 400 would become 0x400. Choose a larger maxSize.",
    );
  });
});

describe("prepareImage like matterport", () => {
  const fixture = golden<{
    mean: [number, number, number];
    cases: (Case & { window: [number, number, number, number] })[];
  }>(import.meta.url, "matterport");
  const options: ImageOptions = { mean: fixture.mean, std: [1, 1, 1], range: 255, resize: "matterport" };

  it.each(fixture.cases)(
    "$size to $minSize / $maxSize is scikit-image's to the bit, in a square, the mean taken off",
    (c) => {
      const image = photo(c);
      const [left, top, width, height] = c.window;
      if (c.resized !== undefined)
        expect([...resizeLikeScikitImage(image, { height, width }).data]).toEqual(c.resized);
      const prepared = prepareImage(image, { ...options, minSize: c.minSize, maxSize: c.maxSize });
      expect(prepared.window).toEqual({ left, top, height, width });
      expect(prepared.image).toMatchObject({ height: c.maxSize, width: c.maxSize });
      expect(sha256(prepared.image.data)).toBe(c.sha256);
    },
  );

  it("pads with black before the mean is taken off", () => {
    const { image, window } = prepareImage(
      { height: 1, width: 2, data: new Uint8Array(6).fill(200) },
      { ...options, maxSize: 4 },
    );
    expect(window).toEqual({ left: 1, top: 1, height: 1, width: 2 });
    expect([...image.data.subarray(0, 3)]).toEqual([...Float32Array.of(-123.7, -116.8, -103.9)]);
    expect([...image.data.subarray(15, 18)]).toEqual([...Float32Array.of(76.3, 83.2, 96.1)]);
  });

  it("wants the square's side, and a photo that fits into it", () => {
    const image = { height: 1, width: 900, data: new Uint8Array(2700) };
    expect(() => prepareImage(image, options)).toThrow(
      "prepareImage: maxSize must be the side of matterport's square, a whole number of pixels, got Infinity.",
    );
    expect(() => prepareImage(image, { ...options, maxSize: 64 })).toThrow(
      "prepareImage: an image of 1x900 pixels in a square of 64 would become 0x64. Choose a larger maxSize.",
    );
  });
});

describe("preparedSize", () => {
  // torchvision cuts 1066.67 off, detectron2 rounds it.
  it.each([
    ["torchvision", { height: 800, width: 1066 }],
    ["detectron2", { height: 800, width: 1067 }],
    ["matterport", { height: 1333, width: 1333 }],
  ] as const)("is the size of what prepareImage makes, like %s", (resize, size) => {
    const photo = { height: 480, width: 640 };
    const sizes = { resize, minSize: 800, maxSize: 1333 };
    expect(preparedSize(photo, sizes)).toEqual(size);
    expect(
      prepareImage(
        { ...photo, data: new Uint8Array(480 * 640 * 3) },
        { ...sizes, mean: [0, 0, 0], std: [1, 1, 1] },
      ).image,
    ).toMatchObject(size);
  });

  it("is the photo's own without a minSize, and refuses what can't be prepared", () => {
    expect(preparedSize({ height: 3, width: 5 }, {})).toEqual({ height: 3, width: 5 });
    expect(() => preparedSize({ height: 3, width: 5 }, { resize: "matterport" })).toThrow(
      "maxSize must be the side of matterport's square, a whole number of pixels, got Infinity",
    );
    expect(() =>
      preparedSize({ height: 1, width: 900 }, { resize: "detectron2", minSize: 800, maxSize: 400 }),
    ).toThrow("400");
  });
});
