// What a run goes on with: itself, or what was said on purpose.
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { lockRun } from "../src/run-lock.ts";
import { readMetrics } from "../src/run-log.ts";
import { mrcnn, temporaryFolder, tinyConfig, writeJson } from "./command.ts";
import type { Outcome } from "./command.ts";

const folder = temporaryFolder();
const shapes = join(folder, "shapes");
const first = join(folder, "first");
let config: string;

const train = (...args: string[]): Promise<Outcome> => mrcnn("train", ...args, "--backend", "wasm");
const weights = (run: string, step: number): Buffer =>
  readFileSync(join(run, "checkpoints", `step-0000000${step}`, "weights.safetensors"));
const copyOf = (name: string): string => {
  const path = join(folder, name);
  cpSync(first, path, { recursive: true });
  return path;
};
const configWith = (name: string, change: Record<string, object>): string =>
  writeJson(folder, name, { ...base(), ...change });
const base = (): typeof tinyConfig => ({
  ...tinyConfig,
  data: { train: { images: join(shapes, "images"), annotations: join(shapes, "annotations.json") } } as never,
  training: { ...tinyConfig.training, accumulate: 1, steps: 3, checkpointEvery: 1 },
});

beforeAll(async () => {
  expect(await mrcnn("shapes", "--out", shapes, "--count", "3", "--seed", "5")).toMatchObject({ code: 0 });
  config = writeJson(folder, "config.json", base());
  expect(await train(config, "--out", first)).toMatchObject({ code: 0 });
});

describe("--resume", () => {
  it("needs --out alone: it goes on with the run's own config, as the run without a stop does", async () => {
    const whole = join(folder, "whole");
    expect(await train(config, "--out", whole, "--set", "training.steps=5")).toMatchObject({ code: 0 });
    const run = copyOf("alone");
    expect(await train("--out", run, "--resume")).toMatchObject({
      code: 0,
      err: expect.stringContaining("All 3 steps are done."),
    });
    const { code, err } = await train("--out", run, "--resume", "--set", "training.steps=5");
    expect(code).toBe(0);
    expect(err).toContain("Changed from the run so far: training.steps 3 → 5.");
    expect(weights(run, 5).equals(weights(whole, 5))).toBe(true);
    expect(existsSync(join(run, "train.lock"))).toBe(false);
  });

  it("is what a missing config is for", async () => {
    expect(await train("--out", join(folder, "nothing"))).toMatchObject({
      code: 2,
      err: expect.stringContaining("a config file must be named"),
    });
    expect(existsSync(join(folder, "nothing"))).toBe(false);
  });

  it.each<[string, Record<string, object>, RegExp]>([
    [
      "rate",
      { optimizer: { ...tinyConfig.optimizer, rate: 0.05 } },
      /optimizer\.rate is 0\.05 in .*changed\.json, the run in .* has 0\.01\..*--set optimizer\.rate=0\.05/,
    ],
    [
      "milestones",
      { optimizer: { ...tinyConfig.optimizer, milestones: [2] } },
      /optimizer\.milestones is \[2\] in .*, the run in .* has \[3\]/,
    ],
    [
      "clipping",
      { optimizer: { ...tinyConfig.optimizer, clipNorm: undefined } as object },
      /optimizer\.clipNorm is nothing in .*, the run in .* has 5\. Leave the config out/,
    ],
    [
      "way with empty boxes",
      {
        data: {
          train: {
            images: join(shapes, "images"),
            annotations: join(shapes, "annotations.json"),
            degenerate: "drop",
          },
        },
      },
      /data\.train\.degenerate is "drop" in .*, the run in .* has nothing/,
    ],
  ])("another %s in the config is refused, with both values", async (name, change, message) => {
    const run = copyOf(`changed ${name}`);
    const before = readFileSync(join(run, "config.json"), "utf8");
    const { code, err } = await train(
      configWith("changed.json", change),
      "--out",
      run,
      "--resume",
      "--set",
      "training.steps=4",
    );
    expect(code).toBe(1);
    expect(err).toMatch(message);
    expect(readFileSync(join(run, "config.json"), "utf8")).toBe(before);
    expect(readMetrics(join(run, "metrics.jsonl"))).toHaveLength(3);
  });

  it("another optimizer that is said on purpose is taken, and said", async () => {
    const run = copyOf("on purpose");
    const { code, err } = await train(
      config,
      "--out",
      run,
      "--resume",
      "--set",
      "training.steps=4",
      "--set",
      "optimizer.rate=0.002",
      "--set",
      "optimizer.milestones=[]",
    );
    expect(code).toBe(0);
    expect(err).toContain("optimizer.rate 0.01 → 0.002; optimizer.milestones [3] → []");
    expect(
      readMetrics(join(run, "metrics.jsonl"))
        .map(({ lr }) => lr)
        .at(-1),
    ).toBe(0.002);
    expect(JSON.parse(readFileSync(join(run, "config.json"), "utf8"))).toMatchObject({
      optimizer: { rate: 0.002 },
    });
  });

  it.each([
    ["training.batchSize=2"],
    ["training.seed=4"],
    ["model.fpn.channels=16"],
    ["augment.flip=0"],
    ["training.initialWeights=x"],
  ])("%s can't change on the way", async (assignment) => {
    const { code, err } = await train("--out", first, "--resume", "--set", assignment);
    expect({ code, err }).toEqual({
      code: 1,
      err: expect.stringContaining(`--resume: ${assignment.split("=")[0]} is `),
    });
    expect(err).toContain("That can't change on the way");
  });

  it("takes the same data in another place, and no other data in the same place", async () => {
    const moved = join(folder, "moved");
    cpSync(shapes, moved, { recursive: true });
    const run = copyOf("moved run");
    const there = configWith("moved.json", {
      data: { train: { images: join(moved, "images"), annotations: join(moved, "annotations.json") } },
    });
    expect(await train(there, "--out", run, "--resume", "--set", "training.steps=4")).toMatchObject({
      code: 0,
      err: expect.stringContaining("data.train.images "),
    });

    const file = join(moved, "annotations.json");
    const coco = JSON.parse(readFileSync(file, "utf8")) as {
      images: { id: number }[];
      annotations: { image_id: number }[];
    };
    const kept = coco.images.slice(0, 2).map(({ id }) => id);
    writeFileSync(
      file,
      JSON.stringify({
        ...coco,
        images: coco.images.slice(0, 2),
        annotations: coco.annotations.filter(({ image_id }) => kept.includes(image_id)),
      }),
    );
    // The same command again, whose --set says nothing new.
    for (const args of [[], [there, "--set", `data.train.annotations=${file}`]]) {
      const { code, err } = await train(...args, "--out", run, "--resume", "--set", "training.steps=5");
      expect(code).toBe(1);
      expect(err).toContain("(2 images now, 3 images then), though they lie in the same place");
    }
    const { err: said } = await train("--out", run, "--resume");
    const [, fingerprint] = /--set (data\.fingerprint\.train=\S+)\)/.exec(said)!;
    const { code, err } = await train(
      "--out",
      run,
      "--resume",
      "--set",
      "training.steps=5",
      "--set",
      fingerprint!,
    );
    expect(code).toBe(0);
    expect(err).toContain("The training data are others than so far (2 images now, 3 images then).");
    // From now on they are the run's.
    expect(await train("--out", run, "--resume")).toMatchObject({ code: 0 });
  });

  it("other data are taken where a --set names them, and refused where a config does", async () => {
    const other = join(folder, "other");
    expect(await mrcnn("shapes", "--out", other, "--count", "2", "--seed", "8")).toMatchObject({ code: 0 });
    const run = copyOf("other data");
    const source = { images: join(other, "images"), annotations: join(other, "annotations.json") };
    const { code, err } = await train(
      configWith("other.json", { data: { train: source } }),
      "--out",
      run,
      "--resume",
    );
    expect(code).toBe(1);
    expect(err).toContain("data.train.annotations is ");
    const set = Object.entries(source).flatMap(([key, value]) => ["--set", `data.train.${key}=${value}`]);
    expect(await train("--out", run, "--resume", "--set", "training.steps=4", ...set)).toMatchObject({
      code: 0,
      err: expect.stringContaining("The training data are others than so far (2 images now, 3 images then)."),
    });
  });

  it("data with other classes are told as such, with what to do", async () => {
    const run = copyOf("other classes");
    const coco = JSON.parse(readFileSync(join(shapes, "annotations.json"), "utf8")) as {
      categories: { id: number; name: string }[];
    };
    for (const [names, change] of [
      ["circle, rectangle, triangle, star", { categories: [...coco.categories, { id: 9, name: "star" }] }],
      [
        "disc, rectangle, triangle",
        {
          categories: coco.categories.map((one) => (one.name === "circle" ? { ...one, name: "disc" } : one)),
        },
      ],
    ] as const) {
      const file = writeJson(folder, "classes.json", { ...coco, ...change });
      const { code, err } = await train(
        "--out",
        run,
        "--resume",
        "--set",
        "training.steps=4",
        "--set",
        `data.train.annotations=${file}`,
      );
      expect({ code, err }).toEqual({
        code: 1,
        err: `error: --resume: the data now has the classes ${names}; the run has circle, rectangle, triangle. Train into another --out with training.initialWeights=${run}.`,
      });
    }
  });

  it("a run of an earlier version goes on; that its data can't be compared is said", async () => {
    const run = copyOf("earlier");
    const file = join(run, "config.json");
    const { data, ...rest } = JSON.parse(readFileSync(file, "utf8")) as { data: { fingerprint?: object } };
    delete data.fingerprint;
    writeFileSync(file, JSON.stringify({ ...rest, data }));
    rmSync(join(run, "checkpoints", "config.json"));
    expect(await train("--out", run, "--resume")).toMatchObject({
      code: 0,
      err: expect.stringContaining("which did not keep what its data are known by"),
    });
  });

  it("an edit of the run's own config.json is a change like any other: named, and refused or said", async () => {
    const run = copyOf("edited");
    const file = join(run, "config.json");
    const edit = (
      change: (config: {
        optimizer: { rate: number };
        model: { fpn: { channels: number } };
        training: { steps: number };
      }) => void,
    ): void => {
      const config = JSON.parse(readFileSync(join(run, "checkpoints", "config.json"), "utf8")) as Parameters<
        typeof change
      >[0];
      change(config);
      writeFileSync(file, JSON.stringify(config));
    };
    edit((c) => (c.optimizer.rate = 0.05));
    const other = `or train into another --out (with --set training.initialWeights=${run} it starts from this run's weights).`;
    expect(await train("--out", run, "--resume")).toMatchObject({
      code: 1,
      err: `error: --resume: optimizer.rate is 0.05 in ${file}, the run in ${run} has 0.01. Put it back as it was in ${file}, say on purpose what changes (--set optimizer.rate=0.05), ${other}`,
    });
    edit((c) => (c.model.fpn.channels = 16));
    expect(await train("--out", run, "--resume")).toMatchObject({
      code: 1,
      err: `error: --resume: model.fpn.channels is 16, the run in ${run} has 8. That can't change on the way: put it back as it was in ${file}, ${other}`,
    });
    expect((await train("--out", run, "--resume", "--set", "model.fpn.channels=32")).err).toContain(
      "That can't change on the way: leave the --set out, or",
    );
    edit((c) => (c.training.steps = 4));
    expect(await train("--out", run, "--resume")).toMatchObject({
      code: 0,
      err: expect.stringContaining("Changed from the run so far: training.steps 3 → 4."),
    });
    edit((c) => (c.optimizer.rate = 0.002));
    expect(
      await train("--out", run, "--resume", "--set", "optimizer.rate=0.002", "--set", "training.steps=5"),
    ).toMatchObject({ code: 0, err: expect.stringContaining("optimizer.rate 0.01 → 0.002") });
    // From now on it is the run's.
    expect(await train("--out", run, "--resume")).toMatchObject({
      code: 0,
      err: expect.not.stringContaining("Changed"),
    });
  });
});

describe("--resume of a damaged run", () => {
  it("goes on from the checkpoint before, and ends as the run without damage", async () => {
    const run = copyOf("cut checkpoint");
    truncateSync(join(run, "checkpoints", "step-00000003", "optimizer.safetensors"), 100);
    const { code, err } = await train("--out", run, "--resume");
    expect(code).toBe(0);
    expect(err).toMatch(
      /step-00000003\/optimizer\.safetensors doesn't have the checksum.*Using .*step-00000002/,
    );
    expect(weights(run, 3).equals(weights(first, 3))).toBe(true);
    expect(readMetrics(join(run, "metrics.jsonl")).map(({ loss }) => loss)).toEqual(
      readMetrics(join(first, "metrics.jsonl")).map(({ loss }) => loss),
    );
  });

  it("does not begin anew because latest is missing", async () => {
    const run = copyOf("no latest");
    rmSync(join(run, "checkpoints", "latest"));
    const { code, err } = await train("--out", run, "--resume");
    expect(code).toBe(0);
    expect(err).toMatch(/checkpoints\/latest is missing\. Using .*step-00000003/);
    expect(err).toContain("All 3 steps are done.");
    expect(readMetrics(join(run, "metrics.jsonl"))).toHaveLength(3);
  });

  it("does not begin anew because the checkpoints are gone, nor empties the logs", async () => {
    for (const [name, damage] of [
      ["no folder", (run: string) => rmSync(join(run, "checkpoints"), { recursive: true })],
      [
        "none whole",
        (run: string) =>
          ["step-00000002", "step-00000003"].forEach((step) =>
            rmSync(join(run, "checkpoints", step, "state.json")),
          ),
      ],
    ] as const) {
      const run = copyOf(name);
      damage(run);
      const { code, err } = await train("--out", run, "--resume");
      expect(code).toBe(1);
      expect(err).toMatch(
        name === "no folder" ?
          /checkpoints has no checkpoint, but .*metrics\.jsonl tells of 3 steps, and one was saved every 1/
        : /has no whole checkpoint: .*step-00000003\/state\.json is missing; .*step-00000002\/state\.json is missing/,
      );
      expect(readMetrics(join(run, "metrics.jsonl"))).toHaveLength(3);
    }
  });

  it("begins anew where none was reached", async () => {
    const run = copyOf("before the first");
    rmSync(join(run, "checkpoints"), { recursive: true });
    const log = join(run, "metrics.jsonl");
    writeFileSync(log, readFileSync(log, "utf8").split("\n")[0]! + "\n");
    const { code, err } = await train("--out", run, "--resume");
    expect(code).toBe(0);
    expect(err).toContain("No checkpoint yet: starting from the first step.");
    expect(weights(run, 3).equals(weights(first, 3))).toBe(true);
  });

  it.each([
    ["metrics.jsonl", "null\n"],
    ["eval.jsonl", "[1]\n"],
    ["config.json", "null"],
    ["config.json", '{"training":{"steps":"3"},"data":{}}'],
  ])("%s that holds %s is named, and nothing is touched", async (name, text) => {
    const run = copyOf(`wild ${name} ${text.length}`);
    writeFileSync(join(run, name), text);
    const files = readdirSync(run).toSorted();
    const { code, err } = await train("--out", run, "--resume", "--set", "training.steps=4");
    expect(code).toBe(1);
    expect(err).toContain(join(run, name));
    expect(err).not.toContain("Cannot read properties");
    expect(readFileSync(join(run, name), "utf8")).toBe(text);
    expect(readdirSync(run).toSorted()).toEqual(files);
  });
});

describe("a run with a damaged checkpoint is still used by", () => {
  const damaged = (name: string): string => {
    const run = copyOf(name);
    truncateSync(join(run, "checkpoints", "step-00000003", "weights.safetensors"), 1000);
    return run;
  };
  const said = /step-00000003\/weights\.safetensors doesn't have the checksum.*Using .*step-00000002/;

  it.each<[string, (run: string) => string[]]>([
    ["detect", (run) => ["detect", join(shapes, "images"), "--model", run, "--backend", "wasm"]],
    [
      "eval",
      (run) => [
        "eval",
        "--model",
        run,
        "--images",
        join(shapes, "images"),
        "--annotations",
        join(shapes, "annotations.json"),
        "--backend",
        "wasm",
      ],
    ],
    ["convert", (run) => ["convert", run, "--out", join(folder, "converted.safetensors")]],
  ])("%s, which says whose weights it took", async (name, args) => {
    const { code, err } = await mrcnn(...args(damaged(`damaged for ${name}`)));
    expect(err).toMatch(said);
    expect(code).toBe(0);
  });
});

describe("pictures that can't be read", async () => {
  const small = await sharp({ create: { width: 80, height: 48, channels: 3, background: "red" } })
    .png()
    .toBuffer();

  it.each<[string, (image: string) => void, string]>([
    ["cut", (image) => truncateSync(image, 300), "the image can't be read"],
    ["text", (image) => writeFileSync(image, "no picture"), "the image can't be read"],
    ["of another size", (image) => writeFileSync(image, small), "the file has 80x48 pixels, annotated"],
  ])(
    "one that is %s ends a training before it begins, and no folder is left",
    async (name, damage, message) => {
      const copy = join(folder, `early ${name}`);
      cpSync(shapes, copy, { recursive: true });
      damage(join(copy, "images", "shapes-00001.png"));
      const data = { images: join(copy, "images"), annotations: join(copy, "annotations.json") };
      const run = join(folder, `run early ${name}`);
      for (const sources of [{ train: data }, { train: base().data.train, validation: data }]) {
        const { code, err } = await train(configWith("early.json", { data: sources }), "--out", run);
        expect(code).toBe(1);
        expect(err).toContain(`shapes-00001.png: ${message}`);
        expect(existsSync(run)).toBe(false);
      }
    },
  );
});

describe("an error in the middle of a training", () => {
  it.each<[string, (image: string) => void]>([
    ["a picture that is cut", (image) => truncateSync(image, 300)],
    ["a picture that is text", (image) => writeFileSync(image, "no picture")],
  ])("%s leaves a checkpoint; mended, the run ends as if nothing had been", async (name, damage) => {
    const copy = join(folder, `data ${name}`);
    cpSync(shapes, copy, { recursive: true });
    const data = { train: { images: join(copy, "images"), annotations: join(copy, "annotations.json") } };
    const whole = configWith("whole.json", { data, training: { ...base().training, checkpointEvery: 100 } });
    // With three images and one a step, the one of the last step of the epoch.
    let found: { run: string; steps: number } | undefined;
    for (const image of ["shapes-00000.png", "shapes-00001.png", "shapes-00002.png"]) {
      const run = join(folder, `run ${name} ${image}`);
      // When the data set has been opened: that finds what is damaged before.
      const watch = setInterval(() => {
        if (!existsSync(join(run, "config.json"))) return;
        clearInterval(watch);
        damage(join(copy, "images", image));
      }, 1);
      const { code, err } = await train(whole, "--out", run);
      clearInterval(watch);
      if (code === 0) continue; // its picture had been drawn
      expect(code).toBe(1);
      expect(err).toContain(image);
      const steps =
        existsSync(join(run, "metrics.jsonl")) ? readMetrics(join(run, "metrics.jsonl")).length : 0;
      expect(err).toContain(
        steps === 0 ? "No step was saved." : `Saved at step ${steps} of 3; continue with --resume.`,
      );
      cpSync(join(shapes, "images", image), join(copy, "images", image));
      if (steps === 2) found = { run, steps };
    }
    expect(found).toBeDefined();
    expect(await train("--out", found!.run, "--resume")).toMatchObject({ code: 0 });
    expect(weights(found!.run, 3).equals(weights(first, 3))).toBe(true);
  });
});

describe("an error that nobody catches", () => {
  it("stops a training with a checkpoint, and is its error", async () => {
    const run = join(folder, "fault");
    const before = process.listeners("uncaughtException");
    const watch = setInterval(() => {
      const own = process.listeners("uncaughtException").find((listener) => !before.includes(listener));
      if (!existsSync(join(run, "metrics.jsonl")) || own === undefined) return;
      clearInterval(watch);
      own(new Error("a thread fell over"), "uncaughtException");
    }, 2);
    const { code, err } = await train(
      config,
      "--out",
      run,
      "--set",
      "training.steps=200",
      "--set",
      "training.checkpointEvery=1000",
    );
    clearInterval(watch);
    const steps = readMetrics(join(run, "metrics.jsonl")).length;
    expect(code).toBe(1);
    expect(err).toContain(`Stopped at step ${steps} of 200; continue with --resume.`);
    expect(err.split("\n").at(-1)).toBe("error: a thread fell over");
    expect(steps).toBeLessThan(200);
    expect(readFileSync(join(run, "checkpoints", "latest"), "utf8")).toBe(
      `step-${String(steps).padStart(8, "0")}\n`,
    );
    expect(process.listeners("uncaughtException")).toEqual(before);
  });
});

describe("a run's files that are links", () => {
  it.each(["config.json", "checkpoints/config.json", "metrics.jsonl", "eval.jsonl", "report.html"])(
    "%s is not written through",
    async (name) => {
      const run = copyOf(`linked ${name}`);
      const elsewhere = join(folder, `elsewhere ${name.replace("/", " ")}`);
      if (existsSync(join(run, name))) renameSync(join(run, name), elsewhere);
      else writeFileSync(elsewhere, "");
      symlinkSync(elsewhere, join(run, name));
      const before = readFileSync(elsewhere, "utf8");
      const { code, err } = await train("--out", run, "--resume", "--set", "training.steps=4");
      expect({ code, err }).toEqual({
        code: 1,
        err: `error: --resume: ${join(run, name)} is a link, and would be written to where it leads. Put the file itself there.`,
      });
      expect(readFileSync(elsewhere, "utf8")).toBe(before);
    },
  );
});

describe("a run's lock", () => {
  const lockOf = (run: string): string => join(run, "train.lock");

  it("keeps a second training out, and says who is there", async () => {
    const run = join(folder, "locked");
    const lock = lockRun(run);
    expect(await train(config, "--out", run)).toMatchObject({
      code: 1,
      err: `error: ${run}: another training is writing there (process ${process.pid}). Wait for it or stop it, or give another --out.`,
    });
    expect(() => lockRun(run)).toThrow("another training is writing there");
    expect(readdirSync(run)).toEqual(["train.lock"]);
    lock.release();
    expect(existsSync(run)).toBe(false);
  });

  it("of a process that was killed is taken over, also when its id was given anew", () => {
    for (const owner of [
      { pid: 2 ** 22 + 7, started: "x", host: hostname() }, // beyond Linux's greatest
      { pid: process.pid, started: "another boot 12", host: hostname() },
      { pid: process.ppid, started: "an earlier process of this id", host: hostname() },
    ]) {
      const run = join(folder, "stale");
      mkdirSync(run, { recursive: true });
      writeFileSync(lockOf(run), JSON.stringify(owner));
      const lock = lockRun(run);
      expect(JSON.parse(readFileSync(lockOf(run), "utf8"))).toMatchObject({ pid: process.pid });
      lock.release();
      expect(readdirSync(run)).toEqual([]);
    }
  });

  const startedOf = (pid: number): string =>
    `${readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()} ${
      readFileSync(`/proc/${pid}/stat`, "latin1")
        .replace(/^.*\) /s, "")
        .split(" ")[19]
    }`;

  it.runIf(process.platform === "linux")(
    "of a process that has ended, but that its parent has not asked about, is taken over",
    async () => {
      const parent = spawn("sh", ["-c", "sleep 0.3 & echo $!; exec sleep 60"], {
        stdio: ["ignore", "pipe", "ignore"],
      });
      const [line] = await once(parent.stdout, "data");
      const pid = Number(String(line));
      const run = join(folder, "unasked");
      mkdirSync(run);
      writeFileSync(lockOf(run), JSON.stringify({ pid, started: startedOf(pid), host: hostname() }));
      while (!readFileSync(`/proc/${pid}/stat`, "latin1").includes(") Z "))
        await new Promise((resolve) => setTimeout(resolve, 20));
      const began = performance.now();
      lockRun(run).release();
      expect(performance.now() - began).toBeLessThan(2000);
      parent.kill();
    },
  );

  it.runIf(process.platform === "linux")("of a process that is about to end is waited for", () => {
    const { pid } = spawn("sleep", ["0.7"]);
    if (pid === undefined) throw new Error("sleep does not start");
    const run = join(folder, "ending");
    mkdirSync(run);
    writeFileSync(lockOf(run), JSON.stringify({ pid, started: startedOf(pid), host: hostname() }));
    const began = performance.now();
    lockRun(run).release();
    expect(performance.now() - began).toBeGreaterThan(300);
  });

  it.each([[""], ["null"], ["\0\0\0"], ['{"pid":1}']])(
    "that holds %j, as a power cut leaves it, is nobody's",
    (text) => {
      const run = join(folder, "no owner");
      mkdirSync(run, { recursive: true });
      writeFileSync(lockOf(run), text);
      lockRun(run).release();
      expect(existsSync(lockOf(run))).toBe(false);
    },
  );

  it("of another host is not taken over: the host and the file are named", () => {
    const run = join(folder, "far");
    mkdirSync(run, { recursive: true });
    writeFileSync(lockOf(run), JSON.stringify({ pid: 12, started: "x", host: "node17" }));
    expect(() => lockRun(run)).toThrow(
      `${run}: another training is writing there (process 12 on host node17). Whether it still runs can't be seen from host ${hostname()}: when it doesn't, remove ${lockOf(run)}.`,
    );
    expect(readFileSync(lockOf(run), "utf8")).toContain("node17");
  });

  it("of another training that is put there later is not taken away", () => {
    const run = join(folder, "later");
    const lock = lockRun(run);
    writeFileSync(lockOf(run), JSON.stringify({ pid: 12, started: "x", host: "node17" }));
    lock.release();
    expect(existsSync(lockOf(run))).toBe(true);
  });
});
