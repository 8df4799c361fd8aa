// What a file's metadata may say wrongly: told before any model is built.
import { describe, expect, it } from "vitest";
import { isMrcnnError } from "@mrcnn/core";
import type { SourceWeights } from "@mrcnn/weights";
import { createPretrained } from "../src/pretrained.ts";

const bias = "roi_heads.box_predictor.cls_score.bias";
const weightsWith = (
  metadata: Record<string, string>,
  source: SourceWeights["source"] = "mrcnn",
): SourceWeights => ({
  format: "safetensors",
  source,
  norm: "frozen_batch_norm",
  arrays: new Map([[bias, { shape: [3], data: new Float32Array(3) }]]),
  metadata: { format: "mrcnn", ...metadata },
});

function refusal(weights: SourceWeights): string {
  try {
    createPretrained(weights, { where: "w.safetensors" }).model.dispose();
  } catch (error) {
    expect(isMrcnnError(error, "weights"), String(error)).toBe(true);
    return (error as Error).message;
  }
  return "";
}

describe("metadata of weights", () => {
  it.each(["config", "categories"])("that are wrong under %s name the file, in one short message", (name) => {
    const values = [
      "",
      "{",
      "[",
      "nul",
      "\0\0\0",
      "[".repeat(50_000),
      "null",
      "true",
      "7",
      '"text"',
      "[]",
      "[null]",
      "[1, 2]",
      '[{"id": [1], "name": "a"}, {"id": 2, "name": "b"}]',
      '[{"id": 1}, {"id": 2}]',
      '{"classes": 7}',
      '{"classes": [null]}',
      '{"classes": ["a", "b"], "box": {"scoreThreshold": "0.5"}}',
      '{"classes": ["a", "b"], "image": [[[{}]]]}',
      JSON.stringify(Array.from({ length: 3000 }, () => ({}))),
    ];
    for (const text of values) {
      const message = refusal(weightsWith({ [name]: text }));
      expect(message, text.slice(0, 60)).toMatch(
        new RegExp(`^w\\.safetensors: its metadata's ${name}(:| must be)`),
      );
      expect(message).toMatch(/Convert the weights anew\.$/);
      expect(message.length).toBeLessThan(1200);
    }
  });

  it("whose categories are others than its config's are refused, not taken for the one or the other", () => {
    const config = JSON.stringify({ classes: ["cat", "dog"] });
    for (const names of [["dog", "cat"], ["cat"], ["cat", "dog", "cow"]]) {
      const categories = JSON.stringify(names.map((name, i) => ({ id: i + 1, name })));
      expect(refusal(weightsWith({ config, categories }))).toBe(
        `w.safetensors: its metadata's categories are ${names.map((name) => `"${name}"`).join(", ")}, but those of its config "cat", "dog". Give the names as classes, or convert the weights anew.`,
      );
    }
  });

  it("that name a library which is none are refused, not taken for torchvision's", () => {
    for (const [name, value] of [
      ["numerics", "tensorflow"],
      ["numerics", "null"],
      ["source", "Torchvision"],
      ["source", "null"],
    ] as const) {
      expect(refusal(weightsWith({ [name]: value }))).toContain(
        `its metadata's ${name} must be one of torchvision, detectron2, matterport`,
      );
    }
  });

  it.each([["mrcnn"], ["detectron2"]] as const)(
    "of %s whose input is normalised by no three numbers are refused, not taken for ImageNet's",
    (source) => {
      for (const [name, value] of [
        ["pixel_mean", "[1, 2]"],
        ["pixel_mean", '[1, 2, "3"]'],
        ["pixel_mean", "null"],
        ["pixel_mean", "7"],
        ["pixel_mean", "[1,"],
        ["pixel_std", "[1, 1, 0]"],
        ["pixel_std", "[1, 1, -2]"],
        ["pixel_std", "[1, 1, 1e999]"],
      ] as const) {
        expect(refusal(weightsWith({ [name]: value }, source)), value).toMatch(
          new RegExp(`^w\\.safetensors: its metadata's ${name} must be`),
        );
      }
    },
  );
});
