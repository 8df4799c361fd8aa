// What each command is handed for what is typed: its defaults, its values as numbers and lists, and what is refused.
import { beforeEach, describe, expect, it, vi } from "vitest";
import { main } from "../src/main.ts";
import { createProgram } from "../src/program.ts";
import { mrcnn } from "./command.ts";

const { ran, record } = vi.hoisted(() => {
  const ran: unknown[][] = [];
  const record =
    (name: string) =>
    async (...args: unknown[]): Promise<number> => {
      ran.push([name, ...args.slice(0, -1)]);
      return 0;
    };
  return { ran, record };
});
vi.mock("../src/commands/bench.ts", () => ({ bench: record("bench") }));
vi.mock("../src/commands/convert.ts", async (original) => ({
  ...(await original<object>()),
  convert: record("convert"),
}));
vi.mock("../src/commands/detect.ts", () => ({ detect: record("detect") }));
vi.mock("../src/commands/doctor.ts", () => ({ doctor: record("doctor") }));
vi.mock("../src/commands/eval.ts", () => ({ evaluate: record("eval") }));
vi.mock("../src/commands/inspect.ts", () => ({ inspect: record("inspect") }));
vi.mock("../src/commands/models.ts", () => ({ listModels: record("models") }));
vi.mock("../src/commands/shapes.ts", () => ({ writeShapes: record("shapes") }));
vi.mock("../src/commands/train.ts", () => ({ train: record("train") }));

beforeEach(() => void (ran.length = 0));

const backend = "auto";
const ofModel = { backend, set: [] };
const unloaded = { offline: false, redownload: false };

describe("a command is handed", () => {
  it.each<[string, unknown[]]>([
    ["train c.json --out r", ["train", "c.json", { backend, set: [], resume: false, out: "r" }]],
    ["train --out r --resume", ["train", undefined, { backend, set: [], resume: true, out: "r" }]],
    [
      "eval --annotations a.json",
      ["eval", { ...ofModel, ...unloaded, annotations: "a.json", skipUnreadable: false }],
    ],
    [
      "detect a.png b --model m",
      [
        "detect",
        ["a.png", "b"],
        { ...ofModel, ...unloaded, model: "m", scoreThreshold: 0.5, recursive: false },
      ],
    ],
    [
      "convert w.pth --out o.safetensors",
      ["convert", "w.pth", { ...ofModel, out: "o.safetensors", dtype: "float32" }],
    ],
    ["inspect", ["inspect", { backend, set: [], samples: 12 }]],
    ["shapes --out d", ["shapes", { backend, out: "d", count: 100 }]],
    ["models", ["models", { backend }]],
    [
      "bench",
      [
        "bench",
        {
          backend,
          model: "maskrcnn_resnet50_fpn",
          size: { height: 512, width: 512 },
          batch: 1,
          train: false,
          rounds: 3,
          allBackends: false,
        },
      ],
    ],
    ["doctor", ["doctor", { backend }]],
  ])("its defaults: %s", async (line, expected) => {
    expect(await mrcnn(...line.split(" "))).toEqual({ code: 0, out: "", err: "" });
    expect(ran).toEqual([expected]);
  });

  const how = "--backend webgpu --seed 0 --verbose --precision float16 --memory-limit 0.5";
  const howSaid = { backend: "webgpu", seed: 0, verbose: true, precision: "float16", memoryLimit: 0.5 };
  const said = "--classes a,b --config m.json --set backbone.eps=0 --set box.poolSize=4";
  const saidOfModel = { classes: "a,b", config: "m.json", set: ["backbone.eps=0", "box.poolSize=4"] };
  const from = "--weights w.pth --cache c --offline --redownload";
  const fromSaid = { weights: "w.pth", cache: "c", offline: true, redownload: true };
  it.each<[string, unknown[]]>([
    [
      `train c.json --out r --set a=1 --set b=2 ${how}`,
      ["train", "c.json", { ...howSaid, out: "r", set: ["a=1", "b=2"], resume: false }],
    ],
    [
      `eval ${how} ${said} ${from} --model m --images i --annotations a.json --results r.json --iou-type segm --score-threshold 1 --max-detections 20 --min-size 1 --max-size 64 --orientation exif --skip-unreadable --json j --html h`,
      [
        "eval",
        {
          ...howSaid,
          ...saidOfModel,
          ...fromSaid,
          model: "m",
          images: "i",
          annotations: "a.json",
          results: "r.json",
          iouType: "segm",
          scoreThreshold: 1,
          maxDetections: 20,
          minSize: 1,
          maxSize: 64,
          orientation: "exif",
          skipUnreadable: true,
          json: "j",
          html: "h",
        },
      ],
    ],
    [
      `detect a.png ${how} ${said} ${from} --model m --score-threshold 0 --max-detections 20 --min-size 1 --max-size 64 --max-pixels 9 --recursive --json j --overlay o`,
      [
        "detect",
        ["a.png"],
        {
          ...howSaid,
          ...saidOfModel,
          ...fromSaid,
          model: "m",
          scoreThreshold: 0,
          maxDetections: 20,
          minSize: 1,
          maxSize: 64,
          maxPixels: 9,
          recursive: true,
          json: "j",
          overlay: "o",
        },
      ],
    ],
    [
      `convert w.pth ${said} --backend cpu --seed 4 --from matterport --model m --out o.safetensors --dtype int8 --shards 0.5 --check p.png --json j`,
      [
        "convert",
        "w.pth",
        {
          ...saidOfModel,
          backend: "cpu",
          seed: 4,
          from: "matterport",
          model: "m",
          out: "o.safetensors",
          dtype: "int8",
          shards: 0.5,
          check: "p.png",
          json: "j",
        },
      ],
    ],
    [
      "inspect --images i --annotations a.json --config c.json --set a=1 --set b=2 --html h --samples 3 --json j",
      [
        "inspect",
        {
          backend,
          images: "i",
          annotations: "a.json",
          config: "c.json",
          set: ["a=1", "b=2"],
          html: "h",
          samples: 3,
          json: "j",
        },
      ],
    ],
    ["shapes --out d --count 1 --seed 7", ["shapes", { backend, out: "d", count: 1, seed: 7 }]],
    ["models --cache c --json j", ["models", { backend, cache: "c", json: "j" }]],
    [
      `bench ${how} --model m --weights w.pth --size 32x64 --batch 2 --train --rounds 1 --all-backends --json j`,
      [
        "bench",
        {
          ...howSaid,
          model: "m",
          weights: "w.pth",
          size: { height: 32, width: 64 },
          batch: 2,
          train: true,
          rounds: 1,
          allBackends: true,
          json: "j",
        },
      ],
    ],
    [
      "bench --size 96 --threads 2 --backend wasm",
      [
        "bench",
        {
          backend: "wasm",
          threads: 2,
          model: "maskrcnn_resnet50_fpn",
          size: { height: 96, width: 96 },
          batch: 1,
          train: false,
          rounds: 3,
          allBackends: false,
        },
      ],
    ],
    ["doctor --json j --verbose", ["doctor", { backend, json: "j", verbose: true }]],
  ])("what is said: %s", async (line, expected) => {
    expect(await mrcnn(...line.split(" "))).toEqual({ code: 0, out: "", err: "" });
    expect(ran).toEqual([expected]);
  });
});

describe("a value that can't be meant is refused before anything runs", () => {
  const WHOLE = "It must be a whole number from 1 up.";
  const POSITIVE = "It must be a number above 0.";
  const SEED = "It must be a whole number from 0 up.";
  const FRACTION = "It must be a number from 0 to 1.";
  const SIZE = "It must be HEIGHTxWIDTH in pixels, or one side, from 32 up.";
  it.each<[string, string, string[], string]>([
    ["shapes --out d", "--count <n>", ["0", "1.5", "-1", "", " ", "x", "Infinity"], WHOLE],
    ["bench", "--batch <n>", ["0", "2.5"], WHOLE],
    ["bench", "--rounds <n>", ["0"], WHOLE],
    ["bench", "--threads <n>", ["0"], WHOLE],
    ["bench", "--memory-limit <MB>", ["0", "-1", "", "Infinity", "x"], POSITIVE],
    ["shapes --out d", "--seed <n>", ["-1", "0.5", ""], SEED],
    ["detect a.png --model m", "--score-threshold <x>", ["-0.1", "1.1", "", "NaN"], FRACTION],
    [
      "bench",
      "--size <HxW>",
      ["31", "31x64", "64x31", "64x", "x64", "64x64x64", "64x64 ", " 64", "64.5", ""],
      SIZE,
    ],
  ])("by %s, for %s: %j", async (line, option, values, reason) => {
    for (const value of values) {
      const outcome = await mrcnn(...line.split(" "), `${option.split(" ")[0]}=${value}`);
      expect(outcome).toEqual({
        code: 2,
        out: "",
        err: `error: option '${option}' argument '${value}' is invalid. ${reason}\n(--help shows how)`,
      });
    }
    expect(ran).toEqual([]);
  });

  it.each([
    ["--backend", "gpu", "auto, tensorflow, webgpu, wasm, cpu"],
    ["--precision", "half", "float32, bf16, tf32, float16"],
    ["--iou-type", "mask", "bbox, segm, keypoints"],
    ["--orientation", "up", "stored, exif"],
  ])("%s %s is none of %s", async (option, value, choices) => {
    const { code, err } = await mrcnn("eval", "--annotations", "a.json", option, value);
    expect({ code, err: err.split("\n")[0]!.replace(/'--.*>'/, "OPTION") }).toEqual({
      code: 2,
      err: `error: option OPTION argument '${value}' is invalid. Allowed choices are ${choices}.`,
    });
  });

  it("is an option that the backend can't do", async () => {
    expect(await mrcnn("bench", "--backend", "webgpu", "--threads", "2")).toEqual({
      code: 2,
      out: "",
      err: "error: --threads 2: backend webgpu computes on the GPU. Leave it out.",
    });
    expect(ran).toEqual([]);
  });
});

describe("help", () => {
  const made = (): ReturnType<typeof createProgram> =>
    createProgram({ out() {}, note() {}, interactive: false }, () => {});
  const names = ["train", "eval", "detect", "convert", "inspect", "shapes", "models", "bench", "doctor"];
  it("says of every command and option what it is", () => {
    const program = made();
    expect(program.commands.map((command) => command.name())).toEqual(names);
    expect(program.description()).toBe("Mask R-CNN: train, evaluate and detect.");
    for (const command of program.commands) {
      expect(command.description(), command.name()).toMatch(/^[A-Z].*\.$/);
      for (const { flags, description } of command.options) {
        expect(description, `${command.name()} ${flags}`).toMatch(/^\S.{6,}[^.]$/);
        expect(description).not.toMatch(/undefined|NaN|object/);
      }
    }
  });

  // An option that is gone, or another's copy, shows here.
  const whole = ["--backend", "--seed", "--verbose"];
  const computing = [...whole, "--precision", "--threads", "--memory-limit"];
  const model = ["--classes", "--config", "--set"];
  const source = ["--model", "--weights", "--cache", "--offline", "--redownload"];
  const sizes = ["--score-threshold", "--max-detections", "--min-size", "--max-size"];
  it.each([
    ["train", [...computing, "--out", "--set", "--resume"]],
    [
      "eval",
      [
        ...computing,
        ...model,
        ...source,
        "--images",
        "--annotations",
        "--results",
        "--iou-type",
        ...sizes,
        "--orientation",
        "--skip-unreadable",
        "--json",
        "--html",
      ],
    ],
    [
      "detect",
      [...computing, ...model, ...source, ...sizes, "--max-pixels", "--recursive", "--json", "--overlay"],
    ],
    [
      "convert",
      [...whole, ...model, "--from", "--model", "--out", "--dtype", "--shards", "--check", "--json"],
    ],
    [
      "inspect",
      [...whole, "--images", "--annotations", "--config", "--set", "--html", "--samples", "--json"],
    ],
    ["shapes", [...whole, "--out", "--count"]],
    ["models", [...whole, "--cache", "--json"]],
    [
      "bench",
      [
        ...computing,
        "--model",
        "--weights",
        "--size",
        "--batch",
        "--train",
        "--rounds",
        "--all-backends",
        "--json",
      ],
    ],
    ["doctor", [...whole, "--json"]],
  ])("of %s names its options", (name, options) => {
    const command = made().commands.find((one) => one.name() === name)!;
    expect(command.options.map(({ long }) => long)).toEqual(options);
  });

  it.each(names)("of %s ends with examples of it, which the command line takes", async (name) => {
    const { code, out, err } = await mrcnn(name, "--help");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(new RegExp(`^Usage: mrcnn ${name} \\[options\\]`));
    const [, examples] = /\n\nExample:\n((?: {2}.*(?:\n|$))+)/.exec(out)!;
    const lines = examples!
      .replaceAll("\\\n", "")
      .trimEnd()
      .split("\n")
      .map((line) => line.trim().split(/\s+/));
    for (const [command, ...args] of lines) {
      expect(command).toBe("mrcnn");
      expect(args[0]).toBe(name);
      expect(await mrcnn(...args)).toEqual({ code: 0, out: "", err: "" });
    }
    expect(ran).toHaveLength(lines.length);
  });

  const exitCodes = `Exit codes:
  0    success
  1    it could not be done; one line on stderr says why and what to do
  2    wrong usage
  3    detect: some of the images, or all, could not be read; they are named on stderr, the others are done
  130  stopped by Ctrl-C`;
  it("tells the exit codes, and where results may go", async () => {
    expect((await mrcnn("--help")).out).toMatch(
      `\n\n${exitCodes}\n--json, --html and --results of every command take - for stdout; everything else is then on stderr.`,
    );
    expect((await mrcnn("detect", "--help")).out.endsWith(`\n\n${exitCodes}`)).toBe(true);
  });

  it("is on stdout when asked for, on stderr when the usage is wrong", async () => {
    const asked = await mrcnn("--help");
    expect(await mrcnn()).toEqual({ code: 2, out: "", err: asked.out });
    expect(asked).toMatchObject({ code: 0, err: "" });
    expect(await mrcnn("trian")).toEqual({
      code: 2,
      out: "",
      err: "error: unknown command 'trian'\n(Did you mean train?)\n(--help shows how)",
    });
  });
});

it("ends with the code of the command", async () => {
  const terminal = { out() {}, note() {}, interactive: false };
  const codes: number[] = [];
  const program = createProgram(terminal, (code) => codes.push(code));
  await program.parseAsync(["models"], { from: "user" });
  expect(codes).toEqual([0]);
  expect(await main(["models"], terminal)).toBe(0);
});
