import { describe, expect, it } from "vitest";
import { samplingPoints } from "../src/sampling.ts";

const align = { bins: 2, ratio: 2, method: "roi-align", aligned: false } as const;

describe("sampling points", () => {
  it("divide each bin evenly", () => {
    // 16 pixels are 4 features of 4 pixels: bins of 2 features, points at a quarter and three quarters.
    expect(samplingPoints([8, 0, 24, 16], 4, align)).toEqual({ xs: [10, 14, 18, 22], ys: [2, 6, 10, 14] });
  });

  it("are one or more for each feature a bin is wide, when their number is left to the box", () => {
    // 5 features on 2 bins: 2.5 each, so 3 points.
    expect(samplingPoints([0, 0, 20, 4], 4, { ...align, ratio: 0 }).xs).toHaveLength(6);
    expect(samplingPoints([0, 0, 20, 4], 4, { ...align, ratio: 0 }).ys).toEqual([1, 3]);
  });

  it("of a box that is narrower than a feature reach as far as one, unless aligned", () => {
    expect(samplingPoints([0, 0, 1, 1], 4, align).xs.at(-1)).toBe(3.5);
    expect(samplingPoints([0, 0, 1, 1], 4, { ...align, aligned: true }).xs.at(-1)).toBe(0.875);
  });

  it("of crop-and-resize reach from edge to edge", () => {
    expect(samplingPoints([0, 4, 12, 4], 4, { ...align, bins: 4, method: "crop-and-resize" })).toEqual({
      xs: [0, 4, 8, 12],
      ys: [4, 4, 4, 4],
    });
  });
});
