import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inflateSync } from "node:zlib";
import { createRandom } from "@mrcnn/core";
import { writeCheckpoint } from "@mrcnn/trainer/node";
import { assignWeights, toArrays, writeSafetensors } from "@mrcnn/weights";
import { tensor, tidy } from "@tensorflow/tfjs";
import type { Tensor4D } from "@tensorflow/tfjs";
import { createMaskRcnn, parseMaskRcnnConfig } from "@mrcnn/model";
import { describe, expect, it } from "vitest";
import { applyResnet, initResnet } from "../../../packages/backbones/src/index.ts";
import { flattenParams } from "../../../packages/nn/src/index.ts";
import { loadInitialWeights, readNpy } from "../src/initial-weights.ts";
import { temporaryFolder, tinyConfig, writeJson } from "./command.ts";

const folder = temporaryFolder();

// numpy's format 1.0: magic, version, header length, header, values.
function npy(shape: readonly number[], values: readonly number[], descr = "<f4"): Uint8Array {
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`;
  const header = text.padEnd(117) + "\n";
  return Buffer.concat([
    Buffer.from("\u0093NUMPY\u0001\u0000", "latin1"),
    Buffer.from(Uint16Array.of(118).buffer),
    Buffer.from(header, "latin1"),
    Buffer.from(Float32Array.from(values).buffer),
  ]);
}

const model = (norm: string): ReturnType<typeof createMaskRcnn> => {
  const { backbone, ...rest } = tinyConfig.model;
  return createMaskRcnn(
    parseMaskRcnnConfig({ ...rest, classes: ["a"], backbone: { ...backbone, norm } }, "test"),
    createRandom(0),
  );
};

describe("readNpy", () => {
  it("reads values and shape", () => {
    expect(readNpy(npy([2, 3], [1, 2, 3, 4, 5, 6]), "f")).toEqual({
      shape: [2, 3],
      data: Float32Array.of(1, 2, 3, 4, 5, 6),
    });
    expect(readNpy(npy([2], [1, 2]), "f").shape).toEqual([2]);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ["another type", npy([1], [1], "<f8"), /f: must hold float32/],
    ["a cut file", npy([4], [1, 2, 3, 4]).slice(0, -4), /f: must hold 4 values/],
    ["no .npy", new Uint8Array(64), /f: not a \.npy file/],
  ])("refuses %s", (_, bytes, message) => expect(() => readNpy(bytes, "f")).toThrow(message));
});

describe("loadInitialWeights", () => {
  const weights = join(folder, "weights");
  mkdirSync(weights);
  // conv1 of the tiny network: torch's [8, 3, 7, 7]; value = its place, so that the layout shows.
  writeFileSync(
    join(weights, "conv1.weight.npy"),
    npy(
      [8, 3, 7, 7],
      Array.from({ length: 8 * 3 * 49 }, (_, i) => i),
    ),
  );
  writeFileSync(join(weights, "conv1.bias.npy"), npy([8], [1, 2, 3, 4, 5, 6, 7, 8]));
  writeFileSync(join(weights, "fc.bias.npy"), npy([10], Array(10).fill(1)));

  it("puts convolutions in place, and folded biases into frozen norms that are otherwise the identity", async () => {
    const net = model("frozen_batch_norm");
    const { found } = await loadInitialWeights(net, weights);
    expect(found).toBe(5);
    const read = async (name: string): Promise<number[]> => [
      ...(await net.variables.get(`backbone.body.${name}`)!.data()),
    ];
    const conv = await read("conv1.weight");
    // [row 1, column 2, input 0, output 3] of HWIO is [3, 0, 1, 2] of torch's OIHW.
    expect(conv[((1 * 7 + 2) * 3 + 0) * 8 + 3]).toBe(((3 * 3 + 0) * 7 + 1) * 7 + 2);
    expect(await read("bn1.bias")).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(await read("bn1.weight")).toEqual(Array(8).fill(1));
    expect(await read("bn1.running_mean")).toEqual(Array(8).fill(0));
    expect(await read("bn1.running_var")).toEqual(Array(8).fill(1));
    net.dispose();
  });

  it("refuses values that nothing can be computed with, and names file and tensor", async () => {
    const net = model("frozen_batch_norm");
    const { variables } = net;
    for (const [name, values, message] of [
      [
        "backbone.body.bn1.running_var",
        [1, 1, -1, 1, 1, 1, 1, 1],
        /bad\.safetensors: backbone\.body\.bn1\.running_var holds -1 \(place 2\)/,
      ],
      ["rpn.head.cls_logits.bias", [NaN, 0, 0], /bad\.safetensors: rpn\.head\.cls_logits\.bias holds NaN/],
      [
        "backbone.body.bn1.weight",
        Array<number>(8).fill(Infinity),
        /bad\.safetensors: backbone\.body\.bn1\.weight holds Infinity/,
      ],
    ] as const) {
      const path = join(folder, "bad.safetensors");
      const spoiled = new Map([
        ...(await toArrays(variables)),
        [name, { shape: [values.length], data: Float32Array.from(values) }],
      ]);
      writeFileSync(path, writeSafetensors(spoiled, { format: "mrcnn" }));
      const before = [...(await variables.get(name)!.data())];
      await expect(loadInitialWeights(net, path)).rejects.toThrow(message);
      expect([...(await variables.get(name)!.data())]).toEqual(before);
    }
    net.dispose();
  });

  it("refuses a network they are of no use to", async () => {
    const net = model("group_norm");
    await expect(loadInitialWeights(net, weights)).rejects.toThrow(
      'Set model.backbone.norm to "frozen_batch_norm"',
    );
    net.dispose();
  });
});

interface Golden {
  readonly origin: string;
  /** base64 of zlib of what torch.save has written. */
  readonly file: string;
  readonly tensors: number;
  /** Sums of magnitudes of what each stage puts out. */
  readonly stages: readonly number[];
  /** [1, 2, 2, C], rows, columns, channels. */
  readonly c5: readonly number[];
}

type Backbone = Parameters<typeof initResnet>[0];

// resnet18 in the format before zip, without a wrapper; resnet50; resnext50 as a training script keeps it.
const classifiers: [string, Partial<Backbone>][] = [
  ["resnet18", { depth: 18 }],
  ["resnet50", { depth: 50 }],
  ["resnext50", { depth: 50, cardinality: 2, widthPerGroup: 32 }],
];

describe("loadInitialWeights of a classifier of torchvision", () => {
  const golden = (name: string): Golden =>
    JSON.parse(readFileSync(new URL(`golden/${name}.json`, import.meta.url), "utf8")) as Golden;
  const fileOf = (name: string): string => {
    const file = join(folder, `${name}.pth`);
    writeFileSync(file, inflateSync(Buffer.from(golden(name).file, "base64")));
    return file;
  };
  const modelOf = (backbone: object, more: object = {}): ReturnType<typeof createMaskRcnn> =>
    createMaskRcnn(
      parseMaskRcnnConfig(
        {
          ...tinyConfig.model,
          ...more,
          classes: ["a"],
          backbone: { width: 2, norm: "frozen_batch_norm", ...backbone },
        },
        "test",
      ),
      createRandom(0),
    );

  it.each(classifiers)("%s: the backbone then puts out what torchvision's does", async (name, backbone) => {
    const { tensors, stages, c5 } = golden(name);
    const net = modelOf(backbone);
    const { found, notes } = await loadInitialWeights(net, fileOf(name));
    // All but fc and the counts of batches.
    const counts = [...net.variables.keys()].filter((one) => one.endsWith("running_mean")).length;
    expect(found).toBe(tensors - 2 - counts);
    expect(notes[0]).toMatch(
      new RegExp(
        `^Initial weights: ${found} of ${net.variables.size} tensors from .*${name}\\.pth\\. At random begin backbone\\.fpn \\(16\\), rpn\\.head \\(6\\), `,
      ),
    );
    expect(notes[1]).toBe("The classifier's output layer (fc.weight, fc.bias) is left out.");

    const config = net.config.backbone as Backbone;
    const params = initResnet(config, createRandom(1));
    const body = new Map(
      [...net.variables].flatMap(([one, variable]) =>
        one.startsWith("backbone.body.") ? [[one.slice("backbone.body.".length), variable] as const] : [],
      ),
    );
    assignWeights(flattenParams(params), await toArrays(body));
    const maps = tidy(() => {
      const x = tensor(
        Float32Array.from({ length: 64 * 64 * 3 }, (_, i) => Math.sin(Math.fround(i) * Math.fround(0.37))),
        [1, 64, 64, 3],
      ) as Tensor4D;
      return [...applyResnet(params, config, x).values()];
    });
    const features = await Promise.all(maps.map(async (map) => Array.from(await map.data())));
    for (const map of maps) map.dispose();
    for (const [i, values] of features.entries())
      expect(values.reduce((sum, value) => sum + Math.abs(value), 0) / stages[i]!).toBeCloseTo(1, 3);
    const scale = Math.max(...c5.map(Math.abs));
    for (const [i, value] of features.at(-1)!.entries())
      expect(Math.abs(value - c5[i]!) / scale, `${i}`).toBeLessThan(1e-3);
    for (const variable of flattenParams(params).values()) variable.dispose();
    net.dispose();
  });

  it("puts the last stage into C4's head", async () => {
    const net = modelOf(
      { depth: 50 },
      { architecture: "c4", fpn: undefined, anchors: undefined, maskHead: { channels: 8, layers: [] } },
    );
    const { found } = await loadInitialWeights(net, fileOf("resnet50"));
    expect(found).toBe(
      [...net.variables.keys()].filter((name) => /^(backbone\.body|roi_heads\.layer4)\./.test(name)).length,
    );
    net.dispose();
  });

  it.each<[string, string, object, object, RegExp]>([
    [
      "of another depth",
      "resnet50",
      { depth: 101 },
      {},
      /resnet50\.pth: this is another ResNet than the model's backbone: .* is missing\. Set model\.backbone\.depth \(101 now\)/,
    ],
    ["of a lesser depth", "resnet18", { depth: 34 }, {}, /Set model\.backbone\.depth \(34 now\)/],
    ["of a greater depth", "resnet50", { depth: 18 }, {}, /Set model\.backbone\.depth \(18 now\)/],
    [
      "of another width",
      "resnet18",
      { depth: 18, width: 4 },
      {},
      /another ResNet .* the model's backbone\.body\.conv1\.weight is \[7, 7, 3, 4\], the file's \[7, 7, 3, 2\]/,
    ],
    ["of groups", "resnext50", { depth: 50 }, {}, /cardinality \(1\)/],
    [
      "with the stride elsewhere",
      "resnet50",
      { depth: 50, strideIn1x1: true },
      {},
      /set model\.backbone\.strideIn1x1=false \(true now\)/,
    ],
    [
      "with another eps",
      "resnet18",
      { depth: 18, eps: 0 },
      {},
      /set model\.backbone\.eps=0\.00001 \(0 now\)/,
    ],
    [
      "with pixels in another order",
      "resnet18",
      { depth: 18 },
      { image: { ...tinyConfig.model.image, channelOrder: "bgr" } },
      /set model\.image\.channelOrder=rgb \(bgr now\)/,
    ],
    [
      "with group norm",
      "resnet18",
      { depth: 18, norm: "group_norm", groups: 2 },
      {},
      /these weights have batch norm; a backbone with group_norm can't use them\. Set model\.backbone\.norm to "frozen_batch_norm" or "batch_norm"/,
    ],
  ])("refuses a model %s, saying what to set", async (_, name, backbone, more, message) => {
    const net = modelOf(backbone, more);
    const before = await toArrays(net.variables);
    await expect(loadInitialWeights(net, fileOf(name))).rejects.toThrow(message);
    expect(await toArrays(net.variables)).toEqual(before);
    net.dispose();
  });
});

describe("loadInitialWeights of a run", () => {
  it("takes the newest whole checkpoint, and says what begins at random", async () => {
    const run = join(folder, "run");
    const two = createMaskRcnn(
      parseMaskRcnnConfig({ ...tinyConfig.model, classes: ["a", "b"] }, "test"),
      createRandom(3),
    );
    const weights = await toArrays(two.variables);
    for (const step of [1, 2])
      await writeCheckpoint(join(run, "checkpoints"), { step, seed: 0, weights, optimizer: new Map() });
    writeJson(run, "config.json", {});
    writeFileSync(join(run, "checkpoints", "step-00000002", "weights.safetensors"), "");
    const net = model("group_norm");
    const { found, of, notes } = await loadInitialWeights(net, run);
    // Scores and deltas have a row a class, masks a channel.
    expect(of - found).toBe(6);
    expect(notes[0]).toBe(
      `Initial weights: ${found} of ${of} tensors from ${run}. At random begin roi_heads.box_predictor (4), roi_heads.mask_predictor (2). Not used of the file: roi_heads.box_predictor (4), roi_heads.mask_predictor (2).`,
    );
    expect(notes[1]).toMatch(/step-00000002\/weights\.safetensors.*Using .*step-00000001/);
    expect(await toArrays(new Map([["w", net.variables.get("backbone.body.conv1.weight")!]]))).toEqual(
      new Map([["w", weights.get("backbone.body.conv1.weight")]]),
    );
    two.dispose();
    net.dispose();
  });

  it("refuses weights of which nearly nothing fits, and a folder that is neither", async () => {
    const net = model("group_norm");
    const name = "roi_heads.mask_head.0.0.bias";
    const few = new Map([
      [name, { shape: [...net.variables.get(name)!.shape], data: new Float32Array(8) }],
      ["rpn.head.x", { shape: [1000], data: new Float32Array(1000) }],
    ]);
    const file = join(folder, "few.safetensors");
    writeFileSync(file, writeSafetensors(few, { format: "mrcnn" }));
    await expect(loadInitialWeights(net, file)).rejects.toThrow(
      `${file}: only 1 of 2 weights have the name and shape of one of the model's. They are of another architecture; left out would be rpn.head (1).`,
    );
    mkdirSync(join(folder, "empty"));
    await expect(loadInitialWeights(net, join(folder, "empty"))).rejects.toThrow(
      "is neither a run of `mrcnn train` nor holds .npy files",
    );
    await expect(loadInitialWeights(net, join(folder, "gone.pth"))).rejects.toThrow(
      "the weights can't be read: it does not exist.",
    );
    net.dispose();
  });
});
