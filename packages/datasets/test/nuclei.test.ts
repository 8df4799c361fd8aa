import { bitmapBox, toFullBitmap } from "@mrcnn/masks";
import { describe, expect, it } from "vitest";
import { nucleiDataset } from "../src/index.ts";
import type { NucleiOptions } from "../src/index.ts";
import { fingerprint } from "./fingerprint.ts";

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
  // Published figures were measured on such pictures: another version, machine or browser draws the same.
  it.each<[Partial<NucleiOptions>, string]>([
    [{}, "53fee5ab4d960d3c4ffde1466681371ab169aa02ca821da4d043957682a72d99"],
    [
      { stain: "haematoxylin-eosin", seed: 2 },
      "98cd691fb9320844c45bad9ce692cc878b25fb2b57185e9df82c0ce8ef88aabd",
    ],
    [
      {
        size: { height: 90, width: 131 },
        nuclei: [30, 60],
        diameter: [6, 22],
        overlap: 0.3,
        noise: 0,
        seed: 9,
      },
      "bc93e4566b43e0363a229c4d4bc9fbfdfcd7fcade515e38c01518a94bca85567",
    ],
    [
      {
        stain: "haematoxylin-eosin",
        size: { height: 131, width: 90 },
        nuclei: [40, 40],
        diameter: [10, 10],
        overlap: 0,
        seed: 5,
      },
      "993d72e4e606a433feed0e3e4cbe0ff9d4645c5075f18248be578af5befee435",
    ],
  ])("%j draws the pictures it always drew", async (options, expected) => {
    expect(await fingerprint(nucleiDataset({ count: 3, ...options }))).toBe(expected);
  });

  it("draws image i alike in any order, from any length", async () => {
    const third = await nucleiDataset({ count: 4, seed: 3 }).get(3);
    const other = nucleiDataset({ count: 100, seed: 3 });
    await other.get(0);
    expect(await other.get(3)).toEqual(third);
    expect((await other.get(2)).image).not.toEqual(third.image);
    expect((await nucleiDataset({ count: 4, seed: 4 }).get(3)).image).not.toEqual(third.image);
  });

  it.each(["fluorescence", "haematoxylin-eosin"] as const)(
    "%s: a threshold finds the pixels of the masks",
    async (stain) => {
      const dataset = nucleiDataset({
        count: 4,
        stain,
        size: { height: 160, width: 200 },
        nuclei: [8, 14],
        noise: 2,
      });
      for (let i = 0; i < dataset.length; i++) {
        const { image, groundTruth } = await dataset.get(i);
        expect([image.height, image.width, image.data.length]).toEqual([160, 200, 160 * 200 * 3]);
        expect(groundTruth.masks.length).toBeGreaterThanOrEqual(5);
        expect(groundTruth.masks.length).toBeLessThanOrEqual(14);
        expect([...groundTruth.labels]).toEqual(groundTruth.masks.map(() => 1));
        groundTruth.masks.forEach((mask, k) =>
          expect([...groundTruth.boxes.subarray(4 * k, 4 * k + 4)]).toEqual([...bitmapBox(mask)]),
        );
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
          const mean = (values: typeof low): number =>
            values.reduce((sum, value) => sum + value, 0) / values.length;
          const spread = low.length * high.length * (mean(high) - mean(low)) ** 2;
          if (spread > best.spread) best = { spread, at };
        }
        const found = Uint8Array.from(red, (value) => Number(value >= best.at === bright));
        const both = found.reduce((sum, bit, at) => sum + (bit & owners[at]!), 0);
        expect(both / (area(found) + area(owners) - both)).toBeGreaterThan(0.85);
      }
    },
  );

  it("keeps nuclei apart, or lets them touch, as asked", async () => {
    const count = async (overlap: number, most: number): Promise<{ nuclei: number; regions: number }> => {
      const { groundTruth } = await nucleiDataset({
        count: 1,
        size: { height: 128, width: 128 },
        nuclei: [most, most],
        diameter: [12, 16],
        overlap,
      }).get(0);
      const all = new Uint8Array(128 * 128);
      for (const mask of groundTruth.masks) toFullBitmap(mask).forEach((bit, at) => (all[at]! |= bit));
      return { nuclei: groundTruth.masks.length, regions: countRegions(all, 128) };
    };
    const [apart, crowded] = [await count(0, 25), await count(0.4, 80)];
    expect(apart.regions).toBeGreaterThan(0.8 * apart.nuclei);
    expect(crowded.regions).toBeLessThan(0.5 * crowded.nuclei);
  });

  it("counts images from 1, names them from 0", async () => {
    const { id, name } = await nucleiDataset({ count: 8, nuclei: [0, 0] }).get(7);
    expect({ id, name }).toEqual({ id: 8, name: "nuclei-00007.png" });
  });

  it("draws whole nuclei of the diameters asked for, longish but not thin", async () => {
    const dataset = nucleiDataset({ count: 12, nuclei: [6, 6], diameter: [20, 30], overlap: 0 });
    const stretches: number[] = [];
    for (let i = 0; i < dataset.length; i++) {
      const { masks, boxes } = (await dataset.get(i)).groundTruth;
      expect(masks.length).toBe(6);
      masks.forEach(({ data }, k) => {
        const diameter = 2 * Math.sqrt(area(data) / Math.PI);
        expect(diameter).toBeGreaterThan(18);
        expect(diameter).toBeLessThan(34);
        const [x1, y1, x2, y2] = boxes.subarray(4 * k) as unknown as [number, number, number, number];
        expect([x1 > 0, y1 > 0, x2 < 256, y2 < 256], "none is cut by the picture's edge").toEqual([
          true,
          true,
          true,
          true,
        ]);
        stretches.push(Math.max(x2 - x1, y2 - y1) / Math.min(x2 - x1, y2 - y1));
      });
    }
    expect(Math.max(...stretches)).toBeLessThan(1.9);
    expect(stretches.reduce((a, b) => a + b) / stretches.length).toBeGreaterThan(1.1);
  });

  it("paints fluorescence grey, haematoxylin and eosin as violet in pink", async () => {
    const mean = async (
      stain: NucleiOptions["stain"] & string,
    ): Promise<{ inside: number[]; outside: number[]; grey: boolean }> => {
      const { image, groundTruth } = await nucleiDataset({ count: 1, stain }).get(0);
      const owners = new Uint8Array(256 * 256);
      for (const mask of groundTruth.masks) toFullBitmap(mask).forEach((bit, at) => (owners[at]! |= bit));
      const of = (bit: number): number[] =>
        [0, 1, 2].map(
          (c) =>
            owners.reduce((sum, owner, at) => sum + (owner === bit ? image.data[3 * at + c]! : 0), 0) /
            owners.filter((owner) => owner === bit).length,
        );
      return {
        inside: of(1),
        outside: of(0),
        grey: image.data.every((value, at) => value === image.data[at - (at % 3)]),
      };
    };
    const fluorescence = await mean("fluorescence");
    expect(fluorescence.grey).toBe(true);
    expect(fluorescence.inside[0]).toBeGreaterThan(fluorescence.outside[0]! + 60);
    expect(fluorescence.outside[0]).toBeLessThan(40);
    const {
      inside: [red, green, blue],
      outside,
      grey,
    } = (await mean("haematoxylin-eosin")) as {
      inside: [number, number, number];
      outside: [number, number, number];
      grey: boolean;
    };
    expect(grey).toBe(false);
    expect(blue).toBeGreaterThan(red);
    expect(red).toBeGreaterThan(green);
    expect(outside[0], "tissue takes more green than red").toBeGreaterThan(outside[1] + 15);
    expect(outside[0]).toBeGreaterThan(red + 60);
  });

  it("takes what lies on the bounds", () => {
    for (const options of [
      { nuclei: [0, 0] },
      { diameter: [4, 4] },
      { diameter: [20, 40], size: { height: 60, width: 70 } },
      { overlap: 0 },
      { overlap: 0.5 },
    ] as const) {
      expect(nucleiDataset({ count: 0, ...options }).length).toBe(0);
    }
  });
  it.each<[Partial<NucleiOptions>, string]>([
    [{ count: -1 }, "count must be a whole number, got -1"],
    [{ stain: "gram" as never }, "stain must be fluorescence or haematoxylin-eosin, got gram"],
    [{ count: 2.5 }, "count must be a whole number, got 2.5"],
    [{ nuclei: [-1, 2] }, "nuclei must be [least, most], got [-1, 2]"],
    [{ diameter: [9, 8] }, "diameter must be [least, most] from 4 up, got [9, 8]"],
    [
      { diameter: [20, 41], size: { height: 60, width: 70 } },
      "diameter must be at most two thirds of 60x70 pixels, got up to 41",
    ],
    [{ overlap: -0.1 }, "overlap must be from 0 to 0.5, got -0.1"],
    [{ nuclei: [5, 2] }, "nuclei must be [least, most], got [5, 2]"],
    [{ diameter: [2, 9] }, "diameter must be [least, most] from 4 up, got [2, 9]"],
    [{ diameter: [20, 200] }, "diameter must be at most two thirds of 256x256 pixels, got up to 200"],
    [{ overlap: 0.7 }, "overlap must be from 0 to 0.5, got 0.7"],
  ])("refuses %o", (options, message) =>
    expect(() => nucleiDataset({ count: 1, ...options })).toThrow(`nucleiDataset: ${message}.`),
  );
  it.each([2, -1, 0.5])("refuses image %d of 2", (index) =>
    expect(nucleiDataset({ count: 2 }).get(index)).rejects.toThrow(
      `nucleiDataset: index must be within 0..1, got ${index}.`,
    ),
  );
});
