import { expect, test } from "vitest";
import { ConfigError } from "@mrcnn/core";
import { assertSizesAgree, maskRcnnConfig, mergeConfig, parseMaskRcnnConfig } from "../src/index.ts";
import type { MaskRcnnOptions } from "../src/index.ts";

const classes = ["cat", "dog"];
const parse = (options: object): unknown => parseMaskRcnnConfig({ classes, ...options }, "model.json");

test("the defaults are the paper's and torchvision's maskrcnn_resnet50_fpn", () => {
  // The paper's section 3.1, and the signature of torchvision.models.detection.MaskRCNN.
  expect(maskRcnnConfig({ classes })).toEqual({
    classes,
    numerics: "torchvision",
    architecture: "fpn",
    mask: true,
    keypoints: [],
    image: {
      channelOrder: "rgb",
      range: 1,
      mean: [0.485, 0.456, 0.406],
      std: [0.229, 0.224, 0.225],
      minSize: 800,
      maxSize: 1333,
      divisor: 32,
    },
    backbone: {
      depth: 50,
      width: 64,
      cardinality: 1,
      widthPerGroup: 64,
      strideIn1x1: false,
      norm: "frozen_batch_norm",
      groups: 32,
      eps: 1e-5,
      trainableLayers: 3,
    },
    fpn: { channels: 256, norm: "none" },
    anchors: { sizes: [[32], [64], [128], [256], [512]], aspectRatios: [0.5, 1, 2] },
    rpn: {
      convs: 1,
      channels: undefined,
      training: { preNmsTopK: 2000, postNmsTopK: 2000 },
      detection: { preNmsTopK: 1000, postNmsTopK: 1000 },
      nmsThreshold: 0.7,
      minSize: 1e-3,
      targets: { high: 0.7, low: 0.3, batchSize: 256, positiveFraction: 0.5 },
    },
    box: {
      poolSize: 7,
      layers: [],
      norm: "none",
      representation: 1024,
      weights: [10, 10, 5, 5],
      targets: { high: 0.5, low: 0.5, batchSize: 512, positiveFraction: 0.25 },
      scoreThreshold: 0.05,
      nmsThreshold: 0.5,
      maxDetections: 100,
      minSize: 1e-2,
    },
    maskHead: { poolSize: 14, layers: [256, 256, 256, 256], norm: "none", channels: 256 },
    keypointHead: { poolSize: 14, layers: [512, 512, 512, 512, 512, 512, 512, 512] },
    roiAlign: { samplingRatio: 2, aligned: false },
  });
});

test("what differs replaces its default only", () => {
  const config = maskRcnnConfig({
    classes,
    mask: false,
    rpn: { targets: { batchSize: 64 } },
    image: { minSize: undefined, maxSize: 900 },
  });
  expect(config).toMatchObject({ mask: false, image: { minSize: 800, maxSize: 900 } });
  expect(config.rpn.targets).toEqual({ high: 0.7, low: 0.3, batchSize: 64, positiveFraction: 0.5 });
});

// detectron2's Base-RCNN-FPN, -C4 and -DilatedC5; matterport's config.py: RPN_ANCHOR_RATIOS are widths over heights, PRE_NMS_LIMIT 6000.
test.each<[MaskRcnnOptions["numerics"], MaskRcnnOptions["architecture"], object]>([
  [
    "detectron2",
    "fpn",
    {
      rpn: {
        minSize: 2 ** -149,
        training: { preNmsTopK: 2000, postNmsTopK: 1000 },
        detection: { preNmsTopK: 1000, postNmsTopK: 1000 },
      },
      box: { minSize: 0, poolSize: 7 },
      image: { divisor: 32 },
    },
  ],
  [
    "detectron2",
    "c4",
    {
      rpn: {
        minSize: 2 ** -149,
        training: { preNmsTopK: 12_000, postNmsTopK: 2000 },
        detection: { preNmsTopK: 6000, postNmsTopK: 1000 },
      },
      box: { minSize: 0, poolSize: 14 },
      maskHead: { layers: [] },
      image: { divisor: 1 },
    },
  ],
  [
    "detectron2",
    "dc5",
    {
      rpn: { training: { preNmsTopK: 12_000, postNmsTopK: 2000 } },
      box: { poolSize: 7 },
      anchors: { sizes: [[32, 64, 128, 256, 512]] },
    },
  ],
  [
    "matterport",
    "fpn",
    {
      rpn: {
        channels: 512,
        minSize: 0,
        training: { preNmsTopK: 6000, postNmsTopK: 2000 },
        detection: { preNmsTopK: 6000, postNmsTopK: 1000 },
      },
      box: { scoreThreshold: 0.7, nmsThreshold: 0.3, minSize: 0 },
      anchors: { aspectRatios: [2, 1, 0.5] },
      backbone: { depth: 101, eps: 1e-3 },
    },
  ],
])("%s's %s has the defaults of its library", (numerics, architecture, values) => {
  expect(maskRcnnConfig({ classes, numerics, architecture })).toMatchObject(values);
});

test("configs are put over each other key by key; lists and values are replaced, but not by undefined", () => {
  expect(mergeConfig({ a: { b: 1, c: [1, 2] }, d: 3 }, { a: { c: [4] }, d: undefined, e: { f: 5 } })).toEqual(
    { a: { b: 1, c: [4] }, d: 3, e: { f: 5 } },
  );
  expect(mergeConfig({ a: { b: 1 }, c: 2 }, { a: 7, c: { d: 1 } })).toEqual({ a: 7, c: { d: 1 } });
});

test("limits of the edges must not contradict each other", () => {
  expect(() => assertSizesAgree({ minSize: 100, maxSize: 99 }, "detect")).toThrow(
    "detect: minSize must be at most maxSize, got 100 and 99.",
  );
  for (const sizes of [{ minSize: 100, maxSize: 100 }, { minSize: 100 }, { maxSize: 5 }, {}])
    assertSizesAgree(sizes, "detect");
});

test("an unknown key suggests the nearest of its place", () => {
  expect(() => parse({ masks: true })).toThrow('model.json: masks is not a known key. Did you mean "mask"?');
  expect(() => parse({ backbone: { witdh: 32 } })).toThrow(
    'backbone.witdh is not a known key. Did you mean "width"?',
  );
  expect(() => parse({ rpn: { targets: { hihg: 0.7 } } })).toThrow(
    'rpn.targets.hihg is not a known key. Did you mean "high"?',
  );
});

test.each([
  [{ backbone: { depth: 20 } }, "backbone.depth"],
  [{ backbone: { trainableLayers: 6 } }, "backbone.trainableLayers"],
  [{ image: { minSize: 0 } }, "image.minSize"],
  [{ image: { std: [0.2, 0, 0.2] } }, "image.std.1"],
  [{ image: { mean: [0.5, 0.5] } }, "image.mean"],
  [{ anchors: { sizes: [[32], [64]] } }, "anchors.sizes"],
  [{ anchors: { aspectRatios: [] } }, "anchors.aspectRatios"],
  [{ box: { scoreThreshold: 1.5 } }, "box.scoreThreshold"],
  [{ box: { weights: [10, 10, 5, 0] } }, "box.weights.3"],
  [{ rpn: { targets: { batchSize: 2.5 } } }, "rpn.targets.batchSize"],
  [{ classes: [] }, "classes"],
  [{ classes: "cat" }, "classes"],
])("%j is refused at %s", (options, path) => {
  expect(() => parse(options)).toThrow(ConfigError);
  expect(() => parse(options)).toThrow(`model.json: ${path}: expected`);
});

test.each([
  [{ classes: ["cat", "cat"] }, 'classes must differ, got "cat" twice'],
  [{ image: { minSize: 900, maxSize: 800 } }, "image.minSize must be at most image.maxSize, got 900 and 800"],
  [
    { backbone: { norm: "group_norm", width: 48 } },
    "backbone.width must be a multiple of backbone.groups, got 48 and 32",
  ],
  [
    { anchors: { sizes: [[8, 16], [32], [64], [128], [256]] } },
    "anchors.sizes must list as many sizes on each level, got 2, 1, 1, 1, 1",
  ],
  [{ rpn: { targets: { high: 0.2 } } }, "rpn.targets.low must be at most high, got 0.3 and 0.2"],
  [{ box: { targets: { low: 0.6 } } }, "box.targets.low must be at most high, got 0.6 and 0.5"],
  [
    { fpn: { norm: "group_norm", channels: 48 } },
    "the channels of fpn must be multiples of fpn.groups, got 48 and 32.",
  ],
  [
    { box: { norm: "group_norm", groups: 8, layers: [16, 12] } },
    "the channels of box must be multiples of box.groups, got 16, 12 and 8.",
  ],
  [
    { maskHead: { norm: "group_norm", layers: [64, 40] } },
    "the channels of maskHead must be multiples of maskHead.groups, got 64, 40 and 32.",
  ],
  [
    { backbone: { depth: 34, cardinality: 32 } },
    "backbone.cardinality needs a depth of 50 or more, got depth 34.",
  ],
  [
    { backbone: { depth: 18, widthPerGroup: 8 } },
    "backbone.widthPerGroup needs a depth of 50 or more, got depth 18.",
  ],
  [
    { architecture: "c4", box: { layers: [256] } },
    'architecture "c4" has conv5 as its box head; it takes neither box.layers nor numerics "matterport".',
  ],
  [
    { architecture: "c4", numerics: "matterport" },
    'architecture "c4" has conv5 as its box head; it takes neither box.layers nor numerics "matterport".',
  ],
  [{ maskHead: { layers: [] } }, 'maskHead.layers must hold at least one, except with architecture "c4".'],
  [{ architecture: "c4", keypoints: ["nose"] }, 'architecture "c4" has no keypoint head; use "fpn".'],
  [
    { architecture: "dc5", numerics: "matterport" },
    'numerics "matterport" knows architecture "fpn" without keypoints only.',
  ],
  [
    { numerics: "matterport", keypoints: ["nose"] },
    'numerics "matterport" knows architecture "fpn" without keypoints only.',
  ],
])("the contradiction %j is named", (options, text) => {
  expect(() => parse(options)).toThrow(`model.json: ${text}`);
});

// What a file's metadata may say: each ended in a hang, gigabytes or an error of TypeScript's own.
test.each<[object, string]>([
  [{ box: { representation: 1e9 } }, "box.representation"],
  [{ rpn: { convs: 1e5 } }, "rpn.convs"],
  [{ backbone: { width: 1e6 } }, "backbone.width"],
  [{ backbone: { groups: 1e9 } }, "backbone.groups"],
  [{ fpn: { channels: 1e7 } }, "fpn.channels"],
  [{ box: { poolSize: 5000 } }, "box.poolSize"],
  [{ box: { layers: Array.from({ length: 1e5 }, () => 8) } }, "box.layers"],
  [{ maskHead: { layers: Array.from({ length: 1e6 }, () => "wide") } }, "maskHead.layers"],
  [{ image: { minSize: 8000, maxSize: 8000 } }, "image.minSize"],
  [{ image: { divisor: 1e9 } }, "image.divisor"],
  [{ image: { std: [1e-300, 1, 1] } }, "image.std"],
  [{ image: { mean: [Infinity, 0, 0] } }, "image.mean"],
  [{ image: { mean: [NaN, 0, 0] } }, "image.mean"],
  [{ backbone: { eps: 1e300 } }, "backbone.eps"],
  [{ backbone: { eps: -1 } }, "backbone.eps"],
  [{ rpn: { detection: { postNmsTopK: 1e9 } } }, "rpn.detection.postNmsTopK"],
  [{ box: { maxDetections: 2 ** 53 } }, "box.maxDetections"],
  [{ box: { weights: [1e-300, 1, 1, 1] } }, "box.weights"],
  [
    { anchors: { sizes: [Array.from({ length: 1e5 }, (_, i) => i + 1), [1], [1], [1], [1]] } },
    "anchors.sizes",
  ],
  [{ anchors: { aspectRatios: Array.from({ length: 1e5 }, () => 1) } }, "anchors.aspectRatios"],
  [{ roiAlign: { samplingRatio: 1e6 } }, "roiAlign.samplingRatio"],
  [{ keypoints: Array.from({ length: 1e5 }, (_, i) => `k${i}`) }, "keypoints"],
])("a size that nothing has is refused: %#", (options, path) => {
  expect(() => parse(options)).toThrow(`model.json: ${path}`);
});

test("sizes that are too much together are refused before anything is made", () => {
  expect(() => parse({ box: { representation: 60_000 } })).toThrow(
    /the model would have 4\.\d* billion parameters, more than the 1\.07 billion/,
  );
  expect(() => parse({ maskHead: { poolSize: 128 }, box: { maxDetections: 10_000 } })).toThrow(
    /maskHead\.poolSize 128 and box\.maxDetections 10000 would hold \d+ billion values/,
  );
  expect(() => parse({ image: { minSize: 4096, maxSize: 4096 }, backbone: { width: 512 } })).toThrow(
    /billion (parameters|values)/,
  );
});

test("what looks like those contradictions and is none passes", () => {
  parse({
    fpn: { norm: "group_norm", channels: 64 },
    box: { norm: "group_norm", groups: 8, layers: [16, 24] },
    maskHead: { norm: "group_norm", layers: [64, 32] },
  });
  parse({ fpn: { channels: 48 }, maskHead: { layers: [40] } }); // without norms
  parse({ architecture: "c4", maskHead: { layers: [] } });
  parse({ mask: false, maskHead: { layers: [] } });
});

test.each<[object, string]>([
  // Exactly 2 ** 30 values pass: 4096 · 4096 · 256 / 4 of the stem, 64 · 64 · 256 · 1024 of the boxes, 100 · 256 · 256 · … of the masks.
  [{ image: { minSize: 4096, maxSize: 4096 }, backbone: { width: 256, depth: 18 } }, ""],
  [
    { image: { minSize: 4000, maxSize: 4096 }, backbone: { width: 272, depth: 18 } },
    "image.minSize 4000, image.maxSize 4096 and backbone.width 272 would hold 1.11 billion values",
  ],
  [
    { box: { poolSize: 64, representation: 8 }, rpn: { detection: { preNmsTopK: 1024, postNmsTopK: 1024 } } },
    "",
  ],
  [
    { box: { poolSize: 64, representation: 8 }, rpn: { detection: { preNmsTopK: 1025, postNmsTopK: 1025 } } },
    "box.poolSize 64 and 1025 proposals (rpn.detection.postNmsTopK, box.targets.batchSize) would hold 1.07 billion values",
  ],
  [
    { box: { poolSize: 64, representation: 8, targets: { batchSize: 1030 } } },
    "box.poolSize 64 and 1030 proposals",
  ],
  [
    { box: { poolSize: 64, representation: 8, layers: [8, 512] } },
    "box.poolSize 64 and 1000 proposals (rpn.detection.postNmsTopK, box.targets.batchSize) would hold 2.10 billion values",
  ],
  [
    { architecture: "dc5", box: { poolSize: 24, representation: 8 } },
    "box.poolSize 24 and 1000 proposals (rpn.detection.postNmsTopK, box.targets.batchSize) would hold 1.18 billion values",
  ],
  [
    { architecture: "c4", box: { poolSize: 34, representation: 8 } },
    "box.poolSize 34 and 1000 proposals (rpn.detection.postNmsTopK, box.targets.batchSize) would hold 1.18 billion values",
  ],
  [{ maskHead: { poolSize: 32, layers: [8, 256], channels: 16 }, box: { maxDetections: 1024 } }, ""],
  [
    { maskHead: { poolSize: 32, layers: [8, 256], channels: 16 }, box: { maxDetections: 1025 } },
    "maskHead.poolSize 32 and box.maxDetections 1025 would hold 1.07 billion values",
  ],
  [
    { maskHead: { poolSize: 32, layers: [8, 16], channels: 257 }, box: { maxDetections: 1024 } },
    "maskHead.poolSize 32 and box.maxDetections 1024 would hold 1.08 billion values",
  ],
  [
    { mask: false, maskHead: { poolSize: 32, layers: [8, 16], channels: 257 }, box: { maxDetections: 1024 } },
    "",
  ],
  [
    {
      mask: false,
      keypoints: ["a"],
      keypointHead: { poolSize: 32, layers: [1024, 8] },
      box: { maxDetections: 1024 },
    },
    "",
  ],
  [
    {
      mask: false,
      keypoints: ["a"],
      keypointHead: { poolSize: 32, layers: [1024, 8] },
      box: { maxDetections: 1025 },
    },
    "keypointHead.poolSize 32 and box.maxDetections 1025 would hold 1.07 billion values",
  ],
  [
    {
      mask: false,
      keypoints: Array.from({ length: 65 }, (_, i) => `k${i}`),
      keypointHead: { poolSize: 32, layers: [8] },
      box: { maxDetections: 1024 },
    },
    "keypointHead.poolSize 32 and box.maxDetections 1024 would hold 1.09 billion values",
  ],
  [{ mask: false, keypointHead: { poolSize: 32, layers: [1024] }, box: { maxDetections: 1025 } }, ""],
])("the largest map of %j is bounded at 2 ** 30 values", (options, text) => {
  if (text === "") parse(options);
  else expect(() => parse(options)).toThrow(`model.json: ${text}`);
});

test("published models are far from the bounds", () => {
  // detectron2's X152, C4 models, LVIS's 1203 classes and 300 detections; Cityscapes' image sizes.
  parse({ backbone: { depth: 152, cardinality: 32, widthPerGroup: 8 } });
  parse({
    architecture: "c4",
    numerics: "detectron2",
    classes: Array.from({ length: 1203 }, (_, i) => `c${i}`),
    box: { maxDetections: 300 },
  });
  parse({
    image: { minSize: 1024, maxSize: 2048 },
    keypoints: Array.from({ length: 133 }, (_, i) => `k${i}`),
  });
});
