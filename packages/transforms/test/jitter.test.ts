import type { RawImage } from "@mrcnn/core";
import { golden, seededUniform } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";
import { adjustColor } from "../src/index.ts";
import type { ColorChange } from "../src/index.ts";

const fixture = golden<{ size: [number, number]; cases: { change: ColorChange; data: number[] }[] }>(
  import.meta.url,
  "colors",
);
const [height, width] = fixture.size;
const image: RawImage = {
  height,
  width,
  data: Uint8Array.from(seededUniform(`photo${height}x${width}`, height * width * 3), (value) =>
    Math.floor(value * 256),
  ),
};

describe("adjustColor", () => {
  it.each(fixture.cases)("gives torchvision's colours for $change", ({ change, data }) => {
    const adjusted = adjustColor(image, change).data;
    // Ours are whole numbers, and grey has 0.299 of red where torchvision has 0.2989.
    expect(Math.max(...data.map((value, i) => Math.abs(value - adjusted[i]!)))).toBeLessThanOrEqual(0.53);
  });
  it("leaves what is not to change, and its argument", () => {
    const before = structuredClone(image);
    expect(adjustColor(image, {})).toEqual(before);
    adjustColor(image, { brightness: 0.5, hue: 0.2 });
    expect(image).toEqual(before);
  });
  it("turns red into green into blue", () => {
    const red = { height: 1, width: 1, data: new Uint8Array([200, 20, 20]) };
    expect([...adjustColor(red, { hue: 1 / 3 }).data]).toEqual([20, 200, 20]);
    expect([...adjustColor(red, { hue: -1 / 3 }).data]).toEqual([20, 20, 200]);
  });
});
