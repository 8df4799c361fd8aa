// What the device chooses, against what the host chooses, whose choices are torchvision's (see the tests of rpn and heads).
import { backendState } from "../../../tools/setup/backends.mjs";
import { memory, tensor2d, tensor3d } from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs";
import { createRandom } from "@mrcnn/core";
import type { ImageSize, Random, Rois } from "@mrcnn/core";
import type { RpnOutput } from "@mrcnn/core/tensors";
import { selectDetections } from "@mrcnn/heads";
import type { DetectionConfig } from "@mrcnn/heads";
import { readRois, selectProposals, selectProposalsOnDevice } from "@mrcnn/rpn";
import type { ProposalConfig } from "@mrcnn/rpn";
import { beforeAll, describe, expect, it } from "vitest";
import { webgpuBackend } from "../src/index.ts";
import { startWebgpu } from "../src/node.ts";

const sizes: readonly ImageSize[] = [
  { height: 120, width: 200 },
  { height: 90, width: 70 },
];

function randomBoxes(count: number, random: Random, largest: number): Float32Array {
  const boxes = new Float32Array(4 * count);
  for (let i = 0; i < boxes.length; i += 4) {
    const [x, y] = [190 * random.uniform(), 110 * random.uniform()];
    boxes.set([x, y, x + 2 + largest * random.uniform(), y + 2 + largest * random.uniform()], i);
  }
  return boxes;
}

const normals = (count: number, random: Random, scale: number): Float32Array =>
  Float32Array.from({ length: count }, () => scale * random.normal());

function expectNear(own: ArrayLike<number>, want: ArrayLike<number>): void {
  expect(own.length).toBe(want.length);
  let worst = 0;
  for (let i = 0; i < own.length; i++) worst = Math.max(worst, Math.abs(own[i]! - want[i]!));
  expect(worst).toBeLessThan(2e-4);
}

describe.skipIf(!backendState("webgpu").available)("what the device chooses", () => {
  beforeAll(() => startWebgpu());

  const levelCounts = [3000, 700, 90, 12];
  const count = levelCounts.reduce((sum, n) => sum + n, 0);
  const base: ProposalConfig = { preNmsTopK: 500, postNmsTopK: 300, nmsThreshold: 0.7 };

  it.each<[string, ProposalConfig]>([
    ["above 1000 boxes, so that levels are compared where they lie", base],
    ["up to 1000 boxes, so that levels are shifted apart", { ...base, preNmsTopK: 200 }],
    [
      "all of them, with a low threshold",
      { ...base, preNmsTopK: 2000, postNmsTopK: 4000, nmsThreshold: 0.3 },
    ],
    ["few", { ...base, preNmsTopK: 40, postNmsTopK: 7 }],
    ["of any size above 0", { ...base, minSize: 2 ** -149 }],
    ["of a least size and score", { ...base, minSize: 12, scoreThreshold: 0.6 }],
    [
      "suppressed by logits, with weights, separate",
      { ...base, suppressBy: "logit", weights: [10, 10, 5, 5], suppression: "separate" },
    ],
  ])("proposals: %s", async (_, config) => {
    const random = createRandom(11);
    const anchors = randomBoxes(count, random, 60);
    const output: RpnOutput = {
      objectness: tensor2d(normals(2 * count, random, 3), [2, count]),
      deltas: tensor3d(normals(2 * count * 4, random, 0.4), [2, count, 4]),
      levelCounts,
    };
    const want = await selectProposals(output, anchors, sizes, config);
    const tensors = memory().numTensors;
    const found = selectProposalsOnDevice(output, anchors, sizes, config)!;
    const backend = webgpuBackend();
    backend.resetTraffic();
    const own = await readRois(found);
    expect(backend.traffic.readbacks).toBe(1);
    expect([...own.imageIndex]).toEqual([...want.imageIndex]);
    expectNear(own.boxes, want.boxes);
    expect(want.imageIndex.length).toBeGreaterThan(10);
    found.boxes.dispose();
    expect(memory().numTensors).toBe(tensors);
    for (const tensor of [output.objectness, output.deltas] as Tensor[]) tensor.dispose();
  });

  it("proposals: equal logits come in the order of the anchors, and an image may have none", async () => {
    const anchors = Float32Array.from({ length: 400 }, (__, i) => 20 * Math.floor(i / 4) + (i & 2 ? 10 : 0));
    const output: RpnOutput = {
      objectness: tensor2d(
        Array.from({ length: 200 }, (__, i) => (i < 100 ? 1 : -20)),
        [2, 100],
      ),
      deltas: tensor3d(new Float32Array(800), [2, 100, 4]),
      levelCounts: [60, 40],
    };
    const config = { ...base, scoreThreshold: 0.01 };
    const large = sizes.map(() => ({ height: 5000, width: 5000 }));
    const found = selectProposalsOnDevice(output, anchors, large, config)!;
    const own = await readRois(found);
    expect([...own.imageIndex]).toEqual(Array.from({ length: 100 }, () => 0));
    expect([...own.boxes]).toEqual([...anchors]);
    found.boxes.dispose();
  });

  const perImage = 150;
  const classes = 7;
  const detection: DetectionConfig = { scoreThreshold: 0.05, nmsThreshold: 0.5, maxDetections: 100 };

  // As many RoIs for each image, the last thirty of the second are none.
  function boxHead(random: Random, scale: number) {
    const boxes = randomBoxes(2 * perImage, random, 80);
    boxes.fill(-1, 4 * (2 * perImage - 30));
    const imageIndex = Int32Array.from({ length: 2 * perImage }, (__, row) => Math.trunc(row / perImage));
    const logits = normals(2 * perImage * classes, random, scale);
    const deltas = normals(2 * perImage * classes * 4, random, 1);
    const real = 2 * perImage - 30;
    const part = (rows: number) => ({
      classLogits: tensor2d(logits.subarray(0, rows * classes), [rows, classes]),
      deltas: tensor2d(deltas.subarray(0, rows * classes * 4), [rows, classes * 4]),
    });
    const onHost: Rois = { boxes: boxes.subarray(0, 4 * real), imageIndex: imageIndex.subarray(0, real) };
    return {
      whole: part(2 * perImage),
      part: part(real),
      onDevice: { boxes: tensor2d(boxes, [2 * perImage, 4]), imageIndex },
      onHost,
    };
  }

  it.each<[string, DetectionConfig, number, number]>([
    ["as torchvision's", detection, 2, 1],
    ["as detectron2's", { ...detection, firstLabel: 0, nmsThreshold: 0.3 }, 2, 1],
    [
      "a score at the threshold counts",
      { ...detection, inclusiveThreshold: true, scoreThreshold: 0.2, suppression: "separate" },
      2,
      1,
    ],
    ["none", { ...detection, scoreThreshold: 0.9999 }, 0.1, 1],
    [
      "more candidates than there is room for, best ones enough",
      { ...detection, scoreThreshold: 0, nmsThreshold: 0.6, maxDetections: 50 },
      2,
      1,
    ],
    ["few, of a least size", { ...detection, maxDetections: 3, minSize: 40 }, 2, 1],
  ])("detections: %s", async (_, config, scale, waits) => {
    const { whole, part, onDevice, onHost } = boxHead(createRandom(5), scale);
    const want = await selectDetections(part, onHost, sizes, config);
    const backend = webgpuBackend();
    backend.resetTraffic();
    const own = await selectDetections(whole, onDevice, sizes, config);
    expect(backend.traffic.readbacks).toBe(waits);
    for (const [i, found] of own.entries()) {
      expect([...found.labels]).toEqual([...want[i]!.labels]);
      expectNear(found.scores, want[i]!.scores);
      expectNear(found.boxes, want[i]!.boxes);
    }
  });

  it("detections: where there is no room for candidates that might count, the host chooses", async () => {
    // 450 RoIs a class that all lie on one box: 3000 candidates, of which suppression leaves one of each class.
    const rows = 500;
    const imageIndex = new Int32Array(rows);
    const boxes = Float32Array.from({ length: 4 * rows }, (__, i) => [10, 10, 50, 60][i & 3]!);
    const random = createRandom(9);
    const output = {
      classLogits: tensor2d(normals(rows * classes, random, 0.1), [rows, classes]),
      deltas: tensor2d(new Float32Array(rows * classes * 4), [rows, classes * 4]),
    };
    const config = { ...detection, scoreThreshold: 0.01 };
    const want = await selectDetections(output, { boxes, imageIndex }, [sizes[0]!], config);
    const own = await selectDetections(
      output,
      { boxes: tensor2d(boxes, [rows, 4]), imageIndex },
      [sizes[0]!],
      config,
    );
    expect(want[0]!.labels.length).toBe(classes - 1);
    expect(own).toEqual(want);
  });
});
