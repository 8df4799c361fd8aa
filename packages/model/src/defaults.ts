/** The defaults of a config, by whose arithmetic it follows and where its regions read their features. */
import { isRecord } from "@mrcnn/core";
import type { MaskRcnnConfig, Partially } from "./config.ts";
import type { Architecture, Numerics } from "./numerics.ts";

type Defaults = Omit<MaskRcnnConfig, "classes" | "numerics" | "architecture">;

// The paper's numbers (section 3.1) as torchvision has them.
const common: Defaults = {
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
};

// Without a pyramid one level has every size, and proposals are many (detectron2's Base-RCNN-C4, -DilatedC5).
const oneLevel: Partially<Defaults> = {
  anchors: { sizes: [[32, 64, 128, 256, 512]] },
  rpn: { training: { preNmsTopK: 12000 }, detection: { preNmsTopK: 6000 } },
};
const ofArchitecture: Readonly<Record<Architecture, readonly Partially<Defaults>[]>> = {
  fpn: [],
  // The mask branch upsamples conv5's 7 x 7 once, with nothing before (the paper's figure 4, left).
  c4: [oneLevel, { box: { poolSize: 14 }, maskHead: { layers: [] } }],
  dc5: [oneLevel],
};

const ofNumerics: Readonly<Record<Numerics, (architecture: Architecture) => Partially<Defaults>>> = {
  torchvision: () => ({}),
  detectron2: (architecture) => ({
    image: {
      channelOrder: "bgr",
      range: 255,
      mean: [103.53, 116.28, 123.675],
      std: [1, 1, 1],
      divisor: architecture === "fpn" ? 32 : 1,
    },
    backbone: { strideIn1x1: true },
    // Sides above 0: the least float32.
    rpn: { minSize: 2 ** -149, ...(architecture === "fpn" && { training: { postNmsTopK: 1000 } }) },
    box: { minSize: 0 },
    roiAlign: { samplingRatio: 0, aligned: true },
  }),
  matterport: () => ({
    image: { range: 255, mean: [123.7, 116.8, 103.9], std: [1, 1, 1], maxSize: 1024, divisor: 64 },
    backbone: { depth: 101, strideIn1x1: true, eps: 1e-3 },
    // Its ratios are widths over heights.
    anchors: { aspectRatios: [2, 1, 0.5] },
    rpn: { channels: 512, training: { preNmsTopK: 6000 }, detection: { preNmsTopK: 6000 }, minSize: 0 },
    box: { scoreThreshold: 0.7, nmsThreshold: 0.3, minSize: 0 },
  }),
};

/** What a config of this kind says where nothing else is said. */
export function configDefaults(numerics: Numerics, architecture: Architecture): Defaults {
  return [...ofArchitecture[architecture], ofNumerics[numerics](architecture)].reduce<Defaults>(
    (base, over) => mergeConfig(base, over) as Defaults,
    common,
  );
}

/**
 * `over` put over `base`: records are merged key by key; lists and values are replaced, except by undefined.
 */
export function mergeConfig(base: object, over: object): object {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const own = result[key];
    if (value !== undefined) result[key] = isRecord(value) && isRecord(own) ? mergeConfig(own, value) : value;
  }
  return result;
}
