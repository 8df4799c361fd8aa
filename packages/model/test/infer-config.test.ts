import { ConfigError } from "@mrcnn/core";
import type { HostArray } from "@mrcnn/core";
import { describe, expect, it } from "vitest";
import { inferMaskRcnnConfig, maskRcnnConfig, weightShapes } from "../src/index.ts";
import type { InferOptions, MaskRcnnOptions } from "../src/index.ts";

const narrow = {
  backbone: { width: 8, eps: 0 },
  fpn: { channels: 8 },
  box: { representation: 12 },
  maskHead: { layers: [8], channels: 8 },
} as const;
const made = (options: Omit<MaskRcnnOptions, "classes"> = {}) =>
  maskRcnnConfig({ classes: ["class 1", "class 2"], ...narrow, ...options });
const arraysOf = (config = made()): Map<string, HostArray> =>
  new Map(
    [...weightShapes(config)].map(([name, shape]) => [
      name,
      { shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) },
    ]),
  );
const infer = (options: Partial<InferOptions> = {}, config = made()) =>
  inferMaskRcnnConfig(arraysOf(config), {
    numerics: "torchvision",
    norm: config.backbone.norm,
    where: "w.pth",
    ...options,
  });

describe("what is assumed", () => {
  it("is told with its value, as far as nobody says it", () => {
    const { config, assumed } = infer();
    expect(config).toEqual(made());
    expect(assumed).toEqual([
      'numerics="torchvision"',
      "anchors.sizes=[[32],[64],[128],[256],[512]]",
      "anchors.aspectRatios=[0.5,1,2]",
      "backbone.eps=0",
      "backbone.strideIn1x1=false",
      'image.channelOrder="rgb"',
      "image.mean=[0.485,0.456,0.406]",
      "image.std=[0.229,0.224,0.225]",
      "image.minSize=800",
      "image.maxSize=1333",
    ]);
  });

  it("is not what the file or the caller says", () => {
    const sizes = [[16], [32], [64], [128], [256]];
    const { config, assumed } = infer({
      stated: { anchors: { sizes, aspectRatios: [0.5, 1, 2] } },
      config: { numerics: "torchvision", backbone: { eps: 1e-5 }, image: { minSize: 400 } },
    });
    expect([config.anchors.sizes, config.backbone.eps, config.image.minSize]).toEqual([sizes, 1e-5, 400]);
    expect(assumed.join(" ")).not.toMatch(/anchors|eps|numerics|minSize/);
    expect(
      infer({
        config: { anchors: { sizes: [[1], [2], [3], [4], [5]] } },
        stated: { anchors: { sizes, aspectRatios: [1, 2, 3] } },
      }).config.anchors,
    ).toEqual({ sizes: [[1], [2], [3], [4], [5]], aspectRatios: [1, 2, 3] });
  });

  it("has the groups of group norms, in the backbone and elsewhere", () => {
    const grouped = made({
      backbone: { width: 16, groups: 16, norm: "group_norm" },
      fpn: { channels: 16, norm: "group_norm", groups: 16 },
    });
    const { config, assumed } = infer(
      { norm: "group_norm", config: { backbone: { groups: 16 }, fpn: { groups: 8 } } },
      grouped,
    );
    expect([config.backbone.groups, config.fpn.groups]).toEqual([16, 8]);
    expect(assumed.join(" ")).not.toMatch(/groups/);
    expect(() => infer({ norm: "group_norm" }, grouped)).toThrow(
      "backbone.width must be a multiple of backbone.groups, got 16 and 32",
    );
    const wide = made({ backbone: { width: 32, norm: "group_norm" } });
    expect(infer({ norm: "group_norm" }, wide).assumed).toContain("backbone.groups=32");
  });
});

describe("what contradicts the weights, or can't be", () => {
  it.each<[InferOptions["config"], RegExp]>([
    [
      { backbone: { depth: 101 } },
      /^w\.pth: --set: backbone\.depth is 101, but these weights have 50\. Leave it out\./,
    ],
    [{ box: { representation: 1024 } }, /box\.representation is 1024, but these weights have 12/],
    [{ mask: false }, /mask is false, but these weights have true/],
    [
      { anchors: { aspectRatios: [1, 2] } },
      /3 anchors per location where anchors\.sizes x anchors\.aspectRatios make 1 x 2 = 2\. .*say anchors\.sizes and anchors\.aspectRatios \(--set\)/,
    ],
    [
      { backbone: { epss: 1 } as never },
      /^w\.pth: --set: backbone\.epss is not a known key\. Did you mean "eps"\?/,
    ],
    [{ image: { minSize: 2000 } }, /image\.minSize must be at most image\.maxSize, got 2000 and 1333/],
  ])("%j is refused", (config, message) => {
    const call = () => infer({ config, configName: "--set" });
    expect(call).toThrow(message);
    if (!/anchors/.test(JSON.stringify(config))) expect(call).toThrow(ConfigError);
  });
});
