import type { HostArray } from "@mrcnn/core";
import { describe, expect, it } from "vitest";
import { assertWeightsFit, assertWeightsSound, maskRcnnConfig, weightShapes } from "../src/index.ts";
import type { MaskRcnnOptions } from "../src/index.ts";

const configOf = (options: Omit<MaskRcnnOptions, "classes"> = {}) =>
  maskRcnnConfig({
    classes: ["cat"],
    backbone: { width: 8, depth: 18, eps: 0, ...options.backbone },
    fpn: { channels: 8, norm: "batch_norm", ...options.fpn },
    box: { representation: 12 },
    maskHead: { layers: [8], channels: 8 },
  });

// Weights one can compute with: everything 0.1, variances 1.
function soundWeights(config = configOf()): Map<string, HostArray> {
  return new Map(
    [...weightShapes(config)].map(([name, shape]) => [
      name,
      {
        shape,
        data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(name.endsWith("running_var") ? 1 : 0.1),
      },
    ]),
  );
}

describe("assertWeightsSound", () => {
  it("takes weights one can compute with, of a model or a part of it", () => {
    assertWeightsSound(configOf(), soundWeights(), "w.pth");
    assertWeightsSound(configOf(), new Map([...soundWeights()].slice(3, 4)), "w.pth");
    // The least normal variance, and 0 where eps keeps the norm from dividing by it.
    const weights = soundWeights();
    weights.get("backbone.body.bn1.running_var")!.data[2] = 2 ** -126;
    weights.get("backbone.fpn.inner_blocks.0.1.running_var")!.data[2] = 0;
    assertWeightsSound(configOf(), weights, "w.pth");
  });

  it.each<[string, number, RegExp]>([
    [
      "rpn.head.cls_logits.bias",
      NaN,
      /^w\.pth: rpn\.head\.cls_logits\.bias holds NaN at place 1, .*diverged/,
    ],
    [
      "backbone.body.conv1.weight",
      Infinity,
      /^w\.pth: backbone\.body\.conv1\.weight holds Infinity at place 1, .*65504: save the weights in float32/,
    ],
    ["roi_heads.mask_predictor.conv5_mask.weight", -Infinity, /conv5_mask\.weight holds -Infinity/],
    ["backbone.body.layer2.1.bn2.running_mean", NaN, /layer2\.1\.bn2\.running_mean holds NaN/],
    // What float16 makes of 2e-9, the least it holds being 6e-8.
    [
      "backbone.body.layer1.0.bn1.running_var",
      0,
      /^w\.pth: backbone\.body\.layer1\.0\.bn1\.running_var holds 0 .*the norm's eps is 0: the file lost it in half precision\. Save it in float32, .*backbone\.eps 0\.00001/,
    ],
    ["backbone.body.layer1.0.bn1.running_var", 1e-40, /running_var holds 9\.9\d*e-41 .*eps is 0/],
    ["backbone.body.layer1.0.bn1.running_var", -0.5, /running_var holds -0\.5 .*never negative/],
    [
      "backbone.fpn.inner_blocks.0.1.running_var",
      -1e-5,
      /inner_blocks\.0\.1\.running_var holds -0\.0000\d* .*never negative/,
    ],
    // Finite, but not what the norm multiplies by: float32 ends at 3.4e38.
    [
      "backbone.body.layer1.0.bn1.weight",
      3e38,
      /layer1\.0\.bn1 has the variance 1e-4|layer1\.0\.bn1 has the variance/,
    ],
  ])("names %s that holds %d", (name, value, message) => {
    const weights = soundWeights();
    weights.get(name)!.data[1] = value;
    if (name.endsWith("bn1.weight")) weights.get("backbone.body.layer1.0.bn1.running_var")!.data[1] = 1e-4;
    expect(() => assertWeightsSound(configOf(), weights, "w.pth")).toThrow(message);
  });

  it("goes by the eps of mask and box heads, and says what each norm has that can't be computed with", () => {
    const norms = {
      maskHead: { layers: [8], channels: 8, norm: "batch_norm" as const, eps: 0 },
      box: { representation: 12, layers: [8], norm: "batch_norm" as const, eps: 0 },
    };
    const config = maskRcnnConfig({
      classes: ["cat"],
      backbone: { width: 8, depth: 18 },
      fpn: { channels: 8 },
      ...norms,
    });
    for (const [norm, path] of [
      ["roi_heads.mask_head.", "maskHead.eps"],
      ["roi_heads.box_head.", "box.eps"],
    ] as const) {
      const weights = soundWeights(config);
      const name = [...weights.keys()].find((one) => one.startsWith(norm) && one.endsWith("running_var"))!;
      weights.get(name)!.data[3] = 0;
      expect(() => assertWeightsSound(config, weights, "w.pth")).toThrow(
        `w.pth: ${name} holds 0 (place 3) and the norm's eps is 0: the file lost it in half precision.`,
      );
      expect(() =>
        assertWeightsSound(config, weights, "w.pth", (at, value) => `--set ${at}=${String(value)}`),
      ).toThrow(`say so: --set ${path}=0.00001.`);
    }
    // A variance and a weight that are numbers, whose quotient is none; the mean takes part too.
    const weights = soundWeights();
    const norm = "backbone.body.layer1.0.bn1";
    const set = (part: string, value: number): void => void (weights.get(`${norm}.${part}`)!.data[1] = value);
    set("running_var", 2 ** -100);
    set("weight", 2);
    set("running_mean", 2 ** 100);
    const words = `w.pth: ${norm} has the variance ${2 ** -100}, the weight 2 and the mean ${2 ** 100} (place 1) and the norm's eps is`;
    expect(() => assertWeightsSound(configOf(), weights, "w.pth")).toThrow(
      `${words} 0: the file lost it in half precision.`,
    );
    assertWeightsSound(configOf({ backbone: { eps: 1e-5 } }), weights, "w.pth");
    set("running_var", 0);
    set("weight", 2 ** 120);
    expect(() => assertWeightsSound(configOf({ backbone: { eps: 1e-10 } }), weights, "w.pth")).toThrow(
      /has the variance 0, the weight 1\.3\d*e\+36 and the mean 1\.2\d*e\+30 \(place 1\) and the norm's eps is 1e-10: nothing can be computed with that, so the file is damaged, or the training diverged\. Take another checkpoint\./,
    );
    // Without weight and mean, as of a part of a model, they are 1 and 0.
    assertWeightsSound(
      configOf(),
      new Map([[`${norm}.running_var`, { shape: [2], data: new Float32Array([2 ** -100, 1]) }]]),
      "w.pth",
    );
  });

  it("goes by the eps that the config says of each part", () => {
    const weights = soundWeights();
    weights.get("backbone.body.bn1.running_var")!.data[0] = 0;
    assertWeightsSound(configOf({ backbone: { eps: 1e-5 } }), weights, "w.pth");
    weights.get("backbone.fpn.layer_blocks.3.1.running_var")!.data[7] = 0;
    assertWeightsSound(configOf({ backbone: { eps: 1e-5 } }), weights, "w.pth");
    expect(() =>
      assertWeightsSound(configOf({ backbone: { eps: 1e-5 }, fpn: { eps: 0 } }), weights, "w.pth"),
    ).toThrow(/layer_blocks\.3\.1\.running_var holds 0 \(place 7\).*fpn\.eps/);
  });
});

describe("assertWeightsFit", () => {
  it("lists what is missing, unexpected, and of another shape, and what to do", () => {
    const weights = soundWeights();
    assertWeightsFit(configOf(), weights, "w.pth", "Do this.");
    weights.delete("rpn.head.cls_logits.bias");
    weights.set("rpn.head.extra", { shape: [1], data: new Float32Array(1) });
    weights.set("backbone.body.conv1.weight", { shape: [7, 7, 3, 9], data: new Float32Array(7 * 7 * 3 * 9) });
    expect(() => assertWeightsFit(configOf(), weights, "w.pth", "Do this.")).toThrow(
      /^w\.pth: the weights must fit the model's \d+ tensors: missing rpn\.head\.cls_logits\.bias; unexpected rpn\.head\.extra; of the wrong shape backbone\.body\.conv1\.weight \(needs \[7, 7, 3, 8\], got \[7, 7, 3, 9\]\)\. Do this\.$/,
    );
  });
});
