import { noRandom } from "@mrcnn/core";
import { expect, it } from "vitest";
import { createMaskRcnn, maskRcnnConfig, parameterCount, weightShapes } from "../src/index.ts";
import type { MaskRcnnOptions } from "../src/index.ts";

const narrow: Omit<MaskRcnnOptions, "classes"> = {
  backbone: { width: 8, groups: 4 },
  fpn: { channels: 8 },
  box: { representation: 12 },
  maskHead: { layers: [8, 4], channels: 6 },
};

it.each<[string, Omit<MaskRcnnOptions, "classes">]>([
  ["a pyramid on bottlenecks", narrow],
  [
    "a pyramid on basic blocks, keypoints, no masks",
    {
      ...narrow,
      backbone: { width: 8, depth: 18 },
      mask: false,
      keypoints: ["a", "b", "c"],
      keypointHead: { layers: [8, 4] },
    },
  ],
  [
    "ResNeXt with norms everywhere, as torchvision's v2",
    {
      ...narrow,
      backbone: { width: 8, cardinality: 4, widthPerGroup: 32, norm: "batch_norm" },
      fpn: { channels: 8, norm: "batch_norm" },
      rpn: { convs: 2, channels: 6 },
      box: { representation: 12, layers: [8, 6], norm: "batch_norm" },
      maskHead: { layers: [8], channels: 6, norm: "batch_norm" },
    },
  ],
  [
    "group norm, other anchors",
    {
      ...narrow,
      backbone: { width: 8, groups: 4, norm: "group_norm" },
      fpn: { channels: 8, norm: "group_norm", groups: 2 },
      anchors: {
        sizes: [
          [8, 9],
          [16, 17],
          [32, 33],
          [64, 65],
          [128, 129],
        ],
        aspectRatios: [1, 2, 3, 4],
      },
    },
  ],
  ["C4", { ...narrow, architecture: "c4", maskHead: { layers: [], channels: 6 }, box: {} }],
  ["DC5 of detectron2", { ...narrow, architecture: "dc5", numerics: "detectron2" }],
  [
    "matterport",
    { ...narrow, numerics: "matterport", backbone: { width: 8, depth: 50 }, rpn: { channels: 12 } },
  ],
])("the shapes of %s are those of its weights", (_, options) => {
  const config = maskRcnnConfig({ classes: ["cat", "dog"], ...options });
  const model = createMaskRcnn(config, noRandom);
  const made = Object.fromEntries([...model.variables].map(([name, { shape }]) => [name, [...shape]]));
  model.dispose();
  expect(Object.fromEntries(weightShapes(config))).toEqual(made);
  expect(parameterCount(config)).toBe(
    Object.values(made).reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0),
  );
});
