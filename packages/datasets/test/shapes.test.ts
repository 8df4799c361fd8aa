import type { RawImage } from "@mrcnn/core";
import { bitmapBox, toFullBitmap } from "@mrcnn/masks";
import { describe, expect, it } from "vitest";
import { shapesDataset, type Shape, type ShapesOptions } from "../src/index.ts";
import { fingerprint } from "./fingerprint.ts";

const one = async (options: Partial<ShapesOptions>, index = 0) =>
  shapesDataset({ count: index + 1, objects: [1, 1], noise: 0, ...options }).get(index);
const pixel = (data: RawImage["data"], at: number): number[] => [...data.subarray(3 * at, 3 * at + 3)];

describe("shapesDataset", () => {
  // Published figures were measured on these pictures: another version, machine or browser draws the same.
  it.each<[Partial<ShapesOptions>, string]>([
    [{}, "0f74871b66dce2ec62a13d2806be3c60a1ff092013fae3c75efebd6f852a1a36"],
    [
      { textures: true, objects: [3, 9], seed: 11 },
      "b206334781b1b177b3df6b1312cffacbe4ad6fecc133664c0e156e7b3716a40c",
    ],
    [
      {
        classes: ["triangle", "rectangle"],
        size: { height: 61, width: 90 },
        objectSize: [10, 60],
        objects: [2, 8],
        minVisible: 0.7,
        noise: 3,
      },
      "82758d25654e72d98aab06ff3ff71c53b69d5dcd289677aed371004852f0cd4b",
    ],
    [
      { classes: ["circle"], objects: [40, 60], objectSize: [8, 30], seed: 5, noise: 0 },
      "1aa4258a56dea44aafe2908320bce45c0a23922439d19740377cafa9cf2d210e",
    ],
  ])("%j draws the pictures it always drew", async (options, expected) => {
    expect(await fingerprint(shapesDataset({ count: 12, ...options }))).toBe(expected);
  });

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
      if (
        groundTruth.masks.some(
          (mask) => mask.data.reduce((a, b) => a + b, 0) < 0.3 * mask.width * mask.height,
        )
      )
        touching++;
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
      const background = Uint8Array.from(regions[0]!, (_, at) =>
        regions.some((region) => region[at] === 1) ? 0 : 1,
      );
      const colors = [background, ...regions].map(
        (region) => new Set([...region.keys()].filter((at) => region[at] === 1).map(color)),
      );
      expect(colors.map((set) => set.size)).toEqual(colors.map(() => 1));
      expect(new Set(colors.flatMap((set) => [...set])).size).toBe(colors.length);
    }
  });

  it("draws the classes asked for", async () => {
    const dataset = shapesDataset({
      count: 8,
      classes: ["rectangle"],
      objects: [1, 1],
      size: { height: 50, width: 70 },
      objectSize: [10, 20],
    });
    for (let i = 0; i < 8; i++) {
      const { groundTruth, image } = await dataset.get(i);
      expect(image).toMatchObject({ height: 50, width: 70 });
      expect([...groundTruth.labels]).toEqual([1]);
      expect(groundTruth.masks[0]!.data).not.toContain(0); // a rectangle fills its box
    }
  });
  it("counts images from 1, names them from 0", async () => {
    const { id, name } = await one({}, 12);
    expect({ id, name }).toEqual({ id: 13, name: "shapes-00012.png" });
  });

  it("draws triangles with an apex on the top or the bottom edge, half as large as their boxes", async () => {
    const apexes = new Set<"top" | "bottom">();
    for (let i = 0; i < 12; i++) {
      const { masks } = (await one({ classes: ["triangle"], objectSize: [50, 60] }, i)).groundTruth;
      const { height, width, data } = masks[0]!;
      const row = (y: number): number => data.subarray(y * width, (y + 1) * width).reduce((a, b) => a + b, 0);
      const area = data.reduce((a, b) => a + b, 0);
      expect(area / (width * height)).toBeGreaterThan(0.47);
      expect(area / (width * height)).toBeLessThan(0.55);
      const apex = row(0) < row(height - 1) ? "top" : "bottom";
      apexes.add(apex);
      // Rows grow evenly from the apex to the base, and the apex lies above its middle half.
      const rows = Array.from({ length: height }, (_, y) => row(apex === "top" ? y : height - 1 - y));
      rows.forEach((length, y) =>
        expect(Math.abs(length - (width * (y + 0.5)) / height)).toBeLessThanOrEqual(3),
      );
      const tip = apex === "top" ? data.subarray(0, width) : data.subarray((height - 1) * width);
      const at = (tip.indexOf(1) + tip.lastIndexOf(1) + 1) / 2 / width;
      expect(at).toBeGreaterThan(0.22);
      expect(at).toBeLessThan(0.78);
    }
    expect(apexes.size).toBe(2);
  });

  it("gives circles one extent, other figures heights from 0.6 to 1.6 of their widths, within objectSize", async () => {
    for (const classes of [["circle"], ["rectangle"], ["triangle"]] as Shape[][]) {
      const ratios: number[] = [];
      for (let i = 0; i < 20; i++) {
        const { height, width } = (await one({ classes, objectSize: [40, 80] }, i)).groundTruth.masks[0]!;
        ratios.push(height / width);
        for (const extent of [height, width]) {
          expect(extent).toBeGreaterThanOrEqual(39);
          expect(extent).toBeLessThanOrEqual(81);
        }
      }
      const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
      if (classes[0] === "circle") expect([least > 0.95, most < 1.05]).toEqual([true, true]);
      else expect([least > 0.55, least < 0.8, most > 1.2, most < 1.65]).toEqual([true, true, true, true]);
    }
  });

  it("keeps colours 90 from the background's and 60 from each other's", async () => {
    const dataset = shapesDataset({ count: 40, objects: [3, 4], noise: 0, seed: 7 });
    for (let i = 0; i < dataset.length; i++) {
      const { image, groundTruth } = await dataset.get(i);
      const regions = groundTruth.masks.map((mask) => toFullBitmap(mask));
      const background = pixel(
        image.data,
        regions[0]!.findIndex((_, at) => regions.every((region) => region[at] === 0)),
      );
      const colors = regions.map((region) => pixel(image.data, region.indexOf(1)));
      const distance = (a: number[], b: number[]): number =>
        Math.hypot(...a.map((value, c) => value - b[c]!));
      colors.forEach((color, k) => {
        expect(distance(color, background)).toBeGreaterThanOrEqual(90);
        for (const other of colors.slice(0, k)) expect(distance(color, other)).toBeGreaterThanOrEqual(60);
      });
    }
  });

  it("adds noise of the deviation asked for, 8 by default", async () => {
    for (const noise of [undefined, 20]) {
      const options = { objects: [0, 0], seed: 1 } as const; // a grey enough background: nothing is clipped
      const plain = (await one(options)).image.data;
      const noisy = (
        await shapesDataset({ count: 1, ...options, ...(noise === undefined ? {} : { noise }) }).get(0)
      ).image.data;
      const kept = [...plain.keys()].filter((at) => plain[at]! > 70 && plain[at]! < 185);
      expect(kept.length).toBeGreaterThan(10_000);
      const deviation = Math.sqrt(
        kept.reduce((sum, at) => sum + (noisy[at]! - plain[at]!) ** 2, 0) / kept.length,
      );
      expect(deviation / (noise ?? 8)).toBeCloseTo(1, 1);
    }
  });

  it("draws textures: a plain colour, slow waves, or stripes of two shades", async () => {
    const kinds = new Set<number>();
    for (let i = 0; i < 20; i++) {
      const { data } = (await one({ objects: [0, 0], textures: true, seed: 3 }, i)).image;
      const shades = new Set(Array.from({ length: 128 * 128 }, (_, at) => pixel(data, at).join()));
      kinds.add(Math.min(shades.size, 3));
    }
    expect([...kinds].toSorted(), "one shade, two shades, many").toEqual([1, 2, 3]);
  });

  it("leaves out a figure that would hide too much of an earlier one", async () => {
    const options = {
      count: 20,
      classes: ["rectangle"],
      objects: [6, 6],
      objectSize: [30, 50],
      noise: 0,
    } as const;
    const filled = async (minVisible: number): Promise<number[]> => {
      const dataset = shapesDataset({ ...options, minVisible });
      const parts: number[] = [];
      for (let i = 0; i < dataset.length; i++) {
        for (const { data } of (await dataset.get(i)).groundTruth.masks)
          parts.push(data.reduce((a, b) => a + b, 0) / data.length);
      }
      return parts;
    };
    const [whole, partly, any] = [await filled(1), await filled(0.3), await filled(0)];
    expect(
      whole.every((part) => part === 1),
      "with minVisible 1 every rectangle is whole",
    ).toBe(true);
    expect(partly.some((part) => part < 1)).toBe(true);
    expect(whole.length).toBeLessThan(partly.length);
    expect(partly.length).toBeLessThan(any.length);
    expect(any.length, "with minVisible 0 all are drawn").toBe(120);
  });

  it("draws circles round", async () => {
    const { masks } = (
      await shapesDataset({ count: 1, classes: ["circle"], objects: [1, 1], objectSize: [40, 40] }).get(0)
    ).groundTruth;
    const area = masks[0]!.data.reduce((a, b) => a + b, 0);
    expect(Math.abs(area - Math.PI * 400)).toBeLessThan(40);
  });

  it.each([
    [{ count: 1, objects: [3, 2] as const }, "objects must be [least, most], got [3, 2]"],
    [{ count: 1, objectSize: [20, 200] as const }, "objectSize must fit into 128x128 pixels, got up to 200"],
    [{ count: 1, objects: [1, 256] as const }, "objects must be at most 255, got 256"],
    [{ count: 1, objects: [-1, 2] as const }, "objects must be [least, most], got [-1, 2]"],
    [{ count: 1, objectSize: [1, 20] as const }, "objectSize must be [least, most] from 2 up, got [1, 20]"],
    [{ count: 1, objectSize: [30, 20] as const }, "objectSize must be [least, most] from 2 up, got [30, 20]"],
    [{ count: 1, size: { height: 40, width: 90 } }, "objectSize must fit into 40x90 pixels, got up to 60"],
    [{ count: 1, classes: [] }, "classes must name at least one shape, got none"],
    [{ count: 1.5 }, "count must be a whole number, got 1.5"],
    [{ count: -1 }, "count must be a whole number, got -1"],
    [
      { count: 1, classes: ["hexagon" as "circle"] },
      "classes must be among circle, rectangle, triangle, got hexagon",
    ],
  ])("refuses %j", (options, problem) => {
    expect(() => shapesDataset(options)).toThrow(`shapesDataset: ${problem}.`);
  });
  it("takes what lies on the bounds", () => {
    for (const options of [
      { objects: [0, 0] },
      { objects: [255, 255] },
      { objectSize: [2, 2] },
      { objectSize: [128, 128] },
    ] as const) {
      expect(shapesDataset({ count: 0, ...options }).length).toBe(0);
    }
  });
  it.each([2, -1, 0.5])("refuses index %d of 2", async (index) => {
    await expect(shapesDataset({ count: 2 }).get(index)).rejects.toThrow(
      `shapesDataset: index must be within 0..1, got ${index}.`,
    );
  });
});
