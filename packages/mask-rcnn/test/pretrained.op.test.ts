import { memory } from "@tensorflow/tfjs-core";
import { createRandom } from "@mrcnn/core";
import type { HostArray, Random } from "@mrcnn/core";
import type { MaskRcnnOptions } from "@mrcnn/model";
import { toArrays } from "@mrcnn/weights";
import type { SourceWeights } from "@mrcnn/weights";
import { beforeAll, describe, expect, it } from "vitest";
import { catalogEntry } from "../src/catalog.ts";
import { anchorsOfCells } from "../src/cell-anchors.ts";
import { createPretrained, haveNames } from "../src/pretrained.ts";
import type { Pretrained, PretrainedOptions } from "../src/pretrained.ts";
import { narrowModel } from "./narrow.ts";

async function weightsOf(
  classes: number,
  options: Omit<MaskRcnnOptions, "classes"> = {},
  rest: Partial<SourceWeights> = {},
): Promise<SourceWeights> {
  const model = narrowModel(classes, options);
  const arrays = await toArrays(model.variables);
  model.dispose();
  return {
    format: "torch",
    source: "torchvision",
    norm: model.config.backbone.norm,
    arrays,
    metadata: {},
    ...rest,
  };
}

// What came out, the model left out of memory.
function opened(
  weights: SourceWeights,
  options: Partial<PretrainedOptions> = {},
): Omit<Pretrained, "model"> & { readonly config: Pretrained["model"]["config"] } {
  const { model, ...rest } = createPretrained(weights, { where: "w.pth", ...options });
  model.dispose();
  return { ...rest, config: model.config };
}

describe("names of classes", () => {
  it.each([
    ["torchvision", 1],
    ["torchvision", 90],
    ["detectron2", 1],
    ["detectron2", 80],
    ["matterport", 80],
  ] as const)("are not guessed from their number: %s, %d", async (source, count) => {
    const { categories, config } = opened(
      await weightsOf(
        count,
        { numerics: source, backbone: { depth: 18, norm: "frozen_batch_norm" } },
        { source },
      ),
    );
    expect(categories).toEqual(
      Array.from({ length: count }, (_, i) => ({ id: i + 1, name: `class ${i + 1}` })),
    );
    expect(config.classes[0]).toBe("class 1");
    expect(haveNames(categories)).toBe(false);
  });

  it("come from whoever knows the model: the caller, the file, the catalog", async () => {
    const one = await weightsOf(1);
    expect(opened(one, { classes: ["balloon"] }).categories).toEqual([{ id: 1, name: "balloon" }]);
    expect(opened(one, { config: { classes: ["balloon"] } }).config.classes).toEqual(["balloon"]);
    const saying = {
      ...one,
      source: "mrcnn",
      metadata: { format: "mrcnn", numerics: "torchvision", categories: '[{"id":7,"name":"balloon"}]' },
    } as const;
    expect(opened(saying).categories).toEqual([{ id: 7, name: "balloon" }]);
    expect(opened(saying, { classes: ["kite"] }).categories).toEqual([{ id: 1, name: "kite" }]);
    const person = await weightsOf(1, {
      mask: false,
      keypoints: catalogEntry("keypointrcnn_resnet50_fpn").keypoints!.names,
    });
    const entry = catalogEntry("keypointrcnn_resnet50_fpn");
    expect(opened(person, { entry }).categories).toEqual([{ id: 1, name: "person" }]);
    expect(opened(person, { entry }).config.keypoints).toEqual(entry.keypoints!.names);
    // Seventeen of somebody's own are no nose and eyes.
    expect(opened(person).config.keypoints[0]).toBe("keypoint 1");
  });

  it("of another number are refused, with both numbers", async () => {
    const two = await weightsOf(2);
    expect(() =>
      opened(two, { classes: ["a", "b", "c"], names: { config: "--set", classes: "--classes" } }),
    ).toThrow(
      "w.pth: the weights tell 2 classes apart, 3 names were given. Give 2 as --classes, label 1 first; the background has no name.",
    );
    expect(() => opened(two, { config: { classes: ["a"] } })).toThrow(
      "the weights tell 2 classes apart, 1 names were given",
    );
    const metadata = { format: "mrcnn", categories: '[{"id":1,"name":"a"}]' };
    expect(() => opened({ ...two, source: "mrcnn", metadata })).toThrow(
      "the weights tell 2 classes apart, but its metadata names 1",
    );
    expect(() => opened(two, { classes: ["a", "a"] })).toThrow('classes must differ, got "a" twice');
  });
});

describe("what weights can't tell", () => {
  it("is told where it was assumed, and not where it is known", async () => {
    const weights = await weightsOf(2);
    expect(opened(weights).assumed).toContain("backbone.eps=0");
    expect(opened(weights, { config: { backbone: { eps: 1e-5 } } }).assumed.join()).not.toContain("eps");
    expect(
      opened(weights, { entry: catalogEntry("maskrcnn_resnet50_fpn"), published: true }).assumed,
    ).toEqual([]);
    const { config } = opened(weights);
    const own = {
      ...weights,
      source: "mrcnn",
      metadata: { format: "mrcnn", config: JSON.stringify(config) },
    } as const;
    expect(opened(own).assumed).toEqual([]);
    expect(opened(own, { config: { backbone: { eps: 0.5 } } }).config.backbone.eps).toBe(0.5);
  });

  it("is said about files that say it, too, and not against their weights", async () => {
    const weights = await weightsOf(2);
    const { config } = opened(weights);
    const own = {
      ...weights,
      source: "mrcnn",
      metadata: { format: "mrcnn", config: JSON.stringify(config) },
    } as const;
    expect(() => opened(own, { config: { backbone: { depth: 101 } } })).toThrow(
      /^w\.pth: the weights must fit .*Leave out of config what weights tell themselves/,
    );
    expect(() => opened(own, { config: { backbone: { eps: -1 } } })).toThrow(
      /^w\.pth: config: backbone\.eps/,
    );
  });

  // detectron2's generate_cell_anchors: of each size, for each ratio, w = sqrt(size² / ratio), h = ratio w.
  const cells = (sizes: readonly (readonly number[])[], ratios: readonly number[]): number[][][] =>
    sizes.map((level) =>
      level.flatMap((size) =>
        ratios
          .map((ratio) => [Math.sqrt(size ** 2 / ratio), ratio * Math.sqrt(size ** 2 / ratio)])
          .map(([w, h]) => [-w! / 2, -h! / 2, w! / 2, h! / 2].map(Math.fround)),
      ),
    );

  it.each([
    [
      [[32], [64], [128], [256], [512]],
      [0.5, 1, 2],
    ],
    [
      [[8], [16], [32], [64], [128]],
      [0.5, 1, 2],
    ],
    [
      [
        [12.5, 20],
        [31, 50],
        [63, 99.75],
        [127, 200],
        [255, 400],
      ],
      [0.25, 1, 4],
    ],
    [[[32, 64, 128, 256, 512]], [0.5, 1, 2]],
    [
      [
        [10, 11],
        [21, 22],
      ],
      [1],
    ],
  ])("are anchors, which a file of detectron2 carries: %j, %j", (sizes, aspectRatios) => {
    expect(anchorsOfCells(cells(sizes, aspectRatios), "w.pth")).toEqual({ sizes, aspectRatios });
  });

  it("takes anchors of a third, as float32 has it", () => {
    const { aspectRatios } = anchorsOfCells(cells([[32]], [1 / 3, 3]), "w.pth");
    expect(aspectRatios[0]).toBeCloseTo(1 / 3, 6);
    expect(aspectRatios[1]).toBe(3);
  });

  it("uses the anchors of the file, unless others are said", async () => {
    const options = { numerics: "detectron2", backbone: { depth: 50 } } as const;
    const weights = await weightsOf(1, options, {
      source: "detectron2",
      metadata: { cell_anchors: JSON.stringify(cells([[8], [16], [32], [64], [128]], [0.5, 1, 2])) },
    });
    const { config, assumed } = opened(weights);
    expect(config.anchors).toEqual({ sizes: [[8], [16], [32], [64], [128]], aspectRatios: [0.5, 1, 2] });
    expect(assumed.join()).not.toContain("anchors");
    expect(
      opened(weights, { config: { anchors: { sizes: [[1], [2], [3], [4], [5]] } } }).config.anchors.sizes,
    ).toEqual([[1], [2], [3], [4], [5]]);
  });

  it.each<[string, unknown]>([
    ["no list", { a: 1 }],
    ["no levels", []],
    ["an empty level", [[]]],
    ["no boxes", [[1, 2, 3]]],
    ["NaN, which JSON has as null", [[[null, -1, 1, 1]]]],
    ["boxes beside the origin", [[[0, 0, 8, 8]]]],
    [
      "no grid",
      [
        [
          [-4, -4, 4, 4],
          [-4, -8, 4, 8],
          [-16, -16, 16, 16],
        ],
      ],
    ],
    ["ratios that differ", [[[-4, -4, 4, 4]], [[-4, -8, 4, 8]]]],
  ])("refuses anchors with %s", (_, value) => {
    expect(() => anchorsOfCells(value, "w.pth")).toThrow(/^w\.pth: its anchors \(cell_anchors\) /);
  });
});

describe("weights that nothing can be computed with", () => {
  it.each<[string, (arrays: Map<string, HostArray>) => void, RegExp]>([
    [
      "variances that half precision lost",
      (arrays) => void (arrays.get("backbone.body.layer1.0.bn1.running_var")!.data[3] = 0),
      /^w\.pth: backbone\.body\.layer1\.0\.bn1\.running_var holds 0 \(place 3\) and the norm's eps is 0: the file lost it in half precision\. Save it in float32/,
    ],
    [
      "NaN",
      (arrays) => void (arrays.get("rpn.head.bbox_pred.bias")!.data[0] = NaN),
      /^w\.pth: rpn\.head\.bbox_pred\.bias holds NaN/,
    ],
    [
      "what half precision makes of 1e5",
      (arrays) => void (arrays.get("roi_heads.mask_predictor.mask_fcn_logits.weight")!.data[0] = Infinity),
      /^w\.pth: roi_heads\.mask_predictor\.mask_fcn_logits\.weight holds Infinity/,
    ],
    [
      "a tensor that is not there",
      (arrays) => void arrays.delete("rpn.head.conv.0.0.bias"),
      /^w\.pth: the weights must fit .* missing rpn\.head\.conv\.0\.0\.bias/,
    ],
    [
      "a tensor of a size of its own",
      (arrays) =>
        void arrays.set("backbone.body.layer3.2.conv1.weight", {
          shape: [1, 1, 8, 8],
          data: new Float32Array(64),
        }),
      /of the wrong shape backbone\.body\.layer3\.2\.conv1\.weight/,
    ],
    [
      "no classes",
      (arrays) =>
        void arrays.set("roi_heads.box_predictor.cls_score.bias", { shape: [1], data: new Float32Array(1) }),
      /must tell the background and a class apart, got 1 values/,
    ],
  ])("%s are named, and leave nothing behind", async (_, damage, message) => {
    const weights = await weightsOf(2);
    damage(weights.arrays as Map<string, HostArray>);
    const before = memory().numTensors;
    for (const consume of [false, true])
      expect(() => opened({ ...weights, arrays: new Map(weights.arrays) }, { consume })).toThrow(message);
    expect(memory().numTensors).toBe(before);
  });

  it("are right again with the eps they were trained with", async () => {
    const weights = await weightsOf(2);
    weights.arrays.get("backbone.body.layer1.0.bn1.running_var")!.data[3] = 0;
    expect(opened(weights, { config: { backbone: { eps: 1e-5 } } }).config.backbone.eps).toBe(1e-5);
  });
});

const wild: readonly unknown[] = [
  0,
  -1,
  1e9,
  2 ** 31,
  2 ** 53,
  1e300,
  0.5,
  8000,
  1e5,
  null,
  "",
  "wide",
  true,
  [],
  {},
  [[]],
  [1e9],
  Array(1e4).fill(1e9),
  Array(300).fill([1]),
  { a: 1 },
  1e-300,
  -1e9,
];

// A value somewhere in a config, or in its place something else.
function spoil(value: unknown, random: Random): unknown {
  if (
    typeof value === "object" &&
    value !== null &&
    Object.keys(value).length > 0 &&
    random.uniform() < 0.85
  ) {
    const keys = Object.keys(value);
    const key = keys[random.int(keys.length)]!;
    const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...value }) as Record<string, unknown>;
    copy[key] = spoil(copy[key], random);
    return copy;
  }
  return typeof value === "number" && random.uniform() < 0.4 ?
      value * 10 ** (random.int(19) - 6)
    : wild[random.int(wild.length)];
}

describe("metadata that means no harm or does", () => {
  let weights: SourceWeights;
  let config: object;
  beforeAll(async () => {
    weights = await weightsOf(2, { backbone: { depth: 18, width: 4 } }, { source: "mrcnn" });
    ({ config } = opened({ ...weights, source: "torchvision" }));
  });

  // MRCNN_VARIATIONS=2000 for more of them.
  it("ends at once, in a model or an error that names the file", () => {
    const random = createRandom(17);
    const before = memory().numTensors;
    let refused = 0;
    const count = Number(process.env["MRCNN_VARIATIONS"] ?? 300);
    for (let n = 0; n < count; n++) {
      const part =
        random.uniform() < 0.9 ?
          { config: JSON.stringify(spoil(config, random)) }
        : {
            config: JSON.stringify(config),
            categories: JSON.stringify(
              spoil(
                [
                  { id: 1, name: "a" },
                  { id: 2, name: "b" },
                ],
                random,
              ),
            ),
          };
      try {
        opened({ ...weights, metadata: { format: "mrcnn", ...part } });
      } catch (error) {
        refused++;
        expect((error as Error).message).toMatch(/^w\.pth: /);
        expect((error as Error).message.length).toBeLessThan(2000);
        expect((error as { code?: string }).code).toMatch(/^(weights|config)$/);
      }
    }
    expect(refused).toBeGreaterThan(count / 2);
    expect(memory().numTensors).toBe(before);
  }, 120_000);

  it.each<[string, object]>([
    ["a billion wide", { box: { representation: 1e9 } }],
    [
      "within bounds, but not what the weights are",
      { box: { representation: 4096 }, fpn: { channels: 1024 } },
    ],
    ["of 64 convolutions", { rpn: { convs: 64 } }],
  ])("is refused before anything is allocated: %s", (_, over) => {
    const before = memory().numBytes;
    const merged = Object.fromEntries(
      Object.entries(config).map(([key, value]) => [
        key,
        { ...(value as object), ...(over as Record<string, object>)[key] },
      ]),
    );
    const stated = { ...config, ...Object.fromEntries(Object.keys(over).map((key) => [key, merged[key]])) };
    expect(() =>
      opened({ ...weights, metadata: { format: "mrcnn", config: JSON.stringify(stated) } }),
    ).toThrow(/^w\.pth: (its metadata's config: |the weights must fit )/);
    expect(memory().numBytes).toBe(before);
  });
});
