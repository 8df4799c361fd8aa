import { memory, tensor } from "@tensorflow/tfjs-core";
import { createRandom } from "@mrcnn/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createMaskRcnn, maskRcnnConfig } from "../src/index.ts";
import type { MaskRcnn } from "../src/index.ts";

const image = {
  width: 96,
  height: 64,
  data: Uint8Array.from({ length: 96 * 64 * 3 }, (_, i) => (i * 2654435761) >>> 24),
};
let model: MaskRcnn;

beforeAll(() => {
  model = createMaskRcnn(
    maskRcnnConfig({
      classes: ["a", "b"],
      keypoints: ["head", "tail"],
      image: { minSize: 64, maxSize: 96 },
      backbone: { depth: 18, width: 8, eps: 0 },
      fpn: { channels: 8 },
      rpn: { detection: { preNmsTopK: 50, postNmsTopK: 20 } },
      box: { representation: 16, scoreThreshold: 0, maxDetections: 5 },
      maskHead: { layers: [8], channels: 8 },
      keypointHead: { layers: [8] },
    }),
    createRandom(5),
  );
});
afterAll(() => model.dispose());

/** Detects with some values of a tensor replaced, and puts them back. */
async function withValues<T>(
  name: string,
  change: (value: number, place: number) => number,
  work: () => Promise<T>,
): Promise<T> {
  const variable = model.variables.get(name)!;
  const before = Float32Array.from(await variable.data());
  const put = (values: Float32Array): void => {
    const value = tensor(values, [...variable.shape] as [number]);
    variable.assign(value);
    value.dispose();
  };
  put(before.map(change));
  try {
    return await work();
  } finally {
    put(before);
  }
}

describe("what a network puts out", () => {
  it("is looked at, and changes nothing where it is finite", async () => {
    const [first] = await model.detect([image]);
    expect(first!.labels.length).toBe(5);
    expect([first!.masks!.length, first!.keypoints!.count]).toEqual([5, 2]);
    const before = memory().numTensors;
    expect((await model.detect([image]))[0]).toEqual(first);
    expect(memory().numTensors).toBe(before);
  });

  it.each<[string, string, number, RegExp]>([
    ["objectness", "rpn.head.cls_logits.bias", NaN, /the network's objectness must be finite/],
    [
      "proposals' deltas",
      "rpn.head.bbox_pred.bias",
      Infinity,
      /the network's proposals' box deltas must be finite/,
    ],
    [
      "class scores",
      "roi_heads.box_predictor.cls_score.bias",
      NaN,
      /the network's class scores must be finite/,
    ],
    [
      "one class's score",
      "roi_heads.box_predictor.cls_score.bias",
      -Infinity,
      /the network's class scores must be finite/,
    ],
    [
      "box deltas",
      "roi_heads.box_predictor.bbox_pred.bias",
      -Infinity,
      /the network's box deltas must be finite/,
    ],
    [
      "masks",
      "roi_heads.mask_predictor.mask_fcn_logits.bias",
      Infinity,
      /the network's masks must be finite/,
    ],
    [
      "keypoints",
      "roi_heads.keypoint_predictor.kps_score_lowres.bias",
      NaN,
      /the network's keypoints must be finite/,
    ],
  ])("is no detection where %s are not finite", async (_, name, value, message) => {
    const before = memory().numTensors;
    await withValues(
      name,
      (old, place) => (value === -Infinity && place !== 1 ? old : value),
      () => expect(model.detect([image])).rejects.toThrow(message),
    );
    expect(memory().numTensors).toBe(before);
    expect((await model.detect([image]))[0]!.labels.length).toBe(5);
  });

  // Sums that outgrow float32 in the middle, from weights that are finite: every backend's relu keeps NaN, as torch's does.
  it.each<[string, string, (value: number, place: number) => number]>([
    ["a convolution of huge weights", "backbone.body.layer2.0.conv2.weight", (value) => value * 1e38],
    ["a pyramid of huge weights", "backbone.fpn.inner_blocks.1.0.weight", (value) => value * 1e38],
    ["a stem of huge weights", "backbone.body.conv1.weight", (value) => value * 3e38],
    ["a hidden layer of huge weights", "roi_heads.box_head.fc6.weight", (value) => Math.sign(value) * 3e38],
    [
      "a variance of 0 and a norm whose eps is 0",
      "backbone.body.layer1.0.bn1.running_var",
      (value, place) => (place === 3 ? 0 : value),
    ],
    [
      "a mean that is not finite",
      "backbone.body.layer3.0.bn2.running_mean",
      (value, place) => (place === 1 ? NaN : value),
    ],
  ])("is no detection where %s is hidden by nothing", async (_, name, change) => {
    await withValues(name, change, () =>
      expect(model.detect([image])).rejects.toThrow(
        /^detect: the network's .* must be finite, got (NaN|-?Infinity|NaN or infinity): its sums outgrow/,
      ),
    );
  });
});
