// Estimates of memory against values computed by hand from what the functions say they count.
import { engine } from "@tensorflow/tfjs-core";
import { isMrcnnError } from "@mrcnn/core";
import type { MemoryError } from "@mrcnn/core";
import { afterEach, describe, expect, it } from "vitest";
import { maskRcnnConfig } from "../src/index.ts";
import type { MaskRcnnConfig, MaskRcnnOptions } from "../src/index.ts";
import { assertDetectionFits, assertStepFits, detectionValues, trainingValues } from "../src/memory.ts";

const config = (options: Partial<MaskRcnnOptions> = {}): MaskRcnnConfig =>
  maskRcnnConfig({ classes: ["a"], ...options });

describe("detectionValues, for each pixel of the input", () => {
  it.each<[string, Partial<MaskRcnnOptions>, number]>([
    // The pyramid: all maps of ResNet-50, 256 (1/16 + 1/32 + 1/64 + 1/128) = 30; twice all levels, 2 · 256 · 85/1024 = 42.5; one of the finest, 16.
    ["ResNet-50-FPN", {}, 88.5],
    // 64 · 15/128 = 7.5 instead of 30.
    ["ResNet-18-FPN", { backbone: { depth: 18 } }, 66],
    // The first stage: 64/16 · 19.
    ["ResNet-50-C4", { architecture: "c4" }, 76],
    ["ResNet-50-DC5 of half the width", { architecture: "dc5", backbone: { width: 32 } }, 38],
    // The stem: the picture and its padded copy, 2 · 3, and the convolution with its padded copy, 64/4 · 2.
    ["ResNet-18 with a narrow pyramid", { backbone: { depth: 18 }, fpn: { channels: 8 } }, 38],
    // Convolution, norm and relu are three.
    ["ResNet-18 with group norm", { backbone: { depth: 18, norm: "group_norm" }, fpn: { channels: 8 } }, 54],
    // matterport's stem needs no copy (22), so the first stage, 64/16 · 6, is the largest.
    [
      "ResNet-18 of matterport",
      { numerics: "matterport", backbone: { depth: 18 }, fpn: { channels: 8 } },
      24,
    ],
    // 16 · 0.1171875 + 2 · 640 · 85/1024 + 40.
    ["a wide pyramid", { backbone: { depth: 18, width: 16 }, fpn: { channels: 640 } }, 148.125],
  ])("%s", (_, options, values) => expect(detectionValues(config(options))).toBe(values));
});

describe("trainingValues", () => {
  const tiny = (options: Partial<MaskRcnnOptions> = {}): MaskRcnnConfig =>
    config({
      backbone: { depth: 18, width: 8, trainableLayers: 3 },
      fpn: { channels: 8 },
      rpn: { training: { preNmsTopK: 50, postNmsTopK: 20 } },
      box: { poolSize: 7, representation: 16, targets: { batchSize: 16, positiveFraction: 0.25 } },
      maskHead: { poolSize: 14, layers: [8], channels: 8 },
      ...options,
    });
  // Of a picture of 64 x 64.
  const stages = 64 * 2 * 16 * 2 + 16 * 2 * 32 * 2 + 4 * 2 * 64 * 2; // cells, blocks, channels, maps a block
  const pyramid = (256 + 64 + 16 + 4) * (8 * 5 + 3 * 10);
  const boxes = (rois: number): number => rois * (7 * 7 * 8 * 2 + 16 * 3);
  const masks = (positives: number): number => positives * 14 * 14 * (8 * 2 + 8 + 4 * 8);

  it("adds the stages that train, the pyramid, boxes and masks", () => {
    expect([stages, pyramid, boxes(16), masks(4)]).toEqual([7168, 23_800, 13_312, 43_904]);
    expect(trainingValues(tiny(), 64 * 64)).toBe(88_184);
  });

  const whole = 88_184;
  it.each<[string, Partial<MaskRcnnOptions>, number]>([
    ["no masks", { mask: false }, whole - 43_904],
    [
      "four layers: the first stage, 256 cells",
      { backbone: { depth: 18, width: 8, trainableLayers: 4 } },
      whole + 256 * 2 * 8 * 2,
    ],
    [
      "five layers: the stem as well, 32 x 32 of 8",
      { backbone: { depth: 18, width: 8, trainableLayers: 5 } },
      whole + 256 * 2 * 8 * 2 + 1024 * 8,
    ],
    [
      "one layer: the last stage alone",
      { backbone: { depth: 18, width: 8, trainableLayers: 1 } },
      whole - 7168 + 4 * 2 * 64 * 2,
    ],
    ["none", { backbone: { depth: 18, width: 8, trainableLayers: 0 } }, whole - 7168],
    [
      "norms of groups, which keep their output too",
      { backbone: { depth: 18, width: 8, norm: "group_norm", groups: 2, trainableLayers: 3 } },
      whole + 7168,
    ],
    [
      "five layers with norms of groups",
      { backbone: { depth: 18, width: 8, norm: "group_norm", groups: 2, trainableLayers: 5 } },
      whole + 7168 + 2 * (256 * 2 * 8 * 2 + 1024 * 8),
    ],
    [
      "ResNet-50, six maps a block",
      { backbone: { depth: 50, width: 8, trainableLayers: 3 } },
      whole - 7168 + 64 * 4 * 16 * 6 + 16 * 6 * 32 * 6 + 4 * 3 * 64 * 6,
    ],
    ["a single aspect ratio", { anchors: { aspectRatios: [1] } }, whole - 340 * 20],
    [
      "no more RoIs than proposals",
      { rpn: { training: { preNmsTopK: 50, postNmsTopK: 4 } } },
      7168 + 23_800 + boxes(4) + masks(1),
    ],
    [
      "two layers of masks",
      { maskHead: { poolSize: 14, layers: [8, 4], channels: 8 } },
      whole + 4 * 14 * 14 * 4,
    ],
  ])("with %s", (_, options, values) => expect(trainingValues(tiny(options), 64 * 64)).toBe(values));

  it("has no pyramid where the network has none", () => {
    expect(trainingValues({ ...tiny(), architecture: "dc5" }, 64 * 64)).toBe(whole - 23_800);
  });
});

describe("what can't fit is refused before it begins", () => {
  const backend = (): { memoryLimit?: number } => engine().backend as never;
  const limitTo = (bytes: number | undefined): void =>
    void Object.defineProperty(backend(), "memoryLimit", { value: bytes, configurable: true });
  afterEach(() => void delete backend().memoryLimit); // an own one, over the class's

  const caught = (work: () => void): MemoryError => {
    try {
      work();
    } catch (error) {
      expect(isMrcnnError(error, "memory")).toBe(true);
      return error as MemoryError;
    }
    throw new Error("nothing was refused");
  };
  const advice = "Use smaller images (minSize, maxSize), fewer at a time, or a backend without that limit.";
  // Ten values for each pixel: the stem, 2 · 3 + 8/4 · 2.
  const narrow = config({ backbone: { depth: 18, width: 8 }, fpn: { channels: 8 } });

  it("a detection, by the size that the picture is padded to", () => {
    const size = { height: 5000, width: 7000 };
    const need = 4 * 5024 * 7008 * 10;
    limitTo(need);
    assertDetectionFits({ config: narrow, count: 1, size });
    expect(() => assertDetectionFits({ config: narrow, count: 2, size })).toThrow();
    limitTo(need - 1);
    expect(() => assertDetectionFits({ config: narrow, count: 1, size })).toThrow();
    limitTo(1e9);
    const one = caught(() => assertDetectionFits({ config: narrow, count: 1, size }));
    expect(one.shortage).toBe(
      "detect: an image of 7008 x 5024 pixels at the network's input needs at least 1.41 GB of memory with this model, and the backend's ends at 1.00 GB.",
    );
    expect(one.message).toBe(`${one.shortage} ${advice}`);
    expect(caught(() => assertDetectionFits({ config: narrow, count: 2, size })).shortage).toBe(
      "detect: 2 images of 7008 x 5024 pixels at the network's input need at least 2.82 GB of memory with this model, and the backend's ends at 1.00 GB.",
    );
  });

  it("a training step, which would need twice as much by the estimate", () => {
    const size = { height: 1000, width: 1010 };
    const need = 4 * 3 * trainingValues(narrow, 1024 * 1024) * 0.75;
    limitTo(need);
    assertStepFits({ config: narrow, count: 3, size });
    limitTo(need - 1);
    const { shortage } = caught(() => assertStepFits({ config: narrow, count: 3, size }));
    expect(shortage).toMatch(
      /^training: 3 images of 1024 x 1024 pixels at the network's input need at least \d\.\d\d GB of memory/,
    );
  });

  it("and nothing is where the memory has no known end", () => {
    limitTo(undefined);
    assertDetectionFits({ config: narrow, count: 100, size: { height: 1e6, width: 1e6 } });
    assertStepFits({ config: narrow, count: 100, size: { height: 1e6, width: 1e6 } });
  });
});
