// What initial weights are taken from, what of them is used, and what is said of the rest, of a network of a few thousand values.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigError, createRandom, WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";
import { createMaskRcnn, parseMaskRcnnConfig } from "@mrcnn/model";
import type { MaskRcnn } from "@mrcnn/model";
import { quantize, toArrays, toTorch, writeSafetensors, writeShards } from "@mrcnn/weights";
import { setBackend } from "@tensorflow/tfjs";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { CommandError } from "../src/errors.ts";
import { loadInitialWeights, readNpy } from "../src/initial-weights.ts";
import { temporaryFolder, tinyConfig } from "./command.ts";

const folder = temporaryFolder();
beforeAll(async () => void (await setBackend("cpu")));
const open: MaskRcnn[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.dispose();
});
function model(norm = "frozen_batch_norm", classes = ["a"]): MaskRcnn {
  const { backbone, ...rest } = tinyConfig.model;
  const made = createMaskRcnn(
    parseMaskRcnnConfig({ ...rest, classes, backbone: { ...backbone, norm } }, "test"),
    createRandom(0),
  );
  open.push(made);
  return made;
}
const valuesOf = async (of: MaskRcnn, name: string): Promise<number[]> => [
  ...(await of.variables.get(name)!.data()),
];
/** Other weights than those the network begins with. */
const otherOf = async (of: MaskRcnn): Promise<Map<string, HostArray>> =>
  new Map(
    [...(await toArrays(of.variables))].map(([name, { shape, data }]) => [
      name,
      { shape, data: Float32Array.from(data, (_, i) => 1 + (i % 5)) },
    ]),
  );
const isSame = (a: ArrayLike<number>, b: ArrayLike<number>): boolean =>
  a.length === b.length && Array.from(a).every((value, i) => value === b[i]);
const written = (name: string, arrays: NamedArrays, metadata?: Record<string, string>): string => {
  const file = join(folder, name);
  writeFileSync(file, writeSafetensors(arrays, metadata));
  return file;
};

interface Header {
  readonly shape?: string;
  readonly descr?: string;
  readonly order?: string;
  readonly version?: 1 | 2;
  readonly magic?: string;
}
// numpy's formats: magic, version, header length (two bytes, or four from 2.0 on), header, values.
function npy(
  values: readonly number[],
  {
    shape = `(${values.length},)`,
    descr = "<f4",
    order = "False",
    version = 1,
    magic = "NUMPY",
  }: Header = {},
): Buffer {
  const header = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`.padEnd(79) + "\n";
  const length = version === 1 ? Uint16Array.of(header.length) : Uint32Array.of(header.length);
  return Buffer.concat([
    Buffer.from(`\u0093${magic}`, "latin1"),
    Buffer.from([version, 0]),
    Buffer.from(length.buffer),
    Buffer.from(header, "latin1"),
    Buffer.from(Float32Array.from(values).buffer),
  ]);
}

describe("readNpy", () => {
  it("reads both formats, and shapes of any length", () => {
    const data = Float32Array.of(1, 2, 3, 4, 5, 6);
    expect(readNpy(npy([...data]), "f")).toEqual({ shape: [6], data });
    expect(readNpy(npy([...data], { shape: "(3, 2)" }), "f")).toEqual({ shape: [3, 2], data });
    expect(readNpy(npy([...data], { shape: "(1,2,3)", version: 2 }), "f")).toEqual({
      shape: [1, 2, 3],
      data,
    });
    expect(readNpy(npy([7], { shape: "()" }), "f")).toEqual({ shape: [], data: Float32Array.of(7) });
    // Within another buffer, at no multiple of four.
    const within = Buffer.concat([Buffer.alloc(3), npy([...data])]);
    expect(readNpy(within.subarray(3), "f")).toEqual({ shape: [6], data });
  });

  const header = (text: string): string => `f: must hold float32 in C order, its header is ${text}.`;
  it.each<[string, Uint8Array, string]>([
    ["another magic", npy([1], { magic: "NUMPI" }), "f: not a .npy file, or cut short."],
    ["the magic alone", npy([1]).subarray(0, 12), "f: not a .npy file, or cut short."],
    [
      "doubles",
      npy([1], { descr: "<f8" }),
      header("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }"),
    ],
    [
      "Fortran's order",
      npy([1], { order: "True" }),
      header("{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }"),
    ],
    [
      "no shape",
      npy([1], { shape: "None" }),
      header("{'descr': '<f4', 'fortran_order': False, 'shape': None, }"),
    ],
    [
      "fewer values",
      npy([1, 2, 3], { shape: "(2, 2)" }),
      "f: must hold 4 values, has 12 bytes. It may be cut short.",
    ],
  ])("refuses %s", (_, bytes, message) => {
    expect(() => readNpy(bytes, "f")).toThrow(new WeightsError(message));
  });
});

describe("a folder of .npy files", () => {
  const made = (name: string, files: Readonly<Record<string, Buffer>>): string => {
    const path = join(folder, name);
    mkdirSync(path);
    for (const [file, bytes] of Object.entries(files)) writeFileSync(join(path, file), bytes);
    return path;
  };
  const ofEight = (k: number): number[] => Array.from({ length: 8 }, (_, i) => k + i);

  it("is a backbone with folded norms: biases are theirs, and nothing else in it is looked at", async () => {
    const net = model();
    const path = made("folded", {
      "conv1.bias.npy": npy(ofEight(1)),
      "layer1.0.conv2.bias.npy": npy(ofEight(20)),
      "layer2.0.downsample.0.bias.npy": npy(Array.from({ length: 16 }, (_, i) => 40 + i)),
      "notes.txt": Buffer.from("no array"),
    });
    const { found, of, notes } = await loadInitialWeights(net, path);
    expect([found, of]).toEqual([12, net.variables.size]);
    for (const [norm, first, length] of [
      ["bn1", 1, 8],
      ["layer1.0.bn2", 20, 8],
      ["layer2.0.downsample.1", 40, 16],
    ] as const) {
      const name = `backbone.body.${norm}`;
      expect(await valuesOf(net, `${name}.bias`)).toEqual(Array.from({ length }, (_, i) => first + i));
      for (const [part, value] of [
        ["weight", 1],
        ["running_mean", 0],
        ["running_var", 1],
      ] as const)
        expect(await valuesOf(net, `${name}.${part}`)).toEqual(Array<number>(length).fill(value));
    }
    expect(notes).toHaveLength(1);
  });

  it("is of no use to other norms, nor when it holds none", async () => {
    const path = made("norms", { "conv1.bias.npy": npy(ofEight(1)) });
    for (const norm of ["group_norm", "batch_norm"])
      await expect(loadInitialWeights(model(norm), path)).rejects.toThrow(
        new ConfigError(
          `${path}: these weights have batch norm folded in; a backbone with ${norm} can't use them. Set model.backbone.norm to "frozen_batch_norm".`,
        ),
      );
    const empty = made("empty", { "notes.txt": Buffer.from("no array") });
    await expect(loadInitialWeights(model(), empty)).rejects.toThrow(
      new CommandError(
        `${empty}: is neither a run of \`mrcnn train\` nor holds .npy files. Name a run, a folder of weights, or a file.`,
      ),
    );
    const bad = made("bad", { "conv1.bias.npy": Buffer.from("no array, but long enough for one") });
    await expect(loadInitialWeights(model(), bad)).rejects.toThrow(
      new WeightsError(`${join(bad, "conv1.bias.npy")}: not a .npy file, or cut short.`),
    );
  });
});

describe("a file", () => {
  it("of this project gives all its weights, quantized ones too, and shards by their index", async () => {
    const arrays = await otherOf(model());
    const { index, shards } = writeShards(quantize(arrays, "float16"), 50_000, {
      name: "s",
      metadata: { format: "mrcnn" },
    });
    for (const { file, bytes } of shards) writeFileSync(join(folder, file), bytes);
    writeFileSync(join(folder, "s.index.json"), JSON.stringify(index));
    expect(shards.length).toBeGreaterThan(1);
    for (const path of [
      written("own.safetensors", arrays, { format: "mrcnn" }),
      written("half.safetensors", quantize(arrays, "float16") as unknown as NamedArrays, { format: "mrcnn" }),
      join(folder, "s.index.json"),
    ]) {
      const net = model();
      expect(await loadInitialWeights(net, path)).toEqual({
        found: arrays.size,
        of: arrays.size,
        notes: [`Initial weights: ${arrays.size} of ${arrays.size} tensors from ${path}.`],
      });
      for (const [name, { data }] of await toArrays(net.variables))
        expect(isSame(data, arrays.get(name)!.data), name).toBe(true);
    }
  });

  it("of torch's names may hold the backbone alone", async () => {
    const arrays = await otherOf(model());
    const body = new Map([...arrays].filter(([name]) => name.startsWith("backbone.body.")));
    const path = written("body.safetensors", toTorch(body), { format: "pt" });
    const net = model();
    expect(await loadInitialWeights(net, path)).toEqual({
      found: body.size,
      of: arrays.size,
      notes: [
        `Initial weights: ${body.size} of ${arrays.size} tensors from ${path}. At random begin backbone.fpn (16), rpn.head (6), roi_heads.box_head (4), roi_heads.box_predictor (4), roi_heads.mask_head (2), roi_heads.mask_predictor (4).`,
      ],
    });
    for (const name of ["backbone.body.conv1.weight", "backbone.body.layer4.1.bn2.running_var"])
      expect(await valuesOf(net, name)).toEqual([...body.get(name)!.data]);
  });

  it("says of what is not used the first eight parts, in a line that a terminal can show", async () => {
    const arrays = await otherOf(model());
    const strange = Array.from({ length: 9 }, (_, i): [string, HostArray] => [
      `part\n.${i}.weight`,
      { shape: [1], data: new Float32Array(1) },
    ]);
    const path = written("strange.safetensors", new Map([...arrays, ...strange]), { format: "mrcnn" });
    const { notes } = await loadInitialWeights(model(), path);
    const shown = Array.from({ length: 8 }, (_, i) => `part\\u000a.${i} (1)`);
    expect(notes).toEqual([
      `Initial weights: ${arrays.size} of ${arrays.size} tensors from ${path}. Not used of the file: ${shown.join(", ")} and more.`,
    ]);
    const eight = written("eight.safetensors", new Map([...arrays, ...strange.slice(1)]), {
      format: "mrcnn",
    });
    expect((await loadInitialWeights(model(), eight)).notes[0]).toMatch(/part\\u000a\.8 \(1\)\.$/);
  });

  const name = "roi_heads.mask_head.0.0.bias";
  it.each<[string, number, number, string | undefined]>([
    ["a tenth of its values fits", 8, 72, undefined],
    [
      "less than a tenth of its values fits",
      8,
      73,
      "only 1 of 2 weights have the name and shape of one of the model's.",
    ],
    ["nothing fits", 7, 73, "no weight has the name and shape of one of the model's."],
  ])("is told from another network's: %s", async (label, fitting, other, words) => {
    const path = written(
      `${label}.safetensors`,
      new Map([
        [name, { shape: [fitting], data: new Float32Array(fitting) }],
        ["rpn.other.weight", { shape: [other], data: new Float32Array(other) }],
      ]),
      { format: "mrcnn" },
    );
    const loaded = loadInitialWeights(model(), path);
    if (words === undefined) expect((await loaded).found).toBe(1);
    else {
      const left = fitting === 8 ? "rpn.other (1)" : "roi_heads.mask_head (1), rpn.other (1)";
      await expect(loaded).rejects.toThrow(
        new WeightsError(`${path}: ${words} They are of another architecture; left out would be ${left}.`),
      );
    }
  });

  it("with other norms than the model's is refused, either way round", async () => {
    const [batch, group] = [
      written("batch.safetensors", await otherOf(model("batch_norm")), { format: "mrcnn" }),
      written("group.safetensors", await otherOf(model("group_norm")), { format: "mrcnn" }),
    ];
    await expect(loadInitialWeights(model("group_norm"), batch)).rejects.toThrow(
      new ConfigError(
        `${batch}: these weights have batch norm; a backbone with group_norm can't use them. Set model.backbone.norm to "frozen_batch_norm" or "batch_norm".`,
      ),
    );
    for (const norm of ["frozen_batch_norm", "batch_norm"])
      await expect(loadInitialWeights(model(norm), group)).rejects.toThrow(
        new ConfigError(
          `${group}: these weights have group norm; a backbone with ${norm} can't use them. Set model.backbone.norm to "group_norm".`,
        ),
      );
    expect((await loadInitialWeights(model("frozen_batch_norm"), batch)).found).toBeGreaterThan(0);
    expect((await loadInitialWeights(model("group_norm"), group)).found).toBeGreaterThan(0);
  });

  it("that is not there, or is none, is refused by name", async () => {
    const gone = join(folder, "gone.pth");
    await expect(loadInitialWeights(model(), gone)).rejects.toThrow(
      new WeightsError(`${gone}: the weights can't be read: it does not exist. Check the path.`),
    );
  });

  it("whose numbers the model's settings contradict names the option that says otherwise", async () => {
    const arrays = await otherOf(model());
    const variance = "backbone.body.bn1.running_var";
    arrays.set(variance, { shape: [8], data: Float32Array.of(1, 1, -1, 1, 1, 1, 1, 1) });
    const path = written("negative.safetensors", arrays, { format: "mrcnn" });
    await expect(loadInitialWeights(model(), path)).rejects.toThrow(
      `${path}: ${variance} holds -1 (place 2)`,
    );
    // Without an eps, a variance of zero is divided by; with one it is not.
    arrays.set(variance, { shape: [8], data: new Float32Array(8) });
    const zero = written("zero.safetensors", arrays, { format: "mrcnn" });
    const { backbone, ...rest } = tinyConfig.model;
    const bare = createMaskRcnn(
      parseMaskRcnnConfig(
        { ...rest, classes: ["a"], backbone: { ...backbone, norm: "frozen_batch_norm", eps: 0 } },
        "test",
      ),
      createRandom(0),
    );
    open.push(bare);
    await expect(loadInitialWeights(bare, zero)).rejects.toThrow(
      /--set model\.backbone\.eps=(1e-5|0\.00001)/,
    );
  });
});

describe("a classifier of torchvision", () => {
  const numerics = { eps: 1e-5, strideIn1x1: false };
  function modelOf(backbone: object, more: object = {}): MaskRcnn {
    const made = createMaskRcnn(
      parseMaskRcnnConfig(
        {
          ...tinyConfig.model,
          ...more,
          classes: ["a"],
          backbone: { depth: 18, width: 8, norm: "frozen_batch_norm", ...numerics, ...backbone },
        },
        "test",
      ),
      createRandom(0),
    );
    open.push(made);
    return made;
  }
  const output: [string, HostArray][] = [
    ["fc.weight", { shape: [5, 64], data: new Float32Array(5 * 64) }],
    ["fc.bias", { shape: [5], data: new Float32Array(5) }],
  ];
  const START = "backbone.body.";
  /** A backbone under the names, and in the layouts, of a classifier. */
  async function classifier(
    name: string,
    of: MaskRcnn,
    change: (arrays: Map<string, HostArray>) => void = () => {},
  ): Promise<string> {
    const body = new Map([...(await otherOf(of))].filter(([one]) => one.startsWith(START)));
    change(body);
    const theirs = [...toTorch(body)].map(([one, array]): [string, HostArray] => [
      one.replace(START, ""),
      array,
    ]);
    return written(name, new Map([...theirs, ...output]), { format: "pt" });
  }

  it("gives the backbone, and leaves its output layer out", async () => {
    const net = modelOf({});
    const path = await classifier("classifier.safetensors", net);
    const body = [...net.variables.keys()].filter((one) => one.startsWith(START));
    const { found, notes } = await loadInitialWeights(net, path);
    expect(found).toBe(body.length);
    expect(notes).toEqual([
      `Initial weights: ${body.length} of ${net.variables.size} tensors from ${path}. At random begin backbone.fpn (16), rpn.head (6), roi_heads.box_head (4), roi_heads.box_predictor (4), roi_heads.mask_head (2), roi_heads.mask_predictor (4).`,
      // In the order of the file, which is the alphabet's.
      "The classifier's output layer (fc.bias, fc.weight) is left out.",
    ]);
    const expected = await otherOf(net);
    for (const one of [`${START}conv1.weight`, `${START}layer4.1.bn2.running_mean`])
      expect(await valuesOf(net, one)).toEqual([...expected.get(one)!.data]);
  });

  it("gives a C4 its last stage as the head", async () => {
    const path = await classifier("c4.safetensors", modelOf({ depth: 50, width: 2 }));
    const c4 = modelOf(
      { depth: 50, width: 2 },
      { architecture: "c4", fpn: undefined, anchors: undefined, maskHead: { channels: 8, layers: [] } },
    );
    const inHead = [...c4.variables.keys()].filter((one) => one.startsWith("roi_heads.layer4."));
    const inBody = [...c4.variables.keys()].filter((one) => one.startsWith(START));
    expect(inBody.some((one) => one.includes("layer4"))).toBe(false);
    const { found, notes } = await loadInitialWeights(c4, path);
    expect(found).toBe(inHead.length + inBody.length);
    expect(notes[0]).not.toContain("Not used");
    // 1, 2, 3, 4, 5, 1, …, in the file as it is here.
    expect((await valuesOf(c4, "roi_heads.layer4.0.bn1.weight")).slice(0, 6)).toEqual([1, 2, 3, 4, 5, 1]);
  });

  it("is refused with all that the model computes otherwise", async () => {
    const path = await classifier("arithmetic.safetensors", modelOf({}));
    const words = (settings: string): ConfigError =>
      new ConfigError(
        `${path}: a classifier of torchvision was trained with other arithmetic than this model's: set ${settings}.`,
      );
    await expect(loadInitialWeights(modelOf({ eps: 0 }), path)).rejects.toThrow(
      words("model.backbone.eps=0.00001 (0 now)"),
    );
    const image = { ...tinyConfig.model.image, channelOrder: "bgr", range: 255 };
    await expect(loadInitialWeights(modelOf({ strideIn1x1: true }, { image }), path)).rejects.toThrow(
      words(
        "model.backbone.strideIn1x1=false (true now), model.image.channelOrder=rgb (bgr now), model.image.range=1 (255 now)",
      ),
    );
  });

  it("is refused when it is another ResNet, with what differs and what to set", async () => {
    const advice =
      "Set model.backbone.depth (18 now), width (8), cardinality (1) and widthPerGroup (64) to the file's: resnet50 has depth 50, width 64, cardinality 1 and widthPerGroup 64; resnext50_32x4d cardinality 32 and widthPerGroup 4; wide_resnet50_2 widthPerGroup 128.";
    const words = (path: string, what: string): ConfigError =>
      new ConfigError(`${path}: this is another ResNet than the model's backbone: ${what}. ${advice}`);
    const wider = await classifier("wider.safetensors", modelOf({ width: 16, groups: 4 }));
    await expect(loadInitialWeights(modelOf({}), wider)).rejects.toThrow(
      words(wider, "the model's backbone.body.conv1.weight is [7, 7, 3, 8], the file's [7, 7, 3, 16]"),
    );
    const lacking = await classifier("lacking.safetensors", modelOf({}), (arrays) =>
      arrays.delete(`${START}layer1.0.conv2.weight`),
    );
    await expect(loadInitialWeights(modelOf({}), lacking)).rejects.toThrow(
      words(
        lacking,
        "the model's backbone.body.layer1.0.conv2.weight is [3, 3, 8, 8], the file's is missing",
      ),
    );
    const deeper = await classifier("deeper.safetensors", modelOf({ depth: 34 }));
    await expect(loadInitialWeights(modelOf({}), deeper)).rejects.toThrow(
      words(deeper, "the model has no backbone.body.layer1.2.bn1.bias"),
    );
  });
});
