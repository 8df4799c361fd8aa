// What `mrcnn convert` writes beside the weights, prints and refuses; readers, models and detections are stand-ins, so that every number is known.
import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeImageFile } from "@mrcnn/datasets/node";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { mrcnn, temporaryFolder, writeJson } from "./command.ts";

interface Machine {
  calls: unknown[][];
  weights: object;
  metadata: Record<string, string>;
  source: string;
  errors: { name: string; max: number; rms: number }[];
  /** Bytes of what is written. */
  size: number;
  pretrained: { categories: object[]; assumed: string[]; notes: string[] };
  difference: object;
  onWrite: () => void;
}
const here = vi.hoisted(() => ({}) as Machine);
vi.mock("@mrcnn/weights", async (original) => ({
  ...(await original<object>()),
  readWeights: async (bytes: Uint8Array, file: string) => {
    here.calls.push(["read", bytes.length, file]);
    return {
      source: here.source,
      norm: "frozen_batch_norm",
      metadata: here.metadata,
      arrays: new Map([["a", { shape: [1], data: new Float32Array(1) }]]),
    };
  },
  quantize: (arrays: ReadonlyMap<string, unknown>, dtype: string) => {
    here.calls.push(["quantize", [...arrays.keys()], dtype]);
    return `stored as ${dtype}`;
  },
  quantizationErrors: () => here.errors,
  writeSafetensors: (stored: string, metadata?: object) => {
    if (metadata !== undefined) here.calls.push(["write", stored, metadata]);
    here.onWrite();
    return new Uint8Array(here.size);
  },
  readSafetensors: (bytes: Uint8Array) => `${bytes.length} bytes`,
  dequantize: (read: string) => `weights of ${read}`,
  writeShards: (_stored: string, maxBytes: number, how: object) => {
    here.calls.push(["shards", maxBytes, how]);
    return {
      index: { metadata: { total_size: 5 }, weight_map: { a: "o-1.safetensors" } },
      shards: [1, 2].map((n) => ({ file: `o-${n}.safetensors`, bytes: new Uint8Array(n) })),
    };
  },
}));
vi.mock("@mrcnn/mask-rcnn", async (original) => ({
  ...(await original<object>()),
  createPretrained: ({ arrays }: { arrays: unknown }, options: object) => {
    here.calls.push(["create", typeof arrays === "string" ? arrays : "the source", options]);
    return {
      model: {
        config: { numerics: "torchvision", classes: ["a"] },
        dispose: () => here.calls.push(["dispose"]),
      },
      ...here.pretrained,
    };
  },
}));
vi.mock("@mrcnn/trainer/node", async (original) => ({
  ...(await original<object>()),
  readLatestWeights: async (folder: string, { onNote }: { onNote: (note: string) => void }) => {
    onNote(`a note on ${folder}`);
    return new Map([
      ["a", { shape: [3], data: new Float32Array(3) }],
      ["b", { shape: [2], data: new Uint8Array(2) }],
    ]);
  },
}));
vi.mock("../src/backend.ts", async (original) => ({
  ...(await original<object>()),
  startBackend: async (name: string) => void here.calls.push(["start", name]),
  chooseBackend: async ({ backend }: { backend: string }) => void here.calls.push(["choose", backend]),
}));
vi.mock("../src/detection.ts", () => ({
  detectImage: async (_model: unknown, { name }: { name: string }, settings: object) => {
    here.calls.push(["detect", name, settings]);
    return `detection ${here.calls.filter(([call]) => call === "detect").length}`;
  },
}));
vi.mock("../src/compare-detections.ts", () => ({
  compareDetections: (before: string, after: string) => {
    here.calls.push(["compare", before, after]);
    return here.difference;
  },
}));

beforeEach(() => {
  Object.assign(here, {
    calls: [],
    weights: {},
    metadata: {},
    source: "torchvision",
    errors: [],
    size: 1_000_000,
    pretrained: { categories: [{ id: 7, name: "nut" }], assumed: [], notes: [] },
    difference: {},
    onWrite: () => {},
  } satisfies Machine);
});
afterEach(() => expect(process.listenerCount("SIGINT")).toBe(0));

const folder = temporaryFolder();
const source = join(folder, "w.pth");
const large = join(folder, "large.pth");
const photo = join(folder, "photo.png");
beforeAll(async () => {
  for (const [file, size] of [
    [source, 4_000_000],
    [large, 12_340_000],
  ] as const) {
    writeFileSync(file, "");
    truncateSync(file, size);
  }
  await writeImageFile(photo, { width: 4, height: 4, data: new Uint8Array(48) });
});
const calls = (name: string): unknown[][] =>
  here.calls.filter(([one]) => one === name).map(([, ...rest]) => rest);
const own = ["--from", "torchvision", "--model", "mine"];
const out = join(folder, "o.safetensors");

describe("convert", () => {
  it("writes what the file is into it, and says that nothing has changed", async () => {
    here.metadata = { kept: "as it was", format: "pt", source: "torchvision" };
    here.source = "mrcnn";
    expect(await mrcnn("convert", source, "--out", out)).toEqual({
      code: 0,
      err: "",
      out: `${source}: 1 tensor, 4.00 MB\n${out}: float32, 1.00 MB (25.0 % of it)\nWeights are unchanged.`,
    });
    expect(readFileSync(out)).toHaveLength(1_000_000);
    const metadata = {
      kept: "as it was",
      format: "mrcnn",
      source: "torchvision",
      numerics: "torchvision",
      norm: "frozen_batch_norm",
      dtype: "float32",
      categories: '[{"id":7,"name":"nut"}]',
      config: '{"numerics":"torchvision","classes":["a"]}',
    };
    expect(calls("write")).toEqual([["stored as float32", metadata]]);
    expect(calls("read")).toEqual([[4_000_000, source]]);
    expect(calls("start")).toEqual([["cpu"]]);
    here.metadata = {};
    await mrcnn("convert", source, "--out", out);
    expect(calls("write").at(-1)![1]).toMatchObject({ source: "mrcnn" });
    here.source = "torchvision";
    await mrcnn("convert", source, "--out", out, ...own, "--classes", "x", "--set", "backbone.eps=0");
    expect(calls("write").at(-1)![1]).toMatchObject({ source: "torchvision", model: "mine" });
    expect(calls("create").at(-1)).toEqual([
      "the source",
      {
        classes: ["x"],
        config: { backbone: { eps: 0 } },
        names: { config: "--set or --config", classes: "--classes" },
        entry: undefined,
        where: source,
      },
    ]);
    expect(calls("dispose")).toHaveLength(calls("create").length);
    expect(calls("detect")).toEqual([]);
  });

  it("says what fewer bits cost: in the worst tensors, by magnitude and by RMS, and in the middle one", async () => {
    here.errors = [
      { name: "a", max: 0.001, rms: 0.0312 },
      { name: "b", max: 0.1, rms: 0.002 },
      { name: "c", max: 0.05, rms: 0.25 },
      { name: "d", max: 0.1, rms: 0.011 },
    ];
    here.size = 10_000_000;
    const json = join(folder, "o.json");
    const outcome = await mrcnn("convert", large, "--out", out, ...own, "--dtype", "int8", "--json", json);
    expect(outcome.out.split("\n")).toEqual([
      `${large}: 1 tensor, 12.3 MB`,
      // 10 of 12.34
      `${out}: int8, 10.0 MB (81.0 % of it)`,
      "Error of the 4 tensors in int8, the others are unchanged:",
      "  largest   10.0 % of the tensor's largest weight (b)",
      "  RMS       25.0 % of the weights' in the worst tensor (c), 3.1 % in the median",
    ]);
    expect(calls("quantize")).toEqual([[["a"], "int8"]]);
    const text = readFileSync(json, "utf8");
    expect(text).toMatch(/^\{\n {2}"from".*\}\n$/s);
    expect(JSON.parse(text)).toEqual({
      from: { file: large, bytes: 12_340_000, tensors: 1 },
      to: { files: [out], bytes: 10_000_000, dtype: "int8" },
      error: { tensors: 4, max: here.errors[1], rms: here.errors[2], medianRms: 0.0312 },
      tensors: here.errors,
    });
    here.size = 300_000;
    here.errors = here.errors.slice(0, 1);
    expect((await mrcnn("convert", source, "--out", out, ...own)).out.split("\n").slice(1)).toEqual([
      `${out}: float32, 0.30 MB (7.5 % of it)`,
      "Error of the 1 tensor in float32, the others are unchanged:",
      "  largest   0.10 % of the tensor's largest weight (a)",
      "  RMS       3.1 % of the weights' in the worst tensor (a), 3.1 % in the median",
    ]);
  });

  it("writes shards and their index, none of them alone", async () => {
    here.metadata = { kept: "as it was" };
    const json = join(folder, "shards.json");
    const outcome = await mrcnn("convert", source, "--out", out, ...own, "--shards", "0.5", "--json", json);
    const index = `${out}.index.json`;
    const text = readFileSync(index, "utf8");
    const bytes = 3 + text.length;
    const share = ((100 * bytes) / 4e6).toPrecision(2);
    expect(outcome.out.split("\n").slice(0, 2)).toEqual([
      `${source}: 1 tensor, 4.00 MB`,
      `2 files and ${index}: float32, 0.00 MB (${share} % of it)`,
    ]);
    expect(calls("shards")).toEqual([
      [
        500_000,
        { name: "o", metadata: expect.objectContaining({ kept: "as it was", model: "mine" }) as object },
      ],
    ]);
    expect(text).toMatch(/^\{\n {2}"metadata".*\}\n$/s);
    expect(JSON.parse(text)).toEqual({
      metadata: expect.objectContaining({ kept: "as it was", dtype: "float32", total_size: 5 }) as object,
      weight_map: { a: "o-1.safetensors" },
    });
    for (const n of [1, 2]) expect(readFileSync(join(folder, `o-${n}.safetensors`))).toHaveLength(n);
    expect(JSON.parse(readFileSync(json, "utf8"))).toMatchObject({
      to: { files: [join(folder, "o-1.safetensors"), join(folder, "o-2.safetensors"), index], bytes },
    });
  });

  it("--check runs the source's model and the written one, and says how their detections differ", async () => {
    const spread = { max: 1.234, median: 0.0456 };
    here.difference = {
      before: 5,
      after: 4,
      same: 3,
      boxes: spread,
      scores: { max: 0.25, median: 0.001 },
      masks: { max: 0.5, median: 0.02 },
      keypoints: { max: 2, median: 1 },
    };
    const json = join(folder, "check.json");
    const checked = ["--check", photo, "--backend", "wasm", "--json", json];
    const outcome = await mrcnn("convert", source, "--out", out, ...own, ...checked);
    expect(outcome.out.split("\n").slice(3)).toEqual([
      `${photo}: 5 objects with the source's weights, 4 with these; 3 are the same (class, and boxes of IoU 0.5 or more), which differ in`,
      "  boxes     by up to 1.2 pixels, 0.046 pixels in the median",
      "  scores    by up to 0.25, 0.0010 in the median",
      "  masks     by up to 50.0 % of the union, 2.0 % of the union in the median",
      "  keypoints by up to 2.0 pixels, 1.0 pixels in the median",
    ]);
    expect(calls("start")).toEqual([]);
    expect(calls("choose")).toEqual([["wasm"]]);
    expect(calls("compare")).toEqual([["detection 1", "detection 2"]]);
    expect(calls("detect")).toEqual([
      [photo, {}],
      [photo, {}],
    ]);
    // What a reader of the file gets.
    expect(calls("create").map(([weights]) => weights)).toEqual(["the source", "weights of 1000000 bytes"]);
    expect(calls("create")[1]![1]).toMatchObject({ where: out });
    expect(calls("dispose")).toHaveLength(2);
    expect(JSON.parse(readFileSync(json, "utf8"))).toMatchObject({
      check: { image: photo, before: 5, boxes: spread },
    });
    here.difference = { before: 1, after: 2, same: 1 };
    expect((await mrcnn("convert", source, "--out", out, ...own, ...checked)).out.split("\n").at(-1)).toBe(
      `${photo}: 1 object with the source's weights, 2 with these; 1 is the same (class, and boxes of IoU 0.5 or more), which differs in`,
    );
    here.difference = { before: 1, after: 0, same: 0 };
    const none = await mrcnn("convert", source, "--out", out, ...own, ...checked);
    expect(none.out.split("\n").slice(3)).toEqual([
      `${photo}: 1 object with the source's weights, 0 with these; 0 are the same (class, and boxes of IoU 0.5 or more).`,
    ]);
  });

  it("says what was chosen and assumed of the source", async () => {
    here.pretrained = {
      categories: [{ id: 1, name: "nut" }],
      assumed: ["backbone.eps=0"],
      notes: ["One is left out."],
    };
    expect((await mrcnn("convert", source, "--out", out, ...own)).err.split("\n")).toEqual([
      `${source}: One is left out.`,
      `${source} does not say, so this is assumed: backbone.eps=0. Say otherwise with --set path=value or --config FILE.`,
    ]);
  });

  it("takes a run's newest weights, with its config and what is said of it", async () => {
    const run = join(folder, "run");
    mkdirSync(run);
    writeJson(run, "config.json", {
      model: { classes: ["nut"], backbone: { depth: 18, width: 8 } },
      data: { train: { format: "shapes", shapes: { count: 1 } } },
      training: { steps: 1 },
    });
    here.size = 7;
    const outcome = await mrcnn("convert", run, "--out", out, "--classes", "bolt", "--check", photo);
    expect(outcome.err).toBe(`a note on ${join(run, "checkpoints")}`);
    // Three float32 and two bytes.
    expect(outcome.out.split("\n").slice(0, 2)).toEqual([
      `${run}: 2 tensors, 0.00 MB`,
      `${out}: float32, 0.00 MB (50.0 % of it)`,
    ]);
    const [, metadata] = calls("write")[0] as [string, Record<string, string>];
    expect(metadata).toMatchObject({ source: "mrcnn", norm: "frozen_batch_norm" });
    expect(calls("read")).toEqual([]);
    // What was said is in the weights' config by then.
    for (const [, options] of calls("create"))
      expect(Object.keys(options as object)).toEqual(["names", "entry", "where"]);
  });

  it("writes nothing when it is stopped before that", async () => {
    const never = join(folder, "never.safetensors");
    const json = join(folder, "never.json");
    let listening = 0;
    process.once("SIGINT", () => listening++);
    here.onWrite = () => void setImmediate(() => process.emit("SIGINT"));
    expect(await mrcnn("convert", source, "--out", never, ...own, "--json", json)).toEqual({
      code: 130,
      out: "",
      err: "\nStopping. Ctrl-C again quits at once.",
    });
    expect(listening).toBe(1);
    expect([existsSync(never), existsSync(json)]).toEqual([false, false]);
  });
});

describe("convert refuses", () => {
  const usage = (message: string): object => ({ code: 2, out: "", err: `error: ${message}` });
  const failed = (message: string): object => ({ code: 1, out: "", err: `error: ${message}` });
  it("what it can't write, and a model it can't be of", async () => {
    const o = ["--out", out];
    expect(await mrcnn("convert", "x", "--out", "y.pth")).toEqual(
      usage('--out must end in .safetensors, got "y.pth".'),
    );
    expect(await mrcnn("convert", out, "--out", join(folder, ".", "o.safetensors"))).toEqual(
      usage("--out is the file to convert. Name another."),
    );
    expect(await mrcnn("convert", "x", ...o, "--from", "matterport")).toEqual(
      usage("--from needs --model NAME: a name that `mrcnn models` lists, or one of your own."),
    );
    const known = ["--model", "maskrcnn_resnet50_fpn"];
    const whose = usage("--model maskrcnn_resnet50_fpn is torchvision's. Say --from torchvision.");
    expect(await mrcnn("convert", "x", ...o, ...known)).toEqual(whose);
    expect(await mrcnn("convert", "x", ...o, ...known, "--from", "detectron2")).toEqual(whose);
    expect(await mrcnn("convert", source, ...o, ...known, "--from", "torchvision")).toMatchObject({
      code: 0,
    });
    expect(calls("create").at(-1)![1]).toMatchObject({ entry: { name: "maskrcnn_resnet50_fpn" } });
    here.calls = [];
    expect(await mrcnn("convert", source, ...o, ...own, "--json", out)).toEqual(
      usage(`--out "${out}" and --json "${out}" are the same place. Name two.`),
    );
    expect(await mrcnn("convert", source, ...o, ...own, "--json", source)).toEqual(
      usage(`--json "${source}" would overwrite what is read: ${source}. Name another file.`),
    );
    expect(await mrcnn("convert", source, ...o, ...own, "--check", photo, "--json", photo)).toEqual(
      usage(`--json "${photo}" would overwrite what is read: ${photo}. Name another file.`),
    );
    expect(here.calls).toEqual([]);
  });

  it("weights of another library than is said", async () => {
    const o = ["--out", out];
    const ofOther = failed(
      `${source}: these are weights of torchvision, not of detectron2. Say --from torchvision.`,
    );
    expect(await mrcnn("convert", source, ...o, "--from", "detectron2", "--model", "m")).toEqual(ofOther);
    expect(await mrcnn("convert", source, ...o)).toEqual(
      failed(`${source}: these are weights of torchvision, not of this project. Say --from torchvision.`),
    );
    here.source = "mrcnn";
    expect(await mrcnn("convert", source, ...o, ...own)).toEqual(
      failed(
        `${source}: these weights are this project's own, as \`mrcnn train\` writes them, and are not torchvision's. Leave --from out.`,
      ),
    );
    // What this project has converted says itself whose it was.
    here.metadata = { source: "torchvision" };
    for (const more of [own, []])
      expect(await mrcnn("convert", source, ...o, ...more)).toMatchObject({ code: 0 });
    expect(await mrcnn("convert", source, ...o, "--from", "detectron2", "--model", "m")).toEqual(ofOther);
  });

  it("a file that can't be read", async () => {
    const gone = join(folder, "gone.pth");
    expect(await mrcnn("convert", gone, "--out", out)).toEqual(
      failed(`${gone}: the weights can't be read: it does not exist. Check the path.`),
    );
    const folder_ = join(folder, "folder");
    mkdirSync(folder_);
    expect(await mrcnn("convert", folder_, "--out", out)).toEqual(
      failed(`${folder_}: the weights can't be read: it is a folder. Name a file.`),
    );
  });
});
