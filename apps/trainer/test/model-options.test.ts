import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import "@tensorflow/tfjs";
import { setBackend } from "@tensorflow/tfjs-core";
import { createRandom } from "@mrcnn/core";
import type { HostArray } from "@mrcnn/core";
import { writeImageFile } from "@mrcnn/datasets/node";
import { createMaskRcnn, maskRcnnConfig } from "@mrcnn/model";
import {
  readSafetensors,
  readSafetensorsMetadata,
  toArrays,
  toTorch,
  writeSafetensors,
} from "@mrcnn/weights";
import { beforeAll, describe, expect, it } from "vitest";
import { guesses } from "../src/model-source.ts";
import { readModelOptions } from "../src/model-options.ts";
import { mrcnn, temporaryFolder } from "./command.ts";
import type { Outcome } from "./command.ts";

const folder = temporaryFolder();
const weights = join(folder, "own.safetensors");
const photo = join(folder, "photo.png");
const at = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

// A narrow network of two classes, as torch saves it: it says nothing of itself.
beforeAll(async () => {
  await setBackend("cpu");
  const random = createRandom(3);
  await writeImageFile(photo, {
    width: 80,
    height: 60,
    data: Uint8Array.from({ length: 80 * 60 * 3 }, () => random.int(256)),
  });
  const model = createMaskRcnn(
    maskRcnnConfig({
      classes: ["a", "b"],
      backbone: { width: 8 },
      fpn: { channels: 8 },
      box: { representation: 16 },
      maskHead: { layers: [8], channels: 8 },
    }),
    createRandom(1),
  );
  writeFileSync(weights, writeSafetensors(toTorch(await toArrays(model.variables))));
  model.dispose();
});

const detect = (...args: string[]): Promise<Outcome> =>
  mrcnn(
    "detect",
    photo,
    "--model",
    weights,
    "--backend",
    "cpu",
    "--min-size",
    "64",
    "--max-size",
    "96",
    "--score-threshold",
    "0.001",
    "--max-detections",
    "20",
    ...args,
  );
interface FoundObject {
  readonly category_id: number;
  readonly category_name: string;
  readonly bbox: number[];
}
const readFound = (path: string): FoundObject[] => JSON.parse(readFileSync(path, "utf8")) as FoundObject[];

describe("names of classes", () => {
  it.each<[string, string[]]>([
    ["cat,dog", ["cat", "dog"]],
    [" traffic light , and/or ", ["traffic light", "and/or"]],
    ["person", ["person"]],
  ])("are read with commas between: %j", (text, expected) => {
    expect(readModelOptions({ classes: text }).classes).toEqual(expected);
  });

  it.each<[string, string, string[]]>([
    ["lines", "cat\ndog\n", ["cat", "dog"]],
    [
      "Windows's lines, a byte order mark, blanks behind",
      "\ufeffcat\r\nhot dog  \r\n\r\n",
      ["cat", "hot dog"],
    ],
    ["names with commas", "cat, black\ndog", ["cat, black", "dog"]],
  ])("are read from a file of %s", (name, content, expected) => {
    expect(readModelOptions({ classes: at(`${name.slice(0, 5)}.txt`, content) }).classes).toEqual(expected);
  });

  it.each<[string, RegExp]>([
    ["cat,,dog", /--classes cat,,dog: name 2 is empty/],
    ["cat,cat", /"cat" is there twice/],
    ["names/classes.txt", /--classes names\/classes\.txt: no such file/],
    ["classes.names", /no such file/],
  ])("are refused: %s", (text, message) => {
    expect(() => readModelOptions({ classes: text })).toThrow(message);
  });

  it("are refused from files that hold no names", () => {
    expect(() => readModelOptions({ classes: at("json.txt", '["cat", "dog"]') })).toThrow(
      /must hold one name a line, label 1 first, got/,
    );
    expect(() => readModelOptions({ classes: at("gap.txt", "cat\n\ndog\n") })).toThrow(/line 2 is empty/);
  });
});

describe("mrcnn detect", () => {
  it("says which of several sets of weights it takes, and what it leaves out", async () => {
    const arrays = readSafetensors(readFileSync(weights), weights);
    const under = (prefix: string): [string, HostArray][] =>
      [...arrays].map(([name, array]) => [prefix + name, array]);
    const file = at(
      "two.safetensors",
      writeSafetensors(
        new Map([
          ...under("ema."),
          ["criterion.weight", { shape: [1], data: new Float32Array(1) }],
          ...under("model."),
        ]),
      ),
    );
    const { code, err } = await mrcnn(
      "detect",
      photo,
      "--model",
      file,
      "--backend",
      "cpu",
      "--max-size",
      "96",
      "--min-size",
      "64",
      "--json",
      join(folder, "two.json"),
    );
    expect(code).toBe(0);
    expect(err.split("\n").filter((line) => line.startsWith(`${file}: `))).toEqual([
      `${file}: The file holds 2 sets of weights ("model", "ema"): "model" is taken, which was trained, not the average.`,
      `${file}: Beside the model the file holds criterion.weight, which is left out.`,
    ]);
  });

  it("says in a line each what is assumed and that classes have no names, and takes both", async () => {
    const plain = join(folder, "plain.json");
    const { code, err, out } = await detect("--json", plain);
    expect(code).toBe(0);
    expect(err.split("\n").filter((line) => line.startsWith(weights))).toEqual([
      `${weights} does not say, so this is assumed: numerics="torchvision" anchors.sizes=[[32],[64],[128],[256],[512]] anchors.aspectRatios=[0.5,1,2] backbone.eps=0 backbone.strideIn1x1=false image.channelOrder="rgb" image.mean=[0.485,0.456,0.406] image.std=[0.229,0.224,0.225]. Say otherwise with --set path=value or --config FILE.`,
      `${weights} has no names for its 2 classes: --classes gives them, or --model NAME --weights ${weights} if it is one of the catalog's.`,
    ]);
    expect(out).toMatch(/class [12] \(best/);
    const said = join(folder, "said.json");
    const named = await detect(
      "--json",
      said,
      "--classes",
      "cell,nucleus",
      "--set",
      "anchors.sizes=[[8],[16],[32],[64],[128]]",
      "--set",
      "backbone.eps=1e-5",
    );
    expect(named.code).toBe(0);
    expect(named.err).not.toMatch(/anchors\.sizes|eps|names/);
    for (const { category_id, category_name } of readFound(said))
      expect(category_name).toBe(["cell", "nucleus"][category_id - 1]);
    const boxes = (path: string): number[][] => readFound(path).map(({ bbox }) => bbox);
    expect(boxes(said)).not.toEqual(boxes(plain));
    // The same from a file: a model's config, or a run's.
    const model = { anchors: { sizes: [[8], [16], [32], [64], [128]] }, backbone: { eps: 1e-5 } };
    for (const [name, content] of [
      ["model.json", model],
      ["run.json", { model, data: {}, training: {} }],
    ] as const) {
      const json = join(folder, `by-${name}`);
      expect(await detect("--json", json, "--config", at(name, JSON.stringify(content)))).toMatchObject({
        code: 0,
      });
      expect(boxes(json)).toEqual(boxes(said));
    }
  });

  it.each<[string[], number, RegExp]>([
    [["--classes", "a,b,c"], 1, /the weights tell 2 classes apart, 3 names were given\. Give 2 as --classes/],
    [["--set", "backbone.epss=1"], 2, /backbone\.epss is not a known key\. Did you mean "backbone\.eps"\?/],
    [["--set", "backbone.eps"], 2, /write it as path=value, for example backbone\.eps=1e-5/],
    [["--set", "backbone.eps=-1"], 1, /--set or --config: backbone\.eps: expected >=0, got -1/],
    [["--set", "backbone.depth=101"], 1, /backbone\.depth is 101, but these weights have 50/],
    [
      ["--set", "anchors.sizes=[[8,16],[16],[32],[64],[128]]"],
      1,
      /anchors\.sizes must list as many sizes on each level/,
    ],
    [["--set", "box.scoreThreshold=0.3"], 2, /say it with --score-threshold/],
    [["--set", "rpn.training.preNmsTopK=3"], 2, /read in training alone/],
    [["--min-size", "128", "--max-size", "96"], 2, /--min-size must be at most --max-size, got 128 and 96/],
    [["--max-detections", "20000"], 2, /--max-detections must be a whole number from 1 to 10000, got 20000/],
    [["--config", "/nowhere/model.json"], 1, /The config \/nowhere\/model\.json does not exist/],
  ])("%j is refused", async (args, code, message) => {
    const outcome = await detect(...args);
    expect(outcome.err.split("\n").at(-1)).toMatch(message);
    expect(outcome.code).toBe(code);
  });

  it("refuses a file that holds no model's config", async () => {
    expect((await detect("--config", at("list.json", "[1]"))).err).toMatch(
      /list\.json: must hold a model's config/,
    );
    expect((await detect("--config", at("other.json", '{"anchor": {}}'))).err).toMatch(
      /other\.json: "anchor" is no key of a model's config/,
    );
  });
});

describe("mrcnn convert", () => {
  const convert = (...args: string[]): Promise<Outcome> =>
    mrcnn("convert", weights, "--from", "torchvision", "--model", "mine", ...args);

  it("writes what was said into the file, which then says it", async () => {
    const out = join(folder, "named.safetensors");
    const { code, err } = await convert(
      "--out",
      out,
      "--classes",
      "cell,nucleus",
      "--set",
      "backbone.eps=1e-5",
    );
    expect(code).toBe(0);
    expect(err).toMatch(/is assumed: numerics/);
    expect(err).not.toMatch(/eps|names/);
    const metadata = readSafetensorsMetadata(readFileSync(out), out);
    expect(JSON.parse(metadata["categories"]!)).toEqual([
      { id: 1, name: "cell" },
      { id: 2, name: "nucleus" },
    ]);
    expect(JSON.parse(metadata["config"]!)).toMatchObject({
      classes: ["cell", "nucleus"],
      backbone: { eps: 1e-5 },
    });
    const again = await mrcnn(
      "detect",
      photo,
      "--model",
      out,
      "--backend",
      "cpu",
      "--min-size",
      "64",
      "--score-threshold",
      "0.001",
    );
    expect(again.code).toBe(0);
    expect(again.err).not.toMatch(/assumed|names/);
    expect(again.out).toMatch(/cell|nucleus/);
  });

  it("writes no names that nobody gave, and nothing at all for a wrong number", async () => {
    const out = join(folder, "unnamed.safetensors");
    expect((await convert("--out", out)).err).toMatch(/has no names for its 2 classes/);
    expect(
      guesses(out, {
        assumed: [],
        notes: [],
        categories: JSON.parse(readSafetensorsMetadata(readFileSync(out), out)["categories"]!) as [],
      }),
    ).toHaveLength(1);
    const wrong = join(folder, "wrong.safetensors");
    expect(await convert("--out", wrong, "--classes", "one")).toMatchObject({ code: 1 });
    expect(existsSync(wrong)).toBe(false);
  });
});

describe("mrcnn eval", () => {
  it("refuses classes without names, which no annotations can be told by", async () => {
    mkdirSync(join(folder, "images"), { recursive: true });
    await writeImageFile(join(folder, "images", "photo.png"), {
      width: 32,
      height: 32,
      data: new Uint8Array(32 * 32 * 3),
    });
    const annotations = at(
      "gt.json",
      JSON.stringify({
        images: [{ id: 1, file_name: "photo.png", width: 32, height: 32 }],
        categories: [
          { id: 5, name: "cell" },
          { id: 9, name: "nucleus" },
        ],
        annotations: [
          {
            id: 1,
            image_id: 1,
            category_id: 5,
            bbox: [2, 2, 8, 8],
            area: 64,
            iscrowd: 0,
            segmentation: [[2, 2, 10, 2, 10, 10, 2, 10]],
          },
        ],
      }),
    );
    const evaluate = (...args: string[]): Promise<Outcome> =>
      mrcnn(
        "eval",
        "--model",
        weights,
        "--images",
        join(folder, "images"),
        "--annotations",
        annotations,
        "--backend",
        "cpu",
        "--min-size",
        "32",
        "--max-size",
        "32",
        ...args,
      );
    const { code, err } = await evaluate();
    expect(code).toBe(1);
    expect(err.split("\n").at(-1)).toBe(
      `error: ${annotations}: the model's 2 classes have no names, so which are "cell" can't be told. Name them with --classes, label 1 first.`,
    );
    expect(await evaluate("--classes", "nucleus,cell")).toMatchObject({ code: 0 });
    expect(
      await mrcnn(
        "eval",
        "--results",
        annotations,
        "--annotations",
        annotations,
        "--iou-type",
        "bbox",
        "--classes",
        "a,b",
      ),
    ).toMatchObject({ code: 2, err: expect.stringContaining("--classes goes with --model") as string });
  });
});
