import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import "@tensorflow/tfjs";
import { setBackend } from "@tensorflow/tfjs-core";
import { createRandom } from "@mrcnn/core";
import type { NamedArrays } from "@mrcnn/core";
import { writeImageFile } from "@mrcnn/datasets/node";
import { createMaskRcnn, inferMaskRcnnConfig, maskRcnnConfig } from "@mrcnn/model";
import type { MaskRcnnConfig } from "@mrcnn/model";
import {
  dequantize,
  quantizationErrors,
  quantize,
  readSafetensors,
  readShards,
  readWeights,
  toArrays,
  toTorch,
  writeSafetensors,
} from "@mrcnn/weights";
import type { WeightsDtype } from "@mrcnn/weights";
import { beforeAll, describe, expect, it } from "vitest";
import { writeCheckpoint } from "@mrcnn/trainer/node";
import { loadModel } from "../src/model-source.ts";
import type { Terminal } from "../src/terminal.ts";
import { mrcnn, temporaryFolder } from "./command.ts";

const folder = temporaryFolder();
const source = join(folder, "theirs.safetensors");
let config: MaskRcnnConfig;
let arrays: NamedArrays;

// Weights as torch would have saved them: its layouts, and nothing said beside them.
beforeAll(async () => {
  await setBackend("cpu");
  config = maskRcnnConfig({
    classes: ["a", "b", "c"],
    backbone: { depth: 18, width: 8, eps: 0 },
    fpn: { channels: 16 },
    box: { poolSize: 7, representation: 32 },
    maskHead: { layers: [16], channels: 80 },
  });
  const model = createMaskRcnn(config, createRandom(4));
  arrays = await toArrays(model.variables);
  model.dispose();
  writeFileSync(source, writeSafetensors(toTorch(arrays)));
});

const convert = (file: string, out: string, ...more: string[]): ReturnType<typeof mrcnn> =>
  mrcnn("convert", file, "--from", "torchvision", "--model", "mine", "--out", out, ...more);
const sorted = <T>(map: ReadonlyMap<string, T>): [string, T][] =>
  [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));
const plain = (map: NamedArrays): [string, unknown][] =>
  sorted(map).map(([name, { shape, data }]) => [name, { shape: [...shape], data }]);

describe("mrcnn convert", () => {
  it.each<WeightsDtype>(["float32", "float16", "int8"])(
    "to %s: the file alone says what it is, and its weights are the source's",
    async (dtype) => {
      const out = join(folder, "new", `${dtype}.safetensors`);
      const json = join(folder, `${dtype}.json`);
      const { code, out: said } = await convert(source, out, "--dtype", dtype, "--json", json);
      expect(code).toBe(0);
      const bytes = readFileSync(out);
      const weights = await readWeights(bytes, out);
      expect(weights).toMatchObject({
        source: "mrcnn",
        norm: "frozen_batch_norm",
        metadata: {
          format: "mrcnn",
          source: "torchvision",
          numerics: "torchvision",
          norm: "frozen_batch_norm",
          model: "mine",
          dtype,
        },
      });
      expect(
        inferMaskRcnnConfig(weights.arrays, {
          numerics: "torchvision",
          norm: weights.norm,
          classes: config.classes,
          where: out,
        }).config,
      ).toEqual(config);
      const expected = dequantize(readSafetensors(writeSafetensors(quantize(arrays, dtype)), "expected"));
      expect(plain(weights.arrays)).toEqual(plain(expected));
      if (dtype === "float32") expect(plain(expected)).toEqual(plain(arrays));

      const size = readFileSync(source).length;
      const report = JSON.parse(readFileSync(json, "utf8"));
      expect(report).toMatchObject({
        from: { file: source, bytes: size, tensors: arrays.size },
        to: { files: [out], bytes: bytes.length, dtype },
      });
      expect(report.tensors).toEqual(quantizationErrors(arrays, quantize(arrays, dtype)));
      expect(said).toContain(
        `${source}: ${arrays.size} tensors, ${(size / 1e6).toFixed(2)} MB\n${out}: ${dtype}, ${(bytes.length / 1e6).toFixed(2)} MB (`,
      );
      if (dtype === "float32") expect(said).toContain("Weights are unchanged.");
      else {
        const worst = report.tensors.reduce((a: { rms: number }, b: { rms: number }) =>
          b.rms > a.rms ? b : a,
        );
        expect(said).toContain(`in the worst tensor (${worst.name})`);
        expect(bytes.length / size).toBeLessThan(dtype === "float16" ? 0.6 : 0.4);
      }
    },
  );

  it("to shards: no file above the size, an index that names them all", async () => {
    const out = join(folder, "shards", "model.safetensors");
    const { code, out: said } = await convert(source, out, "--dtype", "float16", "--shards", "0.1");
    expect(code).toBe(0);
    const names = readdirSync(join(folder, "shards")).toSorted();
    const count = names.length - 1;
    expect(count).toBeGreaterThan(2);
    expect(names).toEqual([
      ...Array.from({ length: count }, (_, i) => `model-0000${i + 1}-of-0000${count}.safetensors`),
      "model.safetensors.index.json",
    ]);
    for (const name of names.slice(0, -1))
      expect(readFileSync(join(folder, "shards", name)).length).toBeLessThan(120_000);
    const index = JSON.parse(readFileSync(`${out}.index.json`, "utf8"));
    const read = await readShards(index, async (file) => readFileSync(join(folder, "shards", file)), out);
    expect(plain(dequantize(read.arrays))).toEqual(
      plain(dequantize(readSafetensors(writeSafetensors(quantize(arrays, "float16")), "one"))),
    );
    expect(read.metadata).toMatchObject({ format: "mrcnn", source: "torchvision", model: "mine" });
    expect(said).toContain(`${count} files and ${out}.index.json: float16`);
  });

  it("--check runs both models on an image", async () => {
    const image = join(folder, "photo.png");
    await writeImageFile(image, {
      height: 40,
      width: 60,
      data: Uint8Array.from({ length: 40 * 60 * 3 }, (_, i) => (i * 7919) % 251),
    });
    const check = async (
      dtype: string,
    ): Promise<{
      out: string;
      check: { before: number; after: number; same: number; boxes?: { max: number } };
    }> => {
      const json = join(folder, "check.json");
      const { code, out } = await convert(
        source,
        join(folder, "checked.safetensors"),
        "--dtype",
        dtype,
        "--check",
        image,
        "--backend",
        "wasm",
        "--json",
        json,
      );
      expect(code).toBe(0);
      return { out, check: JSON.parse(readFileSync(json, "utf8")).check };
    };
    const whole = await check("float32");
    expect(whole.check).toMatchObject({ image, same: whole.check.before, after: whole.check.before });
    expect(whole.check.before).toBeGreaterThan(0);
    expect(whole.check.boxes!.max).toBe(0);
    expect(whole.out).toContain(
      `${image}: ${whole.check.before} objects with the source's weights, ${whole.check.before} with these`,
    );
    const rounded = await check("int8");
    expect(rounded.check.same).toBeGreaterThan(0);
    expect(rounded.check.boxes!.max).toBeGreaterThan(0);
    expect(rounded.out).toMatch(/\n {2}boxes {5}by up to [\d.]+ pixels, [\d.]+ pixels in the median\n/);
  });

  it("converts what it has written", async () => {
    const [first, second] = [join(folder, "first.safetensors"), join(folder, "second.safetensors")];
    await convert(source, first);
    expect(await convert(first, second, "--dtype", "int8")).toMatchObject({ code: 0 });
    expect(readFileSync(second)).toEqual(readFileSync(join(folder, "new", "int8.safetensors")));
    expect(
      (await mrcnn("convert", first, "--from", "detectron2", "--model", "m", "--out", second)).err,
    ).toContain(`${first}: these are weights of torchvision, not of detectron2. Say --from torchvision.`);
  });
});

describe("mrcnn convert of a run of this project's own", () => {
  const categories = [
    { id: 3, name: "nut" },
    { id: 7, name: "bolt" },
  ];
  // What can't be read off weights: other anchors, sizes, groups of norms.
  const model = {
    classes: ["nut", "bolt"],
    image: { minSize: 64, maxSize: 96 },
    backbone: { depth: 18, width: 8, norm: "group_norm", groups: 4 },
    fpn: { channels: 8 },
    anchors: {
      sizes: [
        [8, 12],
        [16, 24],
        [32, 48],
        [64, 96],
        [128, 192],
      ],
    },
    box: { representation: 16, scoreThreshold: 0.001, maxDetections: 7 },
    maskHead: { layers: [8], channels: 8 },
  } as const;
  const run = join(folder, "run");
  const out = join(folder, "run.safetensors");
  let weights: NamedArrays;
  beforeAll(async () => {
    const made = createMaskRcnn(maskRcnnConfig(model), createRandom(5));
    weights = await toArrays(made.variables);
    made.dispose();
    mkdirSync(run);
    const shapes = { format: "shapes", shapes: { count: 1 } };
    writeFileSync(
      join(run, "config.json"),
      JSON.stringify({ model, data: { train: shapes, categories }, training: { steps: 1 } }),
    );
    await writeCheckpoint(join(run, "checkpoints"), { step: 1, seed: 0, weights, optimizer: new Map() });
  });

  it("gives one file that says all that is needed", async () => {
    const { code, out: said } = await mrcnn("convert", run, "--out", out);
    expect(code).toBe(0);
    expect(said).toContain(`${run}: ${weights.size} tensors, `);
    const read = await readWeights(readFileSync(out), out);
    expect(read).toMatchObject({
      source: "mrcnn",
      norm: "group_norm",
      metadata: { source: "mrcnn", numerics: "torchvision" },
    });
    expect(plain(read.arrays)).toEqual(plain(weights));
    const loaded = await loadModel(out, {}, { out: () => {}, note: () => {} } as unknown as Terminal);
    expect(loaded.categories).toEqual(categories);
    expect(loaded.model.config).toEqual(maskRcnnConfig(model));
    loaded.model.dispose();
  });

  it("which detects as the run does, under the run's names", async () => {
    const photo = join(folder, "run.png");
    await writeImageFile(photo, {
      width: 90,
      height: 64,
      data: Uint8Array.from({ length: 90 * 64 * 3 }, (_, i) => (i * 37) % 251),
    });
    const found = await Promise.all(
      [run, out].map(async (name, i) => {
        const json = join(folder, `run-${i}.json`);
        const { code, out: said } = await mrcnn(
          "detect",
          photo,
          "--model",
          name,
          "--backend",
          "cpu",
          "--score-threshold",
          "0.001",
          "--max-detections",
          "7",
          "--json",
          json,
        );
        return {
          code,
          said,
          results: JSON.parse(readFileSync(json, "utf8")) as { category_id: number; category_name: string }[],
        };
      }),
    );
    expect(found[1]).toEqual(found[0]);
    expect(found[1]!.results).toHaveLength(7);
    for (const { category_id, category_name } of found[1]!.results)
      expect(categories).toContainEqual({ id: category_id, name: category_name });
  });

  it("and is converted again", async () => {
    const half = join(folder, "half.safetensors");
    expect(await mrcnn("convert", out, "--out", half, "--dtype", "float16")).toMatchObject({ code: 0 });
    const read = await readWeights(readFileSync(half), half);
    expect(read.metadata).toMatchObject({
      source: "mrcnn",
      dtype: "float16",
      categories: JSON.stringify(categories),
    });
    expect(plain(read.arrays)).toEqual(
      plain(dequantize(readSafetensors(writeSafetensors(quantize(weights, "float16")), "expected"))),
    );
  });
});

describe("mrcnn convert, given something wrong, writes nothing", () => {
  const target = join(folder, "wrong", "out.safetensors");
  const refused = async (file: string, message: string | RegExp, ...more: string[]): Promise<void> => {
    const { code, out, err } = await convert(file, target, ...more);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err.split("\n")).toHaveLength(1);
    expect(err).toMatch(message);
    expect(
      existsSync(target) ||
        (existsSync(join(folder, "wrong")) && readdirSync(join(folder, "wrong")).length > 0),
    ).toBe(false);
  };
  const file = (name: string, content: string | Uint8Array): string => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };

  it("a file that is missing", () =>
    refused(join(folder, "gone.pth"), /^error: .*gone\.pth: the weights can't be read: .*Check the path/));
  it("a folder", () => refused(folder, /the weights can't be read/));
  it("a file that is empty", () =>
    refused(file("empty.pth", ""), /empty\.pth: a file of weights must be .*got an empty file/));
  it("an image", () => refused(file("photo.pth", Uint8Array.of(0xff, 0xd8, 0xff, 0xe0)), /got a JPEG image/));
  it("a file that is cut", () =>
    refused(
      file("cut.safetensors", readFileSync(source).subarray(0, 100_000)),
      /cut\.safetensors: .*(should end at|ends at)/,
    ));
  it("weights that lack some", () => {
    const part = new Map(
      [...toTorch(arrays)].filter(([name]) => !name.startsWith("roi_heads.box_predictor")),
    );
    return refused(
      file("part.safetensors", writeSafetensors(part)),
      /part\.safetensors: roi_heads\.box_predictor\.cls_score\.bias is missing/,
    );
  });
  it("weights of another library", async () => {
    const { code, err } = await mrcnn(
      "convert",
      source,
      "--from",
      "matterport",
      "--model",
      "m",
      "--out",
      target,
    );
    expect(code).toBe(1);
    expect(err).toContain(
      `${source}: these are weights of torchvision, not of matterport. Say --from torchvision.`,
    );
  });
  it("weights of another library, without saying so", async () => {
    const { code, err } = await mrcnn("convert", source, "--out", target);
    expect(code).toBe(1);
    expect(err).toContain(
      `${source}: these are weights of torchvision, not of this project. Say --from torchvision.`,
    );
  });
  it("metadata that says nonsense", async () => {
    const bad = (name: string, metadata: Record<string, string>): string =>
      file(name, writeSafetensors(arrays, { format: "mrcnn", ...metadata }));
    for (const [path, message] of [
      [bad("json.safetensors", { config: "{" }), /json\.safetensors: its metadata's config must be JSON/],
      [
        bad("config.safetensors", { config: JSON.stringify({ ...config, widht: 3 }) }),
        /config\.safetensors: its metadata's config: .*widht/,
      ],
      [
        bad("names.safetensors", { categories: '["a"]' }),
        /names\.safetensors: its metadata's categories: 0: expected Object, got "a"/,
      ],
      [
        bad("count.safetensors", { categories: '[{"id":1,"name":"a"}]' }),
        /count\.safetensors: the weights tell 3 classes apart, but its metadata names 1\. Give 3 names as --classes/,
      ],
    ] as const) {
      const { code, err } = await mrcnn("convert", path, "--out", target);
      expect([code, err]).toEqual([1, expect.stringMatching(message)]);
    }
  });
  it("this project's own training", () =>
    refused(
      file("own.safetensors", writeSafetensors(arrays, { format: "mrcnn" })),
      /these weights are this project's own, as `mrcnn train` writes them/,
    ));
  it("weights of another network than the catalog's", async () => {
    const { code, err } = await mrcnn(
      "convert",
      source,
      "--from",
      "torchvision",
      "--model",
      "maskrcnn_resnet50_fpn",
      "--out",
      target,
    );
    expect(code).toBe(1);
    expect(err).toMatch(
      /theirs\.safetensors: maskrcnn_resnet50_fpn has ResNet-50; these weights are of a network with ResNet-18/,
    );
  });
  it("an image that is missing", () =>
    refused(source, /gone\.jpg: the image is missing/, "--check", join(folder, "gone.jpg")));
  it("a weight that float16 can't hold", () => {
    const large = new Map(toTorch(arrays));
    const name = "roi_heads.box_head.fc6.weight";
    large.set(name, {
      shape: large.get(name)!.shape,
      data: large.get(name)!.data.map((v, i) => (i === 0 ? 1e6 : v)),
    });
    return refused(
      file("large.safetensors", writeSafetensors(large)),
      `tensor ${name}: float16 holds values up to 65504, got 1000000`,
      "--dtype",
      "float16",
    );
  });

  it("a folder that stands where a shard should", async () => {
    const blocked = join(folder, "blocked");
    mkdirSync(join(blocked, "out.safetensors"), { recursive: true });
    const { code, err } = await convert(source, join(blocked, "out.safetensors"));
    expect(code).toBe(1);
    expect(err).toMatch(/^error: /);
    expect(readdirSync(blocked)).toEqual(["out.safetensors"]);
  });

  it.each<[string, string[], string]>([
    [
      "an unknown library",
      ["convert", "x", "--from", "keras", "--model", "m", "--out", "y.safetensors"],
      "Allowed choices are torchvision, detectron2, matterport",
    ],
    [
      "no --model",
      ["convert", "x", "--from", "torchvision", "--out", "y.safetensors"],
      "--from needs --model NAME",
    ],
    [
      "a model of another library",
      ["convert", "x", "--from", "detectron2", "--model", "maskrcnn_resnet50_fpn", "--out", "y.safetensors"],
      "--model maskrcnn_resnet50_fpn is torchvision's. Say --from torchvision.",
    ],
    [
      "another extension",
      ["convert", "x", "--from", "torchvision", "--model", "m", "--out", "y.pth"],
      `--out must end in .safetensors, got "y.pth".`,
    ],
    [
      "itself as --out",
      ["convert", "y.safetensors", "--from", "torchvision", "--model", "m", "--out", "./y.safetensors"],
      "--out is the file to convert.",
    ],
    [
      "shards of no size",
      ["convert", "x", "--from", "torchvision", "--model", "m", "--out", "y.safetensors", "--shards", "0"],
      "It must be a number above 0.",
    ],
    [
      "an unknown dtype",
      ["convert", "x", "--from", "torchvision", "--model", "m", "--out", "y.safetensors", "--dtype", "int4"],
      "Allowed choices are float32, float16, int8",
    ],
  ])("%s is wrong usage", async (_, args, message) => {
    const { code, err } = await mrcnn(...args);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });
});
