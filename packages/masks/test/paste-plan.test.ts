import { seededUniform } from "@mrcnn/testing";
import { expect, it } from "vitest";
import { pasteMasks, planPaste, rlesFromBits } from "../src/index.ts";
import type { PastePlan } from "../src/index.ts";

// What a device does, pixel by pixel, for masks that are nowhere near the threshold between their pixels.
function bitsOf(
  masks: Float32Array,
  side: number,
  { windows, low, share, words }: PastePlan,
  isSet: (value: number) => boolean,
): Int32Array {
  const bits = new Int32Array(words);
  for (let i = 0; i < windows.length / 8; i++) {
    const [row, word, , width, , height, columns, rows] = windows.subarray(
      8 * i,
      8 * i + 8,
    ) as unknown as number[];
    const value = (r: number, c: number): number =>
      Math.min(r, c) < 0 || Math.max(r, c) >= side ? 0 : masks[(row! * side + r) * side + c]!;
    for (let x = 0; x < width!; x++) {
      for (let y = 0; y < height!; y++) {
        const [left, above] = [low[columns! + x]!, low[rows! + y]!];
        const [u, v] = [share[columns! + x]!, share[rows! + y]!];
        const p =
          (1 - v) * ((1 - u) * value(above, left) + u * value(above, left + 1)) +
          v * ((1 - u) * value(above + 1, left) + u * value(above + 1, left + 1));
        const at = x * height! + y;
        if (isSet(p)) bits[word! + (at >> 5)]! |= 1 << (at & 31);
      }
    }
  }
  return bits;
}

for (const method of ["torchvision", "detectron2"] as const) {
  it(`masks of two images pasted by the plan are those of pasteMasks: ${method}`, () => {
    const side = 7;
    const masks = Float32Array.from(seededUniform("plan.masks", 9 * side * side));
    const sizes = [
      { height: 50, width: 71 },
      { height: 33, width: 32 },
    ];
    // Across edges, outside, of whole columns, without pixels.
    const boxes = [
      Float32Array.of(
        -8.5,
        3.25,
        20,
        19.5,
        30.5,
        -40,
        41,
        90,
        100,
        100,
        120,
        120,
        12,
        12,
        12,
        12,
        -300,
        -200,
        400,
        300,
      ),
      Float32Array.from(seededUniform("plan.boxes", 12), (u, i) => 4 + 24 * u + (i % 4 < 2 ? -9 : 9)),
    ];
    const rows = [Int32Array.of(4, 0, 8, 2, 7), Int32Array.of(1, 3, 5)];
    const targets = sizes.map((size, i) => ({ size, boxes: boxes[i]!, rows: rows[i]! }));
    const plan = planPaste(targets, side, { method });
    const isSet = (p: number): boolean => p > 0.5;
    const pasted = rlesFromBits(bitsOf(masks, side, plan, isSet), plan, targets);
    const wanted = targets.map(({ boxes, rows, size }) => {
      const own = new Float32Array(rows.length * side * side);
      for (const [i, row] of rows.entries())
        own.set(masks.subarray(row * side * side, (row + 1) * side * side), i * side * side);
      return pasteMasks(own, boxes, size, { method });
    });
    expect(pasted).toEqual(wanted);
  });
}

it("takes no masks at all", () => {
  const targets = [{ size: { height: 4, width: 4 }, boxes: new Float32Array(0), rows: new Int32Array(0) }];
  const plan = planPaste(targets, 28);
  expect(plan.words).toBe(0);
  expect(rlesFromBits(new Int32Array(0), plan, targets)).toEqual([[]]);
  expect(rlesFromBits(new Int32Array(0), planPaste([], 28), [])).toEqual([]);
});
