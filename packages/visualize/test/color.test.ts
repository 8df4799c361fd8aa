import { inkOn, instanceColor } from "../src/color.ts";
import { describe, expect, it } from "vitest";

describe("instanceColor", () => {
  it("gives neighbours clearly different colours, again and again the same", () => {
    const colors = Array.from({ length: 60 }, (_, i) => instanceColor(i));
    for (let i = 0; i < 60; i++) {
      expect(instanceColor(i)).toEqual(colors[i]);
      for (const channel of colors[i]!)
        expect(channel >= 0 && channel <= 255 && Number.isInteger(channel)).toBe(true);
      for (let j = Math.max(0, i - 3); j < i; j++)
        expect(Math.hypot(...colors[i]!.map((v, c) => v - colors[j]![c]!))).toBeGreaterThan(60);
    }
  });

  it("is written on in black or white, whichever is read", () => {
    expect(inkOn([255, 230, 60])).toEqual([0, 0, 0]);
    expect(inkOn([20, 20, 160])).toEqual([255, 255, 255]);
  });
});
