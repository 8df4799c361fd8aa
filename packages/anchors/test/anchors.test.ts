import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { golden } from "@mrcnn/testing";
import {
  anchorCounts,
  anchorsPerLocation,
  cellAnchors,
  gridAnchors,
  torchvisionAnchors,
} from "@mrcnn/anchors";
import type { AnchorConfig } from "@mrcnn/anchors";

interface Case {
  readonly sizes: readonly (readonly number[])[];
  readonly aspectRatios: readonly (readonly number[])[];
  readonly imageSize: readonly [number, number];
  readonly featureSizes: readonly (readonly [number, number])[];
  readonly cells: readonly (readonly number[])[];
  readonly anchors: readonly number[];
}
const { cases } = golden<{ cases: readonly Case[] }>(import.meta.url, "anchors");
const size = ([height, width]: readonly [number, number]) => ({ height, width });

test.each(cases)("anchors equal torchvision's for an image of $imageSize", (c) => {
  const config: AnchorConfig = { ...torchvisionAnchors(), sizes: c.sizes, aspectRatios: c.aspectRatios };
  for (const [level, cell] of c.cells.entries()) {
    // torch writes -0 for corners that round to zero from below; Float32Array equality would notice.
    expect(
      [...cellAnchors(c.sizes[level]!, c.aspectRatios[level]!, { round: true })].map((v) => v + 0),
    ).toEqual(cell.map((v) => v + 0));
  }
  const features = c.featureSizes.map(size);
  const anchors = gridAnchors(config, features, size(c.imageSize));
  expect(anchors).toEqual(Float32Array.from(c.anchors));
  expect(anchorCounts(config, features).reduce((a, b) => a + b)).toBe(anchors.length / 4);
});

interface Detectron2Case extends Pick<Case, "sizes" | "aspectRatios" | "featureSizes" | "cells"> {
  readonly strides: readonly number[];
  readonly offset: number;
  readonly count: number;
  readonly sha256: string;
  readonly last: readonly number[];
}
test.each(golden<{ cases: readonly Detectron2Case[] }>(import.meta.url, "detectron2").cases)(
  "anchors equal detectron2's on strides $strides",
  (c) => {
    for (const [level, cell] of c.cells.entries()) {
      expect(
        cellAnchors(c.sizes[level]!, c.aspectRatios[level]!, { round: false, order: "sizes-first" }),
      ).toEqual(Float32Array.from(cell));
    }
    const { sizes, aspectRatios, strides } = c;
    const config: AnchorConfig = {
      sizes,
      aspectRatios,
      strides,
      centerOffset: c.offset,
      roundCells: false,
      order: "sizes-first",
    };
    const anchors = gridAnchors(config, c.featureSizes.map(size), { height: 1, width: 1 });
    expect(anchors).toHaveLength(4 * c.count);
    expect(anchors.subarray(-4)).toEqual(Float32Array.from(c.last));
    expect(createHash("sha256").update(anchors).digest("hex")).toBe(c.sha256);
  },
);

interface MatterportCase {
  readonly side: number;
  readonly sizes: readonly (readonly number[])[];
  readonly strides: readonly number[];
  readonly widthsOverHeights: readonly number[];
  readonly count: number;
  readonly step: number;
  readonly anchors: readonly number[];
}
test.each(golden<{ cases: readonly MatterportCase[] }>(import.meta.url, "matterport").cases)(
  "anchors in fractions of $side - 1 are matterport's",
  (c) => {
    const aspectRatios = c.sizes.map(() => c.widthsOverHeights.map((ratio) => 1 / ratio));
    const config: AnchorConfig = {
      sizes: c.sizes,
      aspectRatios,
      strides: c.strides,
      centerOffset: 0,
      roundCells: false,
      units: "fractions",
    };
    const grids = c.strides.map((stride) => ({
      height: Math.ceil(c.side / stride),
      width: Math.ceil(c.side / stride),
    }));
    const anchors = gridAnchors(config, grids, { height: c.side, width: c.side });
    expect(anchors).toHaveLength(4 * c.count);
    for (const [i, expected] of Float32Array.from(c.anchors).entries()) {
      const found = anchors[4 * c.step * Math.floor(i / 4) + (i % 4)]!;
      expect(Math.abs(found - expected)).toBeLessThanOrEqual(2 ** -23 * Math.abs(expected));
    }
  },
);

test("torchvision's defaults are 5 levels of 3 anchors", () => {
  const config = torchvisionAnchors();
  expect(config.sizes).toEqual([[32], [64], [128], [256], [512]]);
  expect(anchorsPerLocation(config)).toEqual([3, 3, 3, 3, 3]);
});

test("unrounded cells on given strides, centred in their cells", () => {
  // An area of 32² at ratio 2 is 32/√2 wide and 32·√2 high; the first centre lies at half a stride of 8.
  const config: AnchorConfig = {
    sizes: [[32]],
    aspectRatios: [[2]],
    strides: [8],
    centerOffset: 0.5,
    roundCells: false,
  };
  const anchors = gridAnchors(config, [{ height: 1, width: 2 }], { height: 8, width: 16 });
  const [w, h] = [16 / Math.SQRT2, 16 * Math.SQRT2];
  const expected = [4 - w, 4 - h, 4 + w, 4 + h, 12 - w, 4 - h, 12 + w, 4 + h];
  for (const [i, value] of expected.entries()) expect(anchors[i]).toBeCloseTo(value, 5);
});

test("halves round to the even neighbour", () => {
  // Sides 5 and 7: corners at 2.5 and 3.5.
  expect([...cellAnchors([5, 7], [1], { round: true })]).toEqual([-2, -2, 2, 2, -4, -4, 4, 4]);
});

test("levels that differ in number are refused", () => {
  expect(() => gridAnchors(torchvisionAnchors(), [{ height: 1, width: 1 }], { height: 8, width: 8 })).toThrow(
    "gridAnchors: config must list sizes, aspect ratios and strides for 1 levels, got 5, 5.",
  );
});
