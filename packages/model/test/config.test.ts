import { expect, test } from "vitest";
import { ConfigError } from "@mrcnn/core";
import { maskRcnnConfig, parseMaskRcnnConfig } from "../src/index.ts";

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
    image: { channelOrder: "rgb", range: 1, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], minSize: 800, maxSize: 1333, divisor: 32 },
    backbone: { depth: 50, width: 64, cardinality: 1, widthPerGroup: 64, strideIn1x1: false, norm: "frozen_batch_norm", groups: 32, eps: 1e-5, trainableLayers: 3 },
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
  const config = maskRcnnConfig({ classes, mask: false, rpn: { targets: { batchSize: 64 } }, image: { minSize: undefined, maxSize: 900 } });
  expect(config).toMatchObject({ mask: false, image: { minSize: 800, maxSize: 900 } });
  expect(config.rpn.targets).toEqual({ high: 0.7, low: 0.3, batchSize: 64, positiveFraction: 0.5 });
});

test("an unknown key suggests the nearest of its place", () => {
  expect(() => parse({ masks: true })).toThrow('model.json: masks is not a known key. Did you mean "mask"?');
  expect(() => parse({ backbone: { witdh: 32 } })).toThrow('backbone.witdh is not a known key. Did you mean "width"?');
  expect(() => parse({ rpn: { targets: { hihg: 0.7 } } })).toThrow('rpn.targets.hihg is not a known key. Did you mean "high"?');
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
  [{ classes: ["cat", "cat"] }, "classes must differ, got cat, cat"],
  [{ image: { minSize: 900, maxSize: 800 } }, "image.minSize must be at most image.maxSize, got 900 and 800"],
  [{ backbone: { norm: "group_norm", width: 48 } }, "backbone.width must be a multiple of backbone.groups, got 48 and 32"],
  [{ anchors: { sizes: [[8, 16], [32], [64], [128], [256]] } }, "anchors.sizes must list as many sizes on each level, got 2, 1, 1, 1, 1"],
  [{ rpn: { targets: { high: 0.2 } } }, "rpn.targets.low must be at most high, got 0.3 and 0.2"],
  [{ box: { targets: { low: 0.6 } } }, "box.targets.low must be at most high, got 0.6 and 0.5"],
])("the contradiction %j is named", (options, text) => {
  expect(() => parse(options)).toThrow(`model.json: ${text}`);
});
