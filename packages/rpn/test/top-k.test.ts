import { describe, expect, it } from "vitest";
import { createRandom } from "@mrcnn/core";
import { topK } from "../src/top-k.ts";

const naive = (values: Float32Array, k: number) =>
  [...values.keys()].sort((a, b) => values[b]! - values[a]! || a - b).slice(0, k);

describe("topK", () => {
  it("orders by value, then by index", () => {
    const values = Float32Array.of(1, -2, 3, 3, 0, -7, 3);
    expect([...topK(values, 5)]).toEqual([2, 3, 6, 0, 4]);
    expect([...topK(values, 2)]).toEqual([2, 3]);
    expect([...topK(values, 100)]).toEqual([2, 3, 6, 0, 4, 1, 5]);
  });

  it.each([0, 1, 10, 999, 1000, 5000])("equals a full sort, k = %i of 5000 with many ties", (k) => {
    const random = createRandom(k);
    const values = Float32Array.from({ length: 5000 }, () => Math.round(random.normal() * 20) / 4);
    values.forEach((value, i) => {
      if (value === 0) values[i] = 0;
    }); // -0 sorts below 0, the naive sort ties them
    expect([...topK(values, k)]).toEqual(naive(values, k));
    const distinct = Float32Array.from({ length: 5000 }, () => random.normal() * 1e-3);
    expect([...topK(distinct, k)]).toEqual(naive(distinct, k));
  });

  it("ends on values that are not finite", () => {
    expect([...topK(Float32Array.of(-Infinity, 1, NaN, Infinity, -1), 3)]).toEqual([2, 3, 1]);
  });

  it("takes none of nothing", () => {
    expect(topK(new Float32Array(0), 10)).toHaveLength(0);
    expect(topK(Float32Array.of(1, 2), 0)).toHaveLength(0);
  });
});
