import { decodeImage } from "@mrcnn/datasets/node";
import type { Detections } from "@mrcnn/core";
import type { Numerics } from "@mrcnn/model";
import { describe, expect, it } from "vitest";
import { overlayPng } from "../src/overlay.ts";

const size = { height: 512, width: 512 }; // not enlarged
const image = { ...size, data: new Uint8Array(512 * 512 * 3).fill(100) };

/** A person whose keypoints all lie at (300, 400), but for the left hip and knee: their middle is (256, 200). */
const person = (score: number, count = 17): Detections => {
  const points = Float32Array.from({ length: count * 3 }, (_, i) => [300, 400, 1][i % 3]!);
  points.set([206, 200], 3 * 11);
  points.set([306, 200], 3 * 13);
  return {
    imageSize: size,
    boxes: Float32Array.of(10, 10, 500, 500),
    labels: Int32Array.of(1),
    scores: Float32Array.of(1),
    keypoints: { count, points, scores: new Float32Array(count).fill(score) },
  };
};
const limb = async (detections: Detections, numerics?: Numerics): Promise<number[]> => {
  const { data, width } = await decodeImage(
    await overlayPng(image, detections, [{ id: 1, name: "person" }], numerics),
    "overlay",
  );
  return [...data.subarray((200 * width + 256) * 3, (200 * width + 256) * 3 + 3)];
};
const gray = [100, 100, 100];

describe("overlayPng", () => {
  it("joins a person's keypoints as COCO does", async () => {
    const [red, green, blue] = await limb(person(3));
    expect(green! > red! + 50 && green! > blue! + 50).toBe(true); // a left thigh
    expect(await limb(person(3, 16))).toEqual(gray); // not COCO's person
  });
  it("hides logits below 0, and probabilities below 0.05", async () => {
    expect(await limb(person(-0.01))).toEqual(gray);
    expect(await limb(person(0.04), "torchvision")).not.toEqual(gray);
    expect(await limb(person(0.04), "detectron2")).toEqual(gray);
    expect(await limb(person(0.06), "detectron2")).not.toEqual(gray);
  });
});

describe("an overlay's words", () => {
  const found: Detections = {
    imageSize: size,
    boxes: Float32Array.of(100, 100, 300, 300),
    labels: Int32Array.of(2),
    scores: Float32Array.of(0.9),
  };
  const drawn = async (...names: string[]): Promise<string> =>
    Buffer.from(
      await overlayPng(
        image,
        found,
        names.map((name, i) => ({ id: i + 1, name })),
      ),
    ).toString("base64");

  it("name the label's class, and no other", async () => {
    const right = await drawn("cat", "dog", "cow");
    expect(await drawn("hen", "dog", "ant")).toBe(right);
    for (const names of [
      ["dog", "cat", "cow"],
      ["cat", "cow", "dog"],
    ])
      expect(await drawn(...names)).not.toBe(right);
  });
});
