// Where a model comes from, what is said of it, and what is refused; files and downloads are stand-ins.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { WeightsError } from "@mrcnn/core";
import { catalogEntry } from "@mrcnn/mask-rcnn";
import { maskRcnnConfig } from "@mrcnn/model";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CommandError, InterruptedError, UsageError } from "../src/errors.ts";
import { guesses, loadModel, runModel, runModelAs } from "../src/model-source.ts";
import type { LoadedModel, ModelSourceOptions } from "../src/model-source.ts";
import { temporaryFolder, writeJson } from "./command.ts";

interface Progress {
  readonly bytes: number;
  readonly total: number | undefined;
}
interface Machine {
  calls: unknown[][];
  assumed: string[];
  notes: string[];
  categories: { id: number; name: string }[];
  published: { name: string } | undefined;
  download: (told: (progress: Progress) => void, signal: AbortSignal) => Promise<object>;
  error: Error | undefined;
  readNotes: string[] | undefined;
}
const here = vi.hoisted(() => ({}) as Machine);
vi.mock("@mrcnn/mask-rcnn", async (original) => ({
  ...(await original<object>()),
  readWeightsFile: async (file: string) => {
    here.calls.push(["read", file]);
    return { arrays: `arrays of ${file}`, notes: here.readNotes };
  },
  createPretrained: (_weights: unknown, options: object) => {
    here.calls.push(["create", options]);
    if (here.error !== undefined) throw here.error;
    const { assumed, notes, categories } = here;
    return { model: "the model", assumed, notes, categories };
  },
  fileInCatalog: async () => here.published,
  downloadFile: async (
    what: object,
    { onProgress, signal, ...how }: { onProgress: (progress: Progress) => void; signal: AbortSignal },
  ) => {
    here.calls.push(["download", what, how]);
    return here.download(onProgress, signal);
  },
  forget: async (...args: unknown[]) => void here.calls.push(["forget", ...args]),
  modelOfWeights: (config: object, arrays: unknown, how: object) => {
    here.calls.push(["model", config, arrays, how]);
    return "the run's model";
  },
}));
vi.mock("@mrcnn/trainer/node", async (original) => ({
  ...(await original<object>()),
  readLatestWeights: async (folder: string, { onNote }: { onNote: (note: string) => void }) => {
    onNote(`a note on ${folder}`);
    return "the newest arrays";
  },
}));

const folder = temporaryFolder();
const categories = [
  { id: 3, name: "nut" },
  { id: 7, name: "bolt" },
];
let said: string[];
const load = (name: string, options: ModelSourceOptions = {}): Promise<LoadedModel> => {
  said = [];
  return loadModel(name, options, { out() {}, note: (line) => said.push(line), interactive: false });
};
const file = (name: string): string => {
  writeFileSync(join(folder, name), "");
  return join(folder, name);
};
const fetched = { path: "/cache/w.pth", downloaded: true, checkedBy: "catalog", sha256: "abc" };
beforeEach(() => {
  Object.assign(here, {
    calls: [],
    assumed: [],
    notes: [],
    categories,
    published: undefined,
    download: async () => fetched,
    error: undefined,
    readNotes: undefined,
  } satisfies Machine);
});
afterEach(() => expect(process.listenerCount("SIGINT")).toBe(0));

const names = { config: "--set or --config", classes: "--classes" };
const name = "maskrcnn_resnet50_fpn";
const entry = catalogEntry(name);

describe("loadModel of a file", () => {
  it("reads it, and says what was chosen, what is assumed and that names are missing", async () => {
    here.categories = [1, 2].map((id) => ({ id, name: `class ${id}` }));
    here.assumed = ["backbone.eps=0", 'image.channelOrder="rgb"'];
    here.notes = ["The average is taken."];
    const own = file("own.safetensors");
    expect(await load(own, { classes: "a,b", set: ["backbone.eps=0"] })).toEqual({
      model: "the model",
      categories: here.categories,
      settings: {},
    });
    expect(here.calls).toEqual([
      ["read", own],
      [
        "create",
        {
          classes: ["a", "b"],
          config: { backbone: { eps: 0 } },
          names,
          consume: true,
          entry: undefined,
          published: false,
          where: own,
        },
      ],
    ]);
    expect(said).toEqual([
      `${own}: The average is taken.`,
      `${own} does not say, so this is assumed: backbone.eps=0 image.channelOrder="rgb". Say otherwise with --set path=value or --config FILE.`,
      `${own} has no names for its 2 classes: --classes gives them, or --model NAME --weights ${own} if it is one of the catalog's.`,
    ]);
    await load(own, { quiet: true });
    expect(said).toEqual([]);
  });

  it("assumes nothing of an edge that is said", async () => {
    here.assumed = ["image.minSize=800", "image.maxSize=1333"];
    const own = file("edges.safetensors");
    const line = (...edges: string[]): string[] => [
      `${own} does not say, so this is assumed: ${edges.join(" ")}. Say otherwise with --set path=value or --config FILE.`,
    ];
    for (const [options, left] of [
      [{}, line(...here.assumed)],
      [{ minSize: 64 }, line("image.maxSize=1333")],
      [{ maxSize: 64 }, line("image.minSize=800")],
      [{ minSize: 64, maxSize: 64 }, []],
    ] as const) {
      await load(own, options);
      expect(said).toEqual(left);
    }
  });

  it("knows the catalog's own by its checksum", async () => {
    here.published = entry;
    const own = file("published.pth");
    await load(own);
    expect(said).toEqual([`${own} is maskrcnn_resnet50_fpn of the catalog, by its checksum.`]);
    expect(here.calls.at(-1)![1]).toMatchObject({ entry, published: true, where: own });
    await load(own, { quiet: true });
    expect(said).toEqual([]);
  });
});

describe("loadModel of the catalog", () => {
  it("downloads its weights, and says how far it is", async () => {
    here.download = async (told) => {
      told({ bytes: 1, total: undefined });
      told({ bytes: 0, total: 177_600_000 });
      told({ bytes: 5e6, total: 177_600_000 });
      return fetched;
    };
    await load(name, { cache: "c", offline: false, redownload: true });
    expect(said).toEqual(["Downloading the weights of maskrcnn_resnet50_fpn (178 MB)."]);
    expect(here.calls).toEqual([
      [
        "download",
        { url: entry.url, checksum: entry.checksum },
        { cacheDir: "c", offline: false, redownload: true },
      ],
      ["read", "/cache/w.pth"],
      ["create", { names, consume: true, entry, published: true, where: "/cache/w.pth" }],
    ]);
    here.download = async (told) => {
      told({ bytes: 12_400_000, total: 177_600_000 });
      return fetched;
    };
    await load(name);
    expect(said).toEqual([
      "Downloading the weights of maskrcnn_resnet50_fpn (178 MB), of which 12 MB are here already.",
    ]);
  });

  it("downloads nothing when there are weights, whose words they are then", async () => {
    here.assumed = ["image.minSize=800"];
    await load(name, { weights: "w.pth" });
    expect(here.calls).toEqual([
      ["read", "w.pth"],
      ["create", { names, consume: true, entry, published: false, where: "w.pth" }],
    ]);
    expect(said[0]).toMatch(/^w\.pth does not say, so this is assumed: image\.minSize=800\./);
  });

  it("tells the hash of what nobody publishes one of, at the first download alone", async () => {
    const words = `${name}: its source publishes no checksum; the SHA-256 of this first download, abc, is kept and looked at on every use.`;
    for (const [more, lines] of [
      [{ checkedBy: "first download" }, [words]],
      [{ checkedBy: "first download", downloaded: false }, []],
      [{}, []],
    ] as const) {
      here.download = async () => ({ ...fetched, ...more });
      await load(name);
      expect(said).toEqual(lines);
    }
  });

  it("forgets a first download that is no weights, and nothing else", async () => {
    const noWeights = new WeightsError("no weights");
    for (const [error, more, forgotten] of [
      [noWeights, { checkedBy: "first download" }, [["forget", entry.url, { cacheDir: "c" }]]],
      [noWeights, { checkedBy: "first download", downloaded: false }, []],
      [noWeights, {}, []],
      [new Error("no memory"), { checkedBy: "first download" }, []],
    ] as const) {
      here.calls = [];
      here.error = error;
      here.download = async () => ({ ...fetched, ...more });
      await expect(load(name, { cache: "c" })).rejects.toThrow(error);
      expect(here.calls.filter(([call]) => call === "forget")).toEqual(forgotten);
    }
    here.calls = [];
    await expect(load(name, { weights: "w.pth" })).rejects.toThrow("no memory");
  });

  it("stops a download when told to, and passes other errors on", async () => {
    here.download = async (_, signal) => {
      process.emit("SIGINT");
      expect(signal.aborted).toBe(true);
      throw new Error("aborted");
    };
    await expect(load(name)).rejects.toThrow(new InterruptedError("The download was stopped."));
    await expect(load(name)).rejects.toBeInstanceOf(InterruptedError);
    expect(said).toEqual(["\nStopping the download; what has come is kept. Ctrl-C again quits at once."]);
    here.download = () => Promise.reject(new WeightsError("not in the cache"));
    await expect(load(name)).rejects.toThrow(new WeightsError("not in the cache"));
  });
});

describe("loadModel refuses", () => {
  const here_ = "--redownload: the weights are a file that is here, and nothing is downloaded. Leave it out.";
  const own = file("refused.pth");
  it.each<[string, string, ModelSourceOptions, Error]>([
    [
      "--offline with --redownload",
      name,
      { offline: true, redownload: true },
      new UsageError("--offline and --redownload exclude each other."),
    ],
    ["--redownload with --weights", name, { redownload: true, weights: "w.pth" }, new UsageError(here_)],
    ["--redownload of a file", own, { redownload: true }, new UsageError(here_)],
    [
      "a file with --weights",
      own,
      { weights: "w.pth" },
      new UsageError(`--model ${own} is a file of weights itself. Leave --weights out.`),
    ],
    [
      "edges that contradict each other",
      name,
      { minSize: 128, maxSize: 96 },
      new UsageError("--min-size must be at most --max-size, got 128 and 96."),
    ],
    [
      "a folder that is no run",
      folder,
      {},
      new CommandError(
        `--model ${folder} has no config.json, so it is no run of \`mrcnn train\`. \`mrcnn models\` lists the catalog.`,
      ),
    ],
    [
      "a name that is like none",
      "something else entirely",
      {},
      new CommandError(
        "--model something else entirely is neither a run directory nor a file of weights, nor in the catalog. `mrcnn models` lists the catalog.",
      ),
    ],
    [
      "a name with a slip in it",
      "maskrcnn_resnet50_fnp",
      { redownload: true },
      new CommandError(
        '--model maskrcnn_resnet50_fnp is neither a run directory nor a file of weights, nor in the catalog. Did you mean "maskrcnn_resnet50_fpn"?',
      ),
    ],
  ])("%s", async (_, model, options, error) => {
    await expect(load(model, options)).rejects.toThrow(error);
    expect(here.calls).toEqual([]);
  });

  it("more detections than a model gives, in the words of the command", async () => {
    await expect(load(own, { maxDetections: 20_000 })).rejects.toThrow(
      /^--max-detections must be a whole number from 1 to 10000, got 20000\./,
    );
  });
});

describe("a run", () => {
  const shapes = { format: "shapes", shapes: { count: 1 } };
  const model = { classes: ["nut", "bolt"], backbone: { depth: 18, width: 8 } } as const;
  const evaluation = { scoreThreshold: 0.2, maxDetections: 9, minSize: 64, maxSize: 96, nativeSize: true };
  function run(label: string, more: object = {}): string {
    const path = join(folder, label);
    mkdirSync(path);
    writeJson(path, "config.json", {
      model,
      data: { train: shapes, categories },
      training: { steps: 1 },
      evaluation,
      ...more,
    });
    return path;
  }

  it("is loaded with its newest weights, or with those that are given", async () => {
    const path = run("load");
    expect(await load(path)).toEqual({ model: "the run's model", categories, settings: evaluation });
    const checkpoints = join(path, "checkpoints");
    const config = maskRcnnConfig(model);
    expect(said).toEqual([`a note on ${checkpoints}`]);
    expect(here.calls).toEqual([
      ["model", config, "the newest arrays", { where: checkpoints, configName: names.config }],
    ]);
    here.calls = [];
    here.readNotes = ["The average is taken."];
    await load(path, { weights: "w.pth", redownload: false });
    expect(said).toEqual(["w.pth: The average is taken."]);
    expect(here.calls).toEqual([
      ["read", "w.pth"],
      ["model", config, "arrays of w.pth", { where: "w.pth", configName: names.config }],
    ]);
    here.readNotes = undefined;
    await load(path, { weights: "w.pth" });
    expect(said).toEqual([]);
    await expect(load(path, { redownload: true })).rejects.toThrow("--redownload: the weights are a file");
  });

  it("has its own classes and settings", () => {
    expect(runModel(run("own"))).toEqual({ config: maskRcnnConfig(model), categories, settings: evaluation });
    // One that never named ids.
    expect(runModel(run("plain", { data: { train: shapes } })).categories).toEqual([
      { id: 1, name: "nut" },
      { id: 2, name: "bolt" },
    ]);
  });

  it("whose config contradicts itself is refused", () => {
    const path = run("odd", { data: { train: shapes, categories: categories.slice(1) } });
    expect(() => runModel(path)).toThrow(
      `${path}/config.json: data.categories and model.classes must be of the same length.`,
    );
    const wrong = run("wrong", { model: { ...model, image: { minSize: 900, maxSize: 100 } } });
    expect(() => runModel(wrong)).toThrow(
      `${wrong}/config.json: model: image.minSize must be at most image.maxSize, got 900 and 100.`,
    );
  });

  it("gives way to what is said", () => {
    const path = run("said");
    expect(runModelAs(path, {})).toEqual(runModel(path));
    const named = runModelAs(path, { classes: ["a", "b"] });
    expect(named.categories).toEqual([
      { id: 1, name: "a" },
      { id: 2, name: "b" },
    ]);
    expect(named.config).toEqual(maskRcnnConfig({ ...model, classes: ["a", "b"] }));
    expect(runModelAs(path, { config: { classes: ["a", "b"] } }).categories).toEqual(named.categories);
    const words = (count: number): string =>
      `--classes: ${path} tells 2 classes apart, ${count} names were given. The background has no name.`;
    expect(() => runModelAs(path, { classes: ["a", "b", "c"] })).toThrow(new UsageError(words(3)));
    expect(() => runModelAs(path, { classes: ["a"] })).toThrow(new UsageError(words(1)));
    expect(() => runModelAs(path, { config: { backbone: { eps: -1 } } })).toThrow(
      /^--set or --config: backbone\.eps/,
    );
  });

  it.each<[string, NonNullable<Parameters<typeof runModelAs>[1]["config"]>, object]>([
    ["its shorter edge", { image: { minSize: 32 } }, { minSize: undefined, nativeSize: undefined }],
    ["its longer edge", { image: { maxSize: 2000 } }, { maxSize: undefined, nativeSize: undefined }],
    ["its threshold", { box: { scoreThreshold: 0.1 } }, { scoreThreshold: undefined }],
    ["its number of detections", { box: { maxDetections: 5 } }, { maxDetections: undefined }],
    ["another part", { backbone: { eps: 0 } }, {}],
  ])("that is told %s forgets how it evaluated that", (label, config, changed) => {
    const path = run(`told ${label}`);
    expect(runModelAs(path, { config }).settings).toEqual({ ...evaluation, ...changed });
  });
});

describe("guesses", () => {
  it("are none of what says all", () => {
    expect(guesses("f", { categories, assumed: [], notes: [] })).toEqual([]);
    expect(guesses("f", { categories: [{ id: 1, name: "class 1" }], assumed: [], notes: [] })).toEqual([
      "f has no names for its 1 class: --classes gives them, or --model NAME --weights f if it is one of the catalog's.",
    ]);
  });
});
