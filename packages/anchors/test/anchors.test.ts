import { expect, test } from "vitest";
import { golden } from "@mrcnn/testing";
import { anchorCounts, anchorsPerLocation, cellAnchors, gridAnchors, torchvisionAnchors } from "@mrcnn/anchors";
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
    expect([...cellAnchors(c.sizes[level]!, c.aspectRatios[level]!, { round: true })].map((v) => v + 0)).toEqual(cell.map((v) => v + 0));
  }
  const features = c.featureSizes.map(size);
  const anchors = gridAnchors(config, features, size(c.imageSize));
  expect(anchors).toEqual(Float32Array.from(c.anchors));
  expect(anchorCounts(config, features).reduce((a, b) => a + b)).toBe(anchors.length / 4);
});

test("torchvision's defaults are 5 levels of 3 anchors", () => {
  const config = torchvisionAnchors();
  expect(config.sizes).toEqual([[32], [64], [128], [256], [512]]);
  expect(anchorsPerLocation(config)).toEqual([3, 3, 3, 3, 3]);
});

test("unrounded cells on given strides, centred in their cells", () => {
  // An area of 32² at ratio 2 is 32/√2 wide and 32·√2 high; the first centre lies at half a stride of 8.
  const config: AnchorConfig = { sizes: [[32]], aspectRatios: [[2]], strides: [8], centerOffset: 0.5, roundCells: false };
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
