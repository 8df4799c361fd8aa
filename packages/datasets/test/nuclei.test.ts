import { bitmapBox, toFullBitmap } from "@mrcnn/masks";
import { describe, expect, it } from "vitest";
import { nucleiDataset } from "../src/index.ts";
import type { NucleiOptions } from "../src/index.ts";

const area = (bits: Uint8Array): number => bits.reduce((sum, bit) => sum + bit, 0);

/** Regions of touching pixels (by edge or corner). */
function countRegions(bits: Uint8Array, width: number): number {
  const left = Uint8Array.from(bits);
  let regions = 0;
  for (let start = 0; start < left.length; start++) {
    if (left[start] === 0) continue;
    regions++;
    const stack = [start];
    left[start] = 0;
    while (stack.length > 0) {
      const at = stack.pop()!;
      for (const dy of [-1, 0, 1]) {
        for (const dx of [-1, 0, 1]) {
          const [x, next] = [(at % width) + dx, at + dy * width + dx];
          if (x < 0 || x >= width || left[next] !== 1) continue;
          left[next] = 0;
          stack.push(next);
        }
      }
    }
  }
  return regions;
}

describe("nucleiDataset", () => {
  it("draws image i alike in any order, from any length", async () => {
    const third = await nucleiDataset({ count: 4, seed: 3 }).get(3);
    const other = nucleiDataset({ count: 100, seed: 3 });
    await other.get(0);
    expect(await other.get(3)).toEqual(third);
    expect((await other.get(2)).image).not.toEqual(third.image);
    expect((await nucleiDataset({ count: 4, seed: 4 }).get(3)).image).not.toEqual(third.image);
  });

  it.each(["fluorescence", "haematoxylin-eosin"] as const)("%s: a threshold finds the pixels of the masks", async (stain) => {
    const dataset = nucleiDataset({ count: 4, stain, size: { height: 160, width: 200 }, nuclei: [8, 14], noise: 2 });
    for (let i = 0; i < dataset.length; i++) {
      const { image, groundTruth } = await dataset.get(i);
      expect([image.height, image.width, image.data.length]).toEqual([160, 200, 160 * 200 * 3]);
      expect(groundTruth.masks.length).toBeGreaterThanOrEqual(5);
      expect(groundTruth.masks.length).toBeLessThanOrEqual(14);
      expect([...groundTruth.labels]).toEqual(groundTruth.masks.map(() => 1));
      groundTruth.masks.forEach((mask, k) => expect([...groundTruth.boxes.subarray(4 * k, 4 * k + 4)]).toEqual([...bitmapBox(mask)]));
      const owners = new Uint8Array(160 * 200);
      for (const mask of groundTruth.masks) toFullBitmap(mask).forEach((bit, at) => (owners[at]! += bit));
      expect(Math.max(...owners), "a pixel belongs to one nucleus").toBe(1);
      // Otsu's threshold of the red channel, which dye darkens and fluorescence brightens.
      const red = Uint8Array.from(image.data).filter((_, at) => at % 3 === 0);
      const bright = stain === "fluorescence";
      let best = { spread: -1, at: 0 };
      for (let at = 1; at < 255; at++) {
        const [low, high] = [red.filter((value) => value < at), red.filter((value) => value >= at)];
        if (low.length === 0 || high.length === 0) continue;
        const mean = (values: typeof low): number => values.reduce((sum, value) => sum + value, 0) / values.length;
        const spread = low.length * high.length * (mean(high) - mean(low)) ** 2;
        if (spread > best.spread) best = { spread, at };
      }
      const found = Uint8Array.from(red, (value) => Number(value >= best.at === bright));
      const both = found.reduce((sum, bit, at) => sum + (bit & owners[at]!), 0);
      expect(both / (area(found) + area(owners) - both)).toBeGreaterThan(0.85);
    }
  });

  it("keeps nuclei apart, or lets them touch, as asked", async () => {
    const count = async (overlap: number, most: number): Promise<{ nuclei: number; regions: number }> => {
      const { groundTruth } = await nucleiDataset({ count: 1, size: { height: 128, width: 128 }, nuclei: [most, most], diameter: [12, 16], overlap }).get(0);
      const all = new Uint8Array(128 * 128);
      for (const mask of groundTruth.masks) toFullBitmap(mask).forEach((bit, at) => (all[at]! |= bit));
      return { nuclei: groundTruth.masks.length, regions: countRegions(all, 128) };
    };
    const [apart, crowded] = [await count(0, 25), await count(0.4, 80)];
    expect(apart.regions).toBeGreaterThan(0.8 * apart.nuclei);
    expect(crowded.regions).toBeLessThan(0.5 * crowded.nuclei);
  });

  it.each<[Partial<NucleiOptions>, string]>([
    [{ count: -1 }, "count must be a whole number, got -1"],
    [{ stain: "gram" as never }, "stain must be fluorescence or haematoxylin-eosin, got gram"],
    [{ nuclei: [5, 2] }, "nuclei must be [least, most], got [5, 2]"],
    [{ diameter: [2, 9] }, "diameter must be [least, most] from 4 up, got [2, 9]"],
    [{ diameter: [20, 200] }, "diameter must be at most two thirds of 256x256 pixels, got up to 200"],
    [{ overlap: 0.7 }, "overlap must be from 0 to 0.5, got 0.7"],
  ])("refuses %o", (options, message) => expect(() => nucleiDataset({ count: 1, ...options })).toThrow(`nucleiDataset: ${message}.`));
  it("refuses an image that is not there", () => expect(nucleiDataset({ count: 2 }).get(2)).rejects.toThrow("nucleiDataset: index must be within 0..1, got 2."));
});
