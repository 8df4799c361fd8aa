import { bitmapBox, toFullBitmap } from "@mrcnn/masks";
import { describe, expect, it } from "vitest";
import { shapesDataset } from "../src/index.ts";

describe("shapesDataset", () => {
  it("draws image i alike in any order, from any length", async () => {
    const forward = shapesDataset({ count: 5, seed: 4 });
    const other = shapesDataset({ count: 100, seed: 4 });
    const third = await other.get(3);
    await other.get(0);
    expect(await forward.get(3)).toEqual(third);
    expect(await other.get(3)).toEqual(third);
    expect((await shapesDataset({ count: 5, seed: 5 }).get(3)).image).not.toEqual(third.image);
    expect((await forward.get(2)).image).not.toEqual(third.image);
  });

  it("keeps its promises by default", async () => {
    const dataset = shapesDataset({ count: 60 });
    expect(dataset.classNames).toEqual(["background", "circle", "rectangle", "triangle"]);
    const seen = new Set<number>();
    const counts = new Set<number>();
    let touching = 0;
    for (let i = 0; i < dataset.length; i++) {
      const { image, groundTruth } = await dataset.get(i);
      expect([image.height, image.width, image.data.length]).toEqual([128, 128, 128 * 128 * 3]);
      counts.add(groundTruth.labels.length);
      const owners = new Uint8Array(128 * 128);
      groundTruth.masks.forEach((mask, k) => {
        seen.add(groundTruth.labels[k]!);
        expect([...groundTruth.boxes.subarray(k * 4, k * 4 + 4)]).toEqual([...bitmapBox(mask)]);
        expect(Math.max(mask.width, mask.height)).toBeLessThanOrEqual(60);
        toFullBitmap(mask).forEach((bit, at) => (owners[at]! += bit));
      });
      expect(Math.max(...owners), "a pixel belongs to one object").toBeLessThanOrEqual(1);
      if (groundTruth.masks.some((mask) => mask.data.reduce((a, b) => a + b, 0) < 0.3 * mask.width * mask.height)) touching++;
    }
    expect([...seen].toSorted()).toEqual([1, 2, 3]);
    expect([...counts].toSorted()).toEqual([1, 2, 3, 4]);
    expect(touching, "some objects are partly hidden").toBeGreaterThan(0);
  });

  it("masks exactly the pixels of each figure", async () => {
    // Without noise and textures, an image has one colour for the background and one per figure.
    const dataset = shapesDataset({ count: 20, seed: 2, noise: 0 });
    for (let i = 0; i < dataset.length; i++) {
      const { image, groundTruth } = await dataset.get(i);
      const color = (at: number): string => image.data.subarray(at * 3, at * 3 + 3).join();
      const regions = groundTruth.masks.map((mask) => toFullBitmap(mask));
      const background = Uint8Array.from(regions[0]!, (_, at) => (regions.some((region) => region[at] === 1) ? 0 : 1));
      const colors = [background, ...regions].map((region) => new Set([...region.keys()].filter((at) => region[at] === 1).map(color)));
      expect(colors.map((set) => set.size)).toEqual(colors.map(() => 1));
      expect(new Set(colors.flatMap((set) => [...set])).size).toBe(colors.length);
    }
  });

  it("draws the classes asked for", async () => {
    const dataset = shapesDataset({ count: 8, classes: ["rectangle"], objects: [1, 1], size: { height: 50, width: 70 } , objectSize: [10, 20] });
    for (let i = 0; i < 8; i++) {
      const { groundTruth, image } = await dataset.get(i);
      expect(image).toMatchObject({ height: 50, width: 70 });
      expect([...groundTruth.labels]).toEqual([1]);
      expect(groundTruth.masks[0]!.data).not.toContain(0); // a rectangle fills its box
    }
  });
  it("draws circles round", async () => {
    const { masks } = (await shapesDataset({ count: 1, classes: ["circle"], objects: [1, 1], objectSize: [40, 40] }).get(0)).groundTruth;
    const area = masks[0]!.data.reduce((a, b) => a + b, 0);
    expect(Math.abs(area - Math.PI * 400)).toBeLessThan(40);
  });

  it.each([
    [{ count: 1, objects: [3, 2] as const }, "objects must be [least, most], got [3, 2]"],
    [{ count: 1, objectSize: [20, 200] as const }, "objectSize must fit into 128x128 pixels, got up to 200"],
    [{ count: -1 }, "count must be a whole number, got -1"],
    [{ count: 1, classes: ["hexagon" as "circle"] }, "classes must be among circle, rectangle, triangle, got hexagon"],
  ])("refuses %j", (options, problem) => {
    expect(() => shapesDataset(options)).toThrow(`shapesDataset: ${problem}.`);
  });
  it("refuses an index out of range", async () => {
    await expect(shapesDataset({ count: 2 }).get(2)).rejects.toThrow("shapesDataset: index must be within 0..1, got 2.");
  });
});
