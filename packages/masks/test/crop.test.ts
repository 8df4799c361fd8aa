import { bitmapFromFull, cropMasks, decodeRle, rleFromCounts } from "../src/index.ts";
import { createRandom } from "@mrcnn/core";
import { expectClose, golden } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";

interface Golden {
  cases: { side: number; size: [number, number]; boxes: number[]; counts: number[][]; targets: number[] }[];
}
const { cases } = golden<Golden>(import.meta.url, "crop");

describe("cropMasks", () => {
  it("equals torchvision's project_masks_on_boxes", async () => {
    for (const { side, size, boxes, counts, targets } of cases) {
      const masks = counts.map((runs) => decodeRle(rleFromCounts(runs, { height: size[0], width: size[1] })));
      await expectClose(cropMasks(masks, Float32Array.from(boxes), side), targets, { atol: 1e-6, rtol: 0 });
    }
  });

  it("averages hand-made pixels", () => {
    // A 4 x 4 image, left half set. RoIAlign reads sample positions as pixel indices (not aligned): the
    // box of 4 in 2 bins of 2 samples each reads columns 0.5, 1.5, 2.5, 3.5 = 1, 1/2, 0, 0.
    const mask = bitmapFromFull([1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0], { height: 4, width: 4 });
    expect([...cropMasks([mask], Float32Array.of(0, 0, 4, 4), 2)]).toEqual([0.75, 0, 0.75, 0]);
  });

  it("does not depend on where the window is cut", async () => {
    const random = createRandom(4);
    const size = { height: 30, width: 25 };
    const tight = bitmapFromFull(
      Array.from({ length: 750 }, (_, i) => (i > 200 && i < 500 && random.uniform() < 0.6 ? 1 : 0)),
      size,
    );
    const whole = { size, left: 0, top: 0, ...size, data: new Uint8Array(750) };
    for (let y = 0; y < tight.height; y++) {
      whole.data.set(
        tight.data.subarray(y * tight.width, (y + 1) * tight.width),
        (tight.top + y) * 25 + tight.left,
      );
    }
    const boxes = Float32Array.of(2.3, 3.1, 24.9, 21.2);
    await expectClose(cropMasks([tight], boxes, 7), cropMasks([whole], boxes, 7), { atol: 1e-7 });
  });

  it("gives zeros for an empty mask and nothing for no masks", () => {
    const empty = bitmapFromFull(new Uint8Array(12), { height: 3, width: 4 });
    expect([...cropMasks([empty], Float32Array.of(0, 0, 2, 2), 2)]).toEqual([0, 0, 0, 0]);
    expect(cropMasks([], new Float32Array(0), 28)).toHaveLength(0);
  });

  it("wants a mask per box", () => {
    expect(() => cropMasks([], new Float32Array(4), 2)).toThrow("cropMasks: boxes must hold 0 values, got 4");
  });
});
