import { cropBitmap, cropMasks, decodeRle, pasteMasks, rleArea, rleToBox } from "../src/index.ts";
import type { PasteMethod } from "../src/index.ts";
import { golden, seededUniform } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";

interface Golden {
  cases: {
    side: number;
    size: [number, number];
    boxes: number[];
    probabilities256: number[];
    counts: number[][];
  }[];
}
interface SeededGolden {
  cases: {
    side: number;
    gain: number;
    size: [number, number];
    threshold: number;
    boxes: number[][];
    counts: number[][];
  }[];
}
const { cases } = golden<Golden>(import.meta.url, "paste");
const size = { height: 10, width: 8 };

describe("pasteMasks", () => {
  it("equals torchvision's paste_masks_in_image pixel for pixel", () => {
    for (const { size, boxes, probabilities256, counts } of cases) {
      const pasted = pasteMasks(
        Float32Array.from(probabilities256, (p) => p / 256),
        Float32Array.from(boxes),
        { height: size[0], width: size[1] },
      );
      expect(pasted.map((rle) => [...rle.counts])).toEqual(counts);
    }
  });

  for (const method of ["detectron2", "matterport"] as const) {
    it(`equals ${method}'s pasting pixel for pixel`, () => {
      const { cases } = golden<SeededGolden>(import.meta.url, `paste-${method}`);
      for (const { side, gain, size, threshold, boxes, counts } of cases) {
        const pasted = pasteMasks(
          Float32Array.from(seededUniform(`mask${boxes.length}x${side}`, boxes.length * side * side), (v) =>
            Math.min(Math.max((v - 0.5) * gain + 0.5, 0), 1),
          ),
          Float32Array.from(boxes.flat()),
          { height: size[0], width: size[1] },
          { method, threshold },
        );
        expect(pasted.map((rle) => [...rle.counts])).toEqual(counts);
      }
    });
  }

  it("sets pixels at the threshold as detectron2 and matterport do, and torchvision does not", () => {
    // All ones under a box whose edges are whole pixels: every pixel of the box is 1, and at a threshold of 1 it counts or not.
    const ones = new Float32Array(4).fill(1);
    const box = Float32Array.of(2, 2, 4, 4);
    const area = (method: PasteMethod): number =>
      rleArea(pasteMasks(ones, box, size, { method, threshold: 1 })[0]!);
    expect([area("torchvision"), area("detectron2"), area("matterport")]).toEqual([0, 4, 4]);
  });

  it.each(["torchvision", "detectron2", "matterport"] as const)(
    "cuts at the image's edges, and takes boxes outside or empty, like %s",
    (method) => {
      // In an image with room for them all, the same boxes; then its middle.
      const boxes = [-4, -3, 5, 6, 5, 7, 12, 16, 20, 20, 30, 30, -9, -9, -5, -6, 3, 3, 3, 8, 6, 6, 2, 4];
      const masks = Float32Array.from(seededUniform("edges", 6 * 16));
      const pasted = pasteMasks(masks, Float32Array.from(boxes), size, { method });
      expect(pasted.slice(2, 4).map(rleArea)).toEqual([0, 0]);
      if (method === "torchvision") return; // it truncates towards zero, so moving a box over an edge changes it
      expect(pasted.slice(2).map(rleArea)).toEqual([0, 0, 0, 0]);
      const wide = pasteMasks(
        masks,
        Float32Array.from(boxes, (v) => v + 16),
        { height: 64, width: 64 },
        { method },
      );
      const window = { left: 16, top: 16, ...size };
      expect(pasted.map(decodeRle)).toEqual(wide.map((mask) => cropBitmap(decodeRle(mask), window)));
    },
  );

  it("sets pixels above the threshold, worked by hand", () => {
    // One probability 1 in a border of zeros is 3 x 3. The box 5..6, widened threefold, covers pixels 4 to 7;
    // each axis samples the three at -0.125, 0.625, 1.375, 2.125, so the weights are 0, 0.625, 0.625, 0 and
    // the four inner pixels are 0.390625.
    const area = (threshold: number): number =>
      rleArea(pasteMasks(Float32Array.of(1), Float32Array.of(5, 5, 6, 6), size, { threshold })[0]!);
    expect(area(0.39)).toBe(4);
    expect(area(0.390625)).toBe(0);
    expect(area(0.4)).toBe(0);
  });

  it("cuts at the image's edges and skips what lies outside", () => {
    const ones = new Float32Array(2 * 16).fill(1);
    const [over, outside] = pasteMasks(ones, Float32Array.of(-4, -4, 4, 4, 20, 20, 30, 30), size);
    expect(rleToBox(over!)).toEqual([0, 0, 5, 5]);
    expect(rleArea(outside!)).toBe(0);
    expect([...outside!.counts]).toEqual([80]);
  });

  it("gives back what cropMasks took", () => {
    // A disc cropped under its box and pasted again keeps nearly all its pixels.
    const big = { height: 120, width: 100 };
    const data = Uint8Array.from({ length: 60 * 60 }, (_, i) =>
      Math.hypot((i % 60) - 29.5, Math.floor(i / 60) - 29.5) < 30 ? 1 : 0,
    );
    const disc = { size: big, left: 20, top: 30, width: 60, height: 60, data };
    const box = Float32Array.of(20, 30, 80, 90);
    const [pasted] = pasteMasks(cropMasks([disc], box, 28), box, big);
    const back = decodeRle(pasted!);
    let both = 0;
    for (let y = 0; y < back.height; y++) {
      for (let x = 0; x < back.width; x++)
        both += back.data[y * back.width + x]! & (data[(y + back.top - 30) * 60 + x + back.left - 20] ?? 0);
    }
    const discArea = data.reduce((a, b) => a + b);
    expect(both / (discArea + rleArea(pasted!) - both)).toBeGreaterThan(0.95);
  });

  it("takes no boxes and refuses lengths that disagree", () => {
    expect(pasteMasks(new Float32Array(0), new Float32Array(0), size)).toEqual([]);
    expect(() => pasteMasks(new Float32Array(5), new Float32Array(4), size)).toThrow(
      "probabilities must hold 4 values, got 5",
    );
    expect(() => pasteMasks(new Float32Array(4), new Float32Array(4), size, { threshold: NaN })).toThrow(
      "threshold must be a number",
    );
  });
});
