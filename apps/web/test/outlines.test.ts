import { createRandom } from "@mrcnn/core";
import { bitmapFromFull } from "@mrcnn/masks";
import { describe, expect, it } from "vitest";
import { smoothOutlines, traceOutlines } from "../src/outlines.ts";
import type { Outlines } from "../src/outlines.ts";

const bitmap = (rows: readonly string[]) => {
  const size = { height: rows.length, width: rows[0]!.length };
  return bitmapFromFull(
    rows
      .join("")
      .split("")
      .map((c) => Number(c === "#")),
    size,
  );
};

/** Twice the area that a ring goes round, positive when clockwise on the screen. */
function areas({ points, starts }: Outlines): number[] {
  return Array.from({ length: starts.length - 1 }, (_, ring) => {
    let twice = 0;
    for (let i = starts[ring]!; i < starts[ring + 1]!; i++) {
      const j = i + 1 === starts[ring + 1] ? starts[ring]! : i + 1;
      twice += points[2 * i]! * points[2 * j + 1]! - points[2 * j]! * points[2 * i + 1]!;
    }
    return twice / 2;
  });
}

/** How often the rings go round a point: the nonzero rule, by crossings of a ray to the right. */
function winding({ points, starts }: Outlines, x: number, y: number): number {
  let count = 0;
  for (let ring = 0; ring + 1 < starts.length; ring++) {
    for (let i = starts[ring]!; i < starts[ring + 1]!; i++) {
      const j = i + 1 === starts[ring + 1] ? starts[ring]! : i + 1;
      const [x1, y1, x2, y2] = [points[2 * i]!, points[2 * i + 1]!, points[2 * j]!, points[2 * j + 1]!];
      if (y1 > y === y2 > y) continue;
      if (x1 + ((y - y1) / (y2 - y1)) * (x2 - x1) > x) count += y2 > y1 ? 1 : -1;
    }
  }
  return count;
}

describe("outlines", () => {
  it("go round a pixel clockwise, from its top left corner", () => {
    const { points, starts } = traceOutlines(bitmap(["...", ".#.", "..."]));
    expect([...points]).toEqual([1, 1, 2, 1, 2, 2, 1, 2]);
    expect([...starts]).toEqual([0, 4]);
  });

  it("have holes the other way round, and keep apart what touches at a corner", () => {
    expect(areas(traceOutlines(bitmap(["###", "#.#", "###"])))).toEqual([9, -1]);
    expect(areas(traceOutlines(bitmap(["#.", ".#"])))).toEqual([1, 1]);
    // Two holes that touch at a corner are one ring round both, or two: together two pixels.
    expect(areas(traceOutlines(bitmap(["####", "#.##", "##.#", "####"]))).reduce((a, b) => a + b)).toBe(14);
  });

  it("are none where there is no mask", () => {
    const { points, starts } = traceOutlines(bitmap(["..", ".."]));
    expect([points.length, [...starts]]).toEqual([0, [0]]);
  });

  it("cover exactly the mask, whatever it looks like", () => {
    const random = createRandom(4);
    for (let trial = 0; trial < 40; trial++) {
      const size = { height: 1 + random.int(12), width: 1 + random.int(12) };
      const full = Uint8Array.from({ length: size.height * size.width }, () =>
        Number(random.uniform() < 0.2 + 0.6 * (trial / 40)),
      );
      const outlines = traceOutlines(bitmapFromFull(full, size));
      const covered = Uint8Array.from(full, (_, at) =>
        Number(winding(outlines, (at % size.width) + 0.5, Math.floor(at / size.width) + 0.5) !== 0),
      );
      expect(covered).toEqual(full);
      // Smooth ones still hold the middle of every pixel, and of no other.
      const smooth = smoothOutlines(outlines);
      expect(smooth.starts.length).toBe(outlines.starts.length);
      for (let at = 0; at < full.length; at++) {
        const [x, y] = [(at % size.width) + 0.5, Math.floor(at / size.width) + 0.5];
        expect(winding(smooth, x - 1e-4, y - 2e-4) !== 0).toBe(full[at] === 1);
      }
    }
  });
});
