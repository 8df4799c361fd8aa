// The model that comes with the project, on pictures whose nuclei are known.
import { nucleiDataset } from "@mrcnn/datasets";
import { toFullBitmap } from "@mrcnn/masks";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { maskToBitmap } from "../src/found.ts";
import { loadMaskRcnn } from "../src/load-node.ts";
import type { MaskRcnnDetector } from "../src/load-node.ts";

const iou = (a: Uint8Array, b: Uint8Array): number => {
  const both = a.reduce((sum, bit, i) => sum + (bit & b[i]!), 0);
  const either = a.reduce((sum, bit, i) => sum + (bit | b[i]!), 0);
  return both / either;
};

let model: MaskRcnnDetector;
beforeAll(async () => {
  // Without a network, and with nothing in the cache.
  vi.stubGlobal("fetch", () => Promise.reject(new Error("no network")));
  model = await loadMaskRcnn({ weights: "nuclei", backend: "current", offline: true, cacheDir: "/nowhere" });
});
afterAll(() => {
  model.dispose();
  vi.unstubAllGlobals();
});

describe("the nuclei model", () => {
  it("comes with its config and its class", () => {
    expect(model.categories).toEqual([{ id: 1, name: "nucleus" }]);
    expect(model.model.config).toMatchObject({
      classes: ["nucleus"],
      image: { minSize: 512, maxSize: 1024 },
      backbone: { depth: 18, norm: "group_norm" },
      box: { maxDetections: 400 },
    });
  });

  it.each(["fluorescence", "haematoxylin-eosin"] as const)(
    "finds the nuclei of a picture, %s",
    async (stain) => {
      const { image, groundTruth } = await nucleiDataset({
        count: 1,
        seed: 9,
        stain,
        size: { height: 128, width: 160 },
        nuclei: [8, 8],
        diameter: [24, 44],
      }).get(0);
      // As large as it is: this suite runs on slow backends too.
      const { objects } = await model.detect(image, { minSize: 128 });
      const truth = groundTruth.masks.map((mask) => toFullBitmap(mask));
      const found = objects.map(({ mask }) => maskToBitmap(mask!));
      expect(Math.abs(found.length - truth.length)).toBeLessThanOrEqual(1);
      const best = truth.map((mask) => Math.max(...found.map((other) => iou(mask, other))));
      expect(best.filter((value) => value > 0.5).length).toBeGreaterThanOrEqual(truth.length - 1);
      expect(best.toSorted((a, b) => a - b)[truth.length >> 1]).toBeGreaterThan(0.75);
      expect(objects.every(({ name, categoryId }) => name === "nucleus" && categoryId === 1)).toBe(true);
    },
  );
});
