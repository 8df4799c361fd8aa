import { bitmapFromFull, boxIou, encodeRle, rleFromCounts, rleIou } from "../src/index.ts";
import { createRandom } from "@mrcnn/core";
import { expectClose, golden } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";

interface Golden {
  groups: { size: [number, number]; counts: number[][]; isCrowd: number[]; iou: number[] }[];
  boxes: { detections: number[]; groundTruth: number[]; isCrowd: number[]; iou: number[] };
}
const { groups, boxes } = golden<Golden>(import.meta.url, "rle");

describe("rleIou", () => {
  it("equals pycocotools to the bit, crowds included", () => {
    for (const { size, counts, isCrowd, iou } of groups) {
      const rles = counts.map((runs) => rleFromCounts(runs, { height: size[0], width: size[1] }));
      expect([...rleIou(rles, rles, isCrowd)]).toEqual(iou);
    }
  });

  it("equals counting pixels", async () => {
    const random = createRandom(5);
    const size = { height: 9, width: 7 };
    const full = Array.from({ length: 6 }, (_, i) =>
      Uint8Array.from({ length: 63 }, () => (random.uniform() < i / 6 ? 1 : 0)),
    );
    const rles = full.map((data) => encodeRle(bitmapFromFull(data, size)));
    const counted = full.flatMap((a) =>
      full.map((b) => {
        const both = a.filter((v, i) => v && b[i]).length;
        const either = a.filter((v, i) => v || b[i]).length;
        return both === 0 ? 0 : both / either;
      }),
    );
    await expectClose(rleIou(rles, rles, new Uint8Array(6)), counted, { atol: 1e-15 });
  });

  it("takes none, and refuses another size", () => {
    const a = rleFromCounts([6], { height: 2, width: 3 });
    expect(rleIou([], [a], [0])).toHaveLength(0);
    expect(() => rleIou([a], [rleFromCounts([6], { height: 3, width: 2 })], [0])).toThrow(
      "must be of one size",
    );
  });
});

describe("boxIou", () => {
  it("equals pycocotools to the bit", () => {
    expect([...boxIou(boxes.detections, boxes.groundTruth, boxes.isCrowd)]).toEqual(boxes.iou);
  });

  it("divides by the detection alone for a crowd", () => {
    // 2 x 2 within 4 x 4: 4/16 ordinarily, 4/4 against a crowd; beside it nothing.
    expect([...boxIou([1, 1, 2, 2, 9, 9, 1, 1], [0, 0, 4, 4, 0, 0, 4, 4], [0, 1])]).toEqual([0.25, 1, 0, 0]);
    expect(() => boxIou([0, 0, 1, 1], [0, 0, 1, 1], [])).toThrow("isCrowd must hold 1 values");
  });
});
