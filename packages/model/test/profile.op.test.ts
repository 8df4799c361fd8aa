import { memory } from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { createRandom } from "@mrcnn/core";
import { createMaskRcnn, maskRcnnConfig } from "../src/index.ts";
import { profileDetect } from "../src/profile.ts";
import { squares, tinyConfig } from "./tiny-model.ts";

const images = [
  squares({ height: 64, width: 64 }, [[10, 20]]).image,
  squares({ height: 40, width: 80 }, [[10, 5]]).image,
];
const options = { scoreThreshold: 0, maxDetections: 7 };
const dense = ["resize", "stem", "layer1", "layer2", "layer3", "layer4"];
const heads = ["rpn head", "proposals", "box pooling", "box head", "selection"];
const { backbone, fpn, rpn, box, maskHead } = tinyConfig();
const single = {
  classes: ["a", "b"],
  image: { minSize: 64, maxSize: 64 },
  backbone,
  rpn: { detection: rpn.detection },
  maskHead,
} as const;

const cases = [
  ["Mask R-CNN", tinyConfig(), [...dense, "fpn", ...heads, "mask pooling", "mask head", "paste"]],
  ["Faster R-CNN", tinyConfig({ mask: false }), [...dense, "fpn", ...heads]],
  [
    "keypoints",
    tinyConfig({ mask: false, keypoints: ["nose", "tail"], keypointHead: { poolSize: 7, layers: [8] } }),
    [...dense, "fpn", ...heads, "keypoint pooling", "keypoint head", "keypoints"],
  ],
  [
    "C4",
    maskRcnnConfig({
      ...single,
      architecture: "c4",
      numerics: "detectron2",
      maskHead: { channels: 8, layers: [] },
    }),
    [...dense.slice(0, -1), ...heads, "mask pooling", "mask head", "paste"],
  ],
  [
    "matterport's numerics",
    tinyConfig({ numerics: "matterport", fpn, box: { representation: box.representation } }),
    [...dense, "fpn", ...heads, "mask pooling", "mask head", "paste"],
  ],
] as const;

test.each(cases)(
  "%s: the stages together find what detect finds, and leave nothing",
  async (_, config, stages) => {
    const model = createMaskRcnn(config, createRandom(1)); // of seed 0's weights, matterport's numerics find nothing
    try {
      const expected = await model.detect(images, options);
      const before = memory().numTensors;
      const { detections, seconds } = await profileDetect(model, images, options);
      expect(memory().numTensors).toBe(before);
      expect(detections).toEqual(expected);
      expect(detections[0]!.labels.length).toBeGreaterThan(0);
      expect([...seconds.keys()]).toEqual(stages);
      for (const time of seconds.values()) expect(time).toBeGreaterThan(0);
    } finally {
      model.dispose();
    }
  },
);

test("nothing found: the mask head is not run", async () => {
  const model = createMaskRcnn(tinyConfig());
  const { detections, seconds } = await profileDetect(model, images, { scoreThreshold: 1 });
  expect(detections).toEqual(await model.detect(images, { scoreThreshold: 1 }));
  expect([...seconds.keys()].filter((stage) => stage.startsWith("mask"))).toEqual([]);
  model.dispose();
});

test("no images are refused", async () => {
  const model = createMaskRcnn(tinyConfig());
  await expect(profileDetect(model, [])).rejects.toThrow("profileDetect: images must hold at least one.");
  model.dispose();
});
