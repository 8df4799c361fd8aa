// What training scripts wrap around a model is taken off by one rule, in every format of files.
import type { HostArray } from "@mrcnn/core";
import { golden } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";
import { readTorchCheckpoint } from "../src/torch-checkpoint.ts";
import { readWeights } from "../src/read-weights.ts";
import { writeSafetensors } from "../src/safetensors.ts";
import { stateDicts, unwrap } from "../src/unwrap.ts";
import { counted, decode, modelWeights, pickled } from "./fixtures.ts";

type Arrays = ReadonlyMap<string, HostArray>;
const sorted = (arrays: Arrays): [string, HostArray][] =>
  [...arrays].toSorted(([a], [b]) => (a < b ? -1 : 1));
/** Names, shapes, and enough of the values to tell a model from another. */
const digest = (arrays: Arrays): string[] =>
  sorted(arrays).map(
    ([name, { shape, data }]) => `${name} [${shape.join()}] ${data[0]} ${data[1]} ${data.at(-1)}`,
  );
const under = (
  prefix: string,
  arrays: Arrays,
  change: (array: HostArray) => HostArray = (array) => array,
): [string, HostArray][] => [...arrays].map(([name, array]) => [prefix + name, change(array)]);
const scaled = ({ shape, data }: HostArray): HostArray => ({
  shape,
  data: data.map((value) => value * 2 + 1) as HostArray["data"],
});
const models = {
  torchvision: modelWeights("torchvision", "keypoint"),
  detectron2: modelWeights("detectron2", "mask"),
};

describe.each(["torchvision", "detectron2"] as const)("%s's weights", (library) => {
  const model = models[library];
  const read = async (
    ...entries: readonly (readonly [string, HostArray])[]
  ): Promise<{ arrays: string[]; notes: readonly string[] | undefined }> => {
    const { source, arrays, notes } = await readWeights(writeSafetensors(new Map(entries)), "w");
    expect(source).toBe(library);
    return { arrays: digest(arrays), notes };
  };

  it.each([
    "module.",
    "model.",
    "_orig_mod.",
    "net.",
    "state_dict.",
    "ema.",
    "module._orig_mod.",
    "model.module.",
    "_orig_mod.module.",
    "state_dict.model._orig_mod.",
    "detector.my_model.",
    "_forward_module.model.",
    "ema_state_dict.module.",
    "backbone.roi_heads.",
  ])("load from behind %s", async (prefix) => {
    const plain = await read(...model);
    expect(plain.notes).toEqual([]);
    expect(await read(...under(prefix, model))).toEqual(plain);
  });

  it("load with the wrappers of parts of the model", async () => {
    const wrapped = [...model].map(
      ([name, array]) =>
        [
          name
            .replace(/^(backbone|roi_heads)\./, "model.$1._orig_mod.")
            .replace(/^(?!model)/, "model.")
            .replace(/\.(layer3|res3)\./, ".$1._checkpoint_wrapped_module.module."),
          array,
        ] as const,
    );
    expect(
      wrapped.some(([name]) =>
        /^model\.backbone\._orig_mod\..*_checkpoint_wrapped_module\.module\./.test(name),
      ),
    ).toBe(true);
    expect((await read(...wrapped)).arrays).toEqual((await read(...model)).arrays);
  });

  it("load as torch's AveragedModel saves them, with its count", async () => {
    expect(
      await read(["n_averaged", { shape: [], data: new Int32Array([7]) }], ...under("module.", model)),
    ).toEqual(await read(...model));
  });

  it("load without what stands beside the model, which is said", async () => {
    const { arrays, notes } = await read(["criterion.weight", counted(3)], ...under("model.", model), [
      "val_map.total",
      counted(1),
    ]);
    expect(arrays).toEqual((await read(...model)).arrays);
    expect(notes).toEqual([
      "Beside the model the file holds criterion.weight, val_map.total, which are left out.",
    ]);
  });

  it.each([
    ["model.", "ema."],
    ["model.", "model_ema.module."],
    ["", "ema_model."],
    ["student.", "teacher."],
    ["modelStudent.", "modelTeacher."],
    ["net.", "swa_model.module."],
    ["model.", "model.ema."],
  ])(
    "are the trained ones (%s), not the average (%s), whichever comes first, which is said",
    async (own, average) => {
      const plain = await read(...model);
      const files = [
        [...under(own, model), ...under(average, model, scaled)],
        [...under(average, model, scaled), ...under(own, model)],
      ];
      for (const file of files) {
        const { arrays, notes } = await read(...file);
        expect(arrays).toEqual(plain.arrays);
        const [a, b] = [own === "" ? "(top level)" : own.slice(0, -1), average.slice(0, -1)];
        expect(notes).toEqual([
          `The file holds 2 sets of weights ("${a}", "${b}"): "${a}" is taken, which was trained, not the average.`,
        ]);
      }
    },
  );

  it("of two models that nothing tells apart are refused, with both names", async () => {
    await expect(read(...under("first.", model), ...under("second.", model))).rejects.toThrow(
      'w: the file must hold one model, got 2: "first", "second". Save the state_dict of the one that is meant.',
    );
  });

  it("are refused where two names become one", async () => {
    const [name, array] = [...model].find(([one]) => one.startsWith("backbone."))!;
    await expect(read(...model, [name.replace("backbone.", "backbone.module."), array])).rejects.toThrow(
      /^w: tensor backbone\.module\.\S+: without its wrappers it is backbone\./,
    );
  });

  it("load from any key of a pickle", async () => {
    const plain = await read(...model);
    for (const key of ["state_dict", "ema", "weights of the day"])
      expect(digest((await readWeights(pickled(key, new Map(under("module.", model))), "w")).arrays)).toEqual(
        plain.arrays,
      );
  });
});

describe("stateDicts and unwrap", () => {
  const dict = (...entries: [unknown, unknown][]): Map<unknown, unknown> => new Map(entries);
  const isTensor = (value: unknown): value is number => typeof value === "number";
  const own = dict(["backbone.body.conv1.weight", 1], ["rpn.head.conv.weight", 2]);
  const average = dict(
    ["module.backbone.body.conv1.weight", 3],
    ["module.rpn.head.conv.weight", 4],
    ["n_averaged", 9],
  );
  const chosen = (root: unknown): unknown => [...unwrap(stateDicts(root, isTensor))!.tensors.values()];

  it("find the model in a training's checkpoint, past its optimizer", () => {
    const optimizer = dict(
      ["state", dict([0, dict(["momentum_buffer", 5])])],
      ["exp_avg", dict(["backbone.body.conv1.weight", 6])],
    );
    expect(
      chosen(
        dict(["epoch", "3"], ["optimizer", optimizer], ["trainer", dict(["checkpoint", dict(["net", own])])]),
      ),
    ).toEqual([1, 2]);
    expect(
      chosen(dict(["optimizer_states", dict(["backbone.body.conv1.weight", 6])], ["ema", average])),
    ).toEqual([3, 4]);
  });

  it("take the trained model before its average, and keys in a stated order", () => {
    expect(chosen(dict(["model_ema", average], ["model", own]))).toEqual([1, 2]);
    expect(chosen(dict(["ema_state_dict", average], ["epoch", "3"], ["state_dict", own]))).toEqual([1, 2]);
    const other = dict(["backbone.body.conv1.weight", 7]);
    expect(chosen(dict(["best", other], ["state_dict", own]))).toEqual([1, 2]);
    expect(chosen(dict(["state_dict", other], ["model", own]))).toEqual([1, 2]);
    expect(() => chosen(dict(["best", other], ["last", own]))).toThrow('got 2: "best", "last"');
    expect(() => chosen(dict(["swa", average], ["ema", dict(...average)]))).toThrow(
      'got 2: "swa.module", "ema.module"',
    );
  });

  it("read a dict that is named twice once, and end in one that holds itself", () => {
    const loop = dict(["model", own], ["state_dict", own]);
    loop.set("self", loop);
    expect(unwrap(stateDicts(loop, isTensor))).toEqual({ tensors: own, notes: [] });
  });

  it("leave names of other networks but for the wrappers that all have", () => {
    expect([
      ...unwrap([
        {
          path: [],
          tensors: new Map([
            ["module.model.0.weight", 1],
            ["n_averaged", 2],
            ["module.model.1.weight", 3],
          ]),
        },
      ])!.tensors.keys(),
    ]).toEqual(["model.0.weight", "model.1.weight"]);
    expect([
      ...unwrap([
        {
          path: [],
          tensors: new Map([
            ["module.a", 1],
            ["b", 2],
          ]),
        },
      ])!.tensors.keys(),
    ]).toEqual(["module.a", "b"]);
    expect(unwrap([])).toBeUndefined();
  });
});

// Made by tools/golden/weights_wrapped.py with torch: the same two tensors, and what Lightning, AveragedModel,
// torch.compile and others make of them.
describe("files of torch", () => {
  const { files } = golden<{ files: Readonly<Record<string, string>> }>(import.meta.url, "wrapped");
  const plain = sorted(readTorchCheckpoint(decode(files["plain"]!), "plain"));

  it.each(Object.keys(files))("gives the same weights from %s", (kind) => {
    expect(sorted(readTorchCheckpoint(decode(files[kind]!), kind))).toEqual(plain);
  });
});
