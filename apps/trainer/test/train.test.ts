// `mrcnn train` from its options to its words, its files, and what it does when it is stopped or something goes wrong.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { readLatestCheckpoint } from "@mrcnn/trainer/node";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { headline } from "../src/evaluation.ts";
import { main } from "../src/main.ts";
import { gigabytes } from "../src/memory-meter.ts";
import { changedConfig } from "../src/read-config.ts";
import { runDirectory, writeRunConfig } from "../src/run-directory.ts";
import { readEvaluations, readMetrics } from "../src/run-log.ts";
import type { EvaluationLine, MetricsLine } from "../src/run-log.ts";
import { mrcnn, temporaryFolder, tinyConfig, writeJson } from "./command.ts";
import type { Outcome } from "./command.ts";
import { scalarsIn } from "./events.ts";

const folder = temporaryFolder();
const pictures = (name: string): string => join(folder, name, "images");
const annotations = (name: string): string => join(folder, name, "annotations.json");
interface Category {
  id: number;
  name: string;
}
const source = (name: string) => ({ images: pictures(name), annotations: annotations(name) });

/** Without a word on warm-up or milestones. */
const quiet = { rate: 0.01, warmupSteps: 0, clipNorm: 5 };
let configs = 0;
const configOf = ({
  training = {},
  ...more
}: {
  training?: object;
  data?: object;
  model?: object;
  optimizer?: object;
  evaluation?: object;
} = {}): string =>
  writeJson(folder, `config${configs++}.json`, {
    model: tinyConfig.model,
    data: tinyConfig.data,
    augment: { minSizes: [64], maxSize: 64 },
    optimizer: quiet,
    ...more,
    training: { steps: 3, batchSize: 1, workers: 0, checkpointEvery: 100, ...training },
  });
let runs = 0;
const newRun = (): string => join(folder, `run${runs++}`);

/** Runs the command and hears each note as it is said. */
async function hearing(onNote: (line: string) => void, ...args: string[]): Promise<Outcome> {
  const [out, err]: string[][] = [[], []];
  const code = await main(["train", ...args, "--backend", "wasm"], {
    out: (line) => void out!.push(line),
    note(line) {
      err!.push(line);
      onNote(line);
    },
    interactive: false,
  });
  return { code, out: out!.join("\n"), err: err!.join("\n") };
}
/** Does something at the first note that begins so: a second signal would end this process. */
function at(start: string, act: () => void): (line: string) => void {
  let isDone = false;
  return (line) => {
    if (isDone || !line.startsWith(start)) return;
    isDone = true;
    act();
  };
}
const train = (...args: string[]): Promise<Outcome> => hearing(() => {}, ...args);
const metrics = (run: string): MetricsLine[] => readMetrics(join(run, "metrics.jsonl"));
const evaluations = (run: string): EvaluationLine[] => readEvaluations(join(run, "eval.jsonl"));
const weights = async (run: string) => (await readLatestCheckpoint(join(run, "checkpoints"))).weights;
const timeless = (text: string): string => text.replaceAll(/\b\d+ (min \d+ )?s\b/g, "T");
const lines = (...all: string[]): string => all.join("\n");
const scored = (line: EvaluationLine, images: string): string =>
  `step ${line.step}: ${headline(line)} on ${images} (T)`;

beforeAll(async () => {
  for (const [name, count] of [
    ["some", 3],
    ["one", 1],
  ] as const)
    expect(
      await mrcnn("shapes", "--out", join(folder, name), "--count", `${count}`, "--seed", "5"),
    ).toMatchObject({
      code: 0,
    });
  // One that no object is of.
  const json = JSON.parse(readFileSync(annotations("some"), "utf8")) as { categories: Category[] };
  json.categories.push({ id: 9, name: "square" });
  writeFileSync(annotations("some"), JSON.stringify(json));
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe("train", () => {
  it("says what it trains, logs what it did, saves it, and ends with the report", async () => {
    const run = newRun();
    const config = configOf({
      data: { train: source("some"), validation: source("some") },
      training: { accumulate: 2, logEvery: 2, checkpointEvery: 2, evaluateEvery: 2 },
    });
    const { code, out, err } = await train(config, "--out", run);
    const [second, third, ...rest] = evaluations(run);
    expect(rest).toEqual([]);
    expect({ code, out, err: timeless(err) }).toEqual({
      code: 0,
      out: join(run, "report.html"),
      err: lines(
        `${annotations("some")}: category 9, "square": has no objects. It is a class of the model all the same. Or leave categories without objects out with --set data.train.emptyCategories=drop.`,
        `${annotations("some")}: category 9, "square": has no objects. It counts in no score.`,
        "Training 0.2 M parameters, 4 classes, on 3 images (and 3 for validation): 3 steps of 2 images.",
        scored(second!, "3 validation images"),
        "Trained 3 steps in T.",
        scored(third!, "3 validation images"),
      ),
    });
    const count = [...(await weights(run)).values()].reduce((sum, { data }) => sum + data.length, 0);
    expect((count / 1e6).toFixed(1)).toBe("0.2");

    expect(
      readdirSync(run)
        .filter((name) => !name.startsWith("events."))
        .toSorted(),
    ).toEqual(["checkpoints", "config.json", "eval.jsonl", "metrics.jsonl", "report.html"]);
    expect(readdirSync(join(run, "checkpoints")).toSorted()).toEqual([
      "config.json",
      "latest",
      "step-00000002",
      "step-00000003",
    ]);

    const logged = metrics(run);
    expect(logged.map(({ step, lr }) => [step, lr])).toEqual([
      [2, 0.01],
      [3, 0.01],
    ]);
    const losses = [
      "loss_objectness",
      "loss_rpn_box_reg",
      "loss_classifier",
      "loss_box_reg",
      "loss_mask",
    ] as const;
    for (const line of logged) {
      expect(Object.keys(line).toSorted()).toEqual(
        [
          "step",
          "lr",
          "loss",
          ...losses,
          "gradientNorm",
          "secondsPerStep",
          "secondsWaiting",
          "waitingShare",
          "imagesPerSecond",
          "memoryMb",
          "peakMemoryMb",
          "tensors",
        ].toSorted(),
      );
      expect(line.loss).toBeCloseTo(
        losses.reduce((sum, name) => sum + line[name]!, 0),
        5,
      );
      expect(line.imagesPerSecond * line.secondsPerStep).toBeCloseTo(2, 6);
      expect(line.secondsWaiting).toBeGreaterThan(0);
      expect(line.secondsWaiting).toBeLessThan(line.secondsPerStep);
      expect(line.waitingShare).toBe(line.secondsWaiting / line.secondsPerStep);
      expect(line["tensors"]).toBeGreaterThan(0);
    }

    // TensorBoard groups by what stands before the slash.
    const scalars = scalarsIn(
      join(
        run,
        readdirSync(run).find((name) => name.startsWith("events."))!,
      ),
    );
    const rounded = (values: object): object =>
      Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Math.fround(value as number)]));
    const tagged = ({ step, lr, loss, ...others }: MetricsLine) => [
      step,
      rounded({
        loss,
        lr,
        ...Object.fromEntries(
          Object.entries(others).map(([key, value]) => [
            (losses as readonly string[]).includes(key) ? `losses/${key}` : `run/${key}`,
            value,
          ]),
        ),
      }),
    ];
    const validated = ({ step, bbox, segm }: EvaluationLine) => [
      step,
      rounded(
        Object.fromEntries(
          Object.entries({ bbox, segm }).flatMap(([type, scores]) =>
            Object.entries(scores!.stats).map(([key, value]) => [`validation/${type}_${key}`, value]),
          ),
        ),
      ),
    ];
    expect(scalars).toEqual([tagged(logged[0]!), validated(second!), tagged(logged[1]!), validated(third!)]);
    expect(Object.keys(validated(third!)[1]!)).toContain("validation/segm_AP50");
    expect(readFileSync(join(run, "report.html"), "utf8")).toContain(
      "The validation images were not trained on.",
    );
  });

  it("of one step on one image says so, and without masks or validation has no word on them", async () => {
    const run = newRun();
    const config = configOf({
      data: { train: source("one"), validation: source("one") },
      model: { ...tinyConfig.model, mask: false },
      optimizer: { rate: 0.01, warmupSteps: 0 },
      training: { steps: 1 },
    });
    expect(await train(config, "--out", run).then(({ err }) => timeless(err).split("\n").slice(-3))).toEqual([
      expect.stringMatching(
        /^Training 0\.\d M parameters, 3 classes, on 1 image \(and 1 for validation\): 1 step of 1 image\.$/,
      ),
      "Trained 1 step in T.",
      scored(evaluations(run)[0]!, "1 validation image"),
    ]);
    expect(Object.keys(evaluations(run)[0]!)).toEqual(["step", "images", "seconds", "bbox"]);
    expect(metrics(run)[0]).not.toHaveProperty("gradientNorm");
    const alone = newRun();
    const { err } = await train(
      configOf({ data: { train: tinyConfig.data.train }, training: { steps: 1 } }),
      "--out",
      alone,
    );
    expect(timeless(err)).toBe(
      lines("Training 0.2 M parameters, 3 classes, on 6 images: 1 step of 1 image.", "Trained 1 step in T."),
    );
    expect(existsSync(join(alone, "eval.jsonl"))).toBe(false);
    expect(readFileSync(join(alone, "report.html"), "utf8")).toContain(
      "the examples are images that were trained on",
    );
  });

  it("keeps the config as it is used: paths from anywhere, classes, ids, seed, and what the data are known by", async () => {
    const first = newRun();
    const one = { data: { train: source("one") }, training: { steps: 1 }, optimizer: { ...quiet, rate: 0 } };
    await train(configOf(one), "--out", first, "--seed", "9");
    const run = newRun();
    const here = (path: string): string => relative(process.cwd(), path);
    const config = configOf({
      ...one,
      data: {
        train: { images: here(pictures("some")), annotations: here(annotations("some")) },
        validation: { images: here(pictures("one")), annotations: here(annotations("one")) },
      },
      model: { ...tinyConfig.model, classes: ["circle", "rectangle", "triangle", "square"] },
    });
    const categories = ["circle", "rectangle", "triangle"].map((name, i) => ({ id: i + 1, name }));
    await train(config, "--out", run);
    const kept = JSON.parse(readFileSync(join(run, "config.json"), "utf8")) as Record<string, object>;
    expect(kept).toMatchObject({
      model: { classes: ["circle", "rectangle", "triangle", "square"] },
      data: {
        train: { format: "coco", ...source("some") },
        validation: { format: "coco", ...source("one") },
        categories: [...categories, { id: 9, name: "square" }],
        fingerprint: { train: expect.stringMatching(/^3-/), validation: expect.stringMatching(/^1-/) },
      },
      training: { steps: 1, seed: 0 },
    });
    expect(kept["training"]).not.toHaveProperty("initialWeights");
    const resolved = JSON.parse(readFileSync(join(first, "config.json"), "utf8")) as Record<string, object>;
    expect(resolved["training"]).toMatchObject({ seed: 9 });
    expect(Object.keys((resolved["data"] as { fingerprint: object }).fingerprint)).toEqual(["train"]);

    // The seed is that of --seed: other random weights, and the same for the same number.
    const again = newRun();
    await train(configOf(one), "--out", again, "--set", "training.seed=9");
    const other = newRun();
    await train(configOf(one), "--out", other);
    expect(await weights(again)).toEqual(await weights(first));
    expect(await weights(other)).not.toEqual(await weights(first));

    // It starts where it is told to.
    const started = newRun();
    const { code } = await train(
      configOf(one),
      "--out",
      started,
      "--set",
      `training.initialWeights=${here(first)}`,
    );
    expect(code).toBe(0);
    expect(await weights(started)).toEqual(await weights(first));
    expect(JSON.parse(readFileSync(join(started, "config.json"), "utf8"))).toMatchObject({
      training: { initialWeights: first },
    });
  });

  it("tells how far it is, with the loss, the memory, and the share of waiting", async () => {
    const run = newRun();
    let now = 0;
    vi.spyOn(performance, "now").mockImplementation(() => (now += 11_000));
    const { err } = await train(
      configOf({ data: { train: tinyConfig.data.train }, training: { steps: 3, logEvery: 1 } }),
      "--out",
      run,
    );
    let [all, idle] = [0, 0];
    const expected = metrics(run).map((line) => {
      // Over the last ten steps or so: each before counts 0.9 times as much.
      [all, idle] = [0.9 * all + line.secondsPerStep, 0.9 * idle + line.secondsWaiting];
      return `train: ${line.step}/3 steps, loss ${line.loss.toFixed(3)}, ${gigabytes(line.peakMemoryMb)}, ${Math.round((100 * idle) / all)} % waiting for data`;
    });
    expect(expected).toHaveLength(3);
    expect(
      err
        .split("\n")
        .filter((line) => line.startsWith("train: "))
        .map((line) => line.replace(/(steps), .*(?=, loss)/, "$1")),
    ).toEqual(expected);
  });
});

describe("train stopped", () => {
  it("before its first step has nothing to save, and begins anew", async () => {
    const run = newRun();
    const config = configOf({ data: { train: tinyConfig.data.train }, training: { checkpointEvery: 2 } });
    const before = process.listenerCount("SIGINT");
    const stopped = await hearing(
      at("Training ", () => process.emit("SIGINT")),
      config,
      "--out",
      run,
    );
    expect(stopped).toEqual({
      code: 130,
      out: "",
      err: lines(
        "Training 0.2 M parameters, 3 classes, on 6 images: 3 steps of 1 image.",
        "",
        "Stopping after this step, with a checkpoint. Ctrl-C again quits at once.",
        "Stopped at step 0 of 3; continue with --resume.",
      ),
    });
    expect(process.listenerCount("SIGINT")).toBe(before);
    expect(existsSync(join(run, "report.html"))).toBe(false);
    expect(existsSync(join(run, "train.lock"))).toBe(false);

    // More steps than one was saved every: their checkpoints are gone.
    const line = { lr: 1, loss: 1 };
    const log = (last: number): void =>
      writeFileSync(
        join(run, "metrics.jsonl"),
        Array.from({ length: last }, (_, i) => `${JSON.stringify({ step: i + 1, ...line })}\n`).join(""),
      );
    log(3);
    expect(await train("--out", run, "--resume")).toEqual({
      code: 1,
      out: "",
      err: `error: --resume: ${join(run, "checkpoints")} has no checkpoint, but ${join(run, "metrics.jsonl")} tells of 3 steps, and one was saved every 2. Put the checkpoints back, or train into another --out.`,
    });
    log(2);
    const resumed = await train("--out", run, "--resume");
    expect([resumed.code, timeless(resumed.err)]).toEqual([
      0,
      lines(
        "No checkpoint yet: starting from the first step.",
        "Training 0.2 M parameters, 3 classes, on 6 images: 3 steps of 1 image.",
        "Trained 3 steps in T.",
      ),
    ]);
    expect(metrics(run).map(({ step, lr }) => [step, lr])).toEqual([
      [1, 0.01],
      [2, 0.01],
      [3, 0.01],
    ]);
  });

  it("on its way goes on after its last step, and evaluates once", async () => {
    const run = newRun();
    const config = configOf({ training: { evaluateEvery: 1 }, evaluation: { limit: 1 } });
    const stopped = await hearing(
      at("step 1:", () => process.emit("SIGTERM")),
      config,
      "--out",
      run,
    );
    expect([stopped.code, stopped.out, stopped.err.split("\n").at(-1)]).toEqual([
      130,
      "",
      "Stopped at step 1 of 3; continue with --resume.",
    ]);
    expect(evaluations(run).map(({ step, images }) => [step, images])).toEqual([[1, 1]]);
    const resumed = await train("--out", run, "--resume");
    const [, second, third] = evaluations(run);
    expect(timeless(resumed.err)).toBe(
      lines(
        "Training 0.2 M parameters, 3 classes, on 6 images (and 2 for validation): steps 2 to 3 of 1 image.",
        scored(second!, "1 validation image"),
        "Trained 2 steps in T.",
        scored(third!, "1 validation image"),
      ),
    );
    // Step 1, at which it goes on, was evaluated.
    expect(evaluations(run).map(({ step }) => step)).toEqual([1, 2, 3]);
    expect(metrics(run).map(({ step }) => step)).toEqual([1, 2, 3]);
    // A run that is done stays as it is.
    expect(await train("--out", run, "--resume")).toEqual({
      code: 0,
      out: join(run, "report.html"),
      err: "All 3 steps are done.",
    });
    expect(evaluations(run).map(({ step }) => step)).toEqual([1, 2, 3]);
    // What a kill has left is put right, and that is said.
    const log = join(run, "metrics.jsonl");
    const whole = readFileSync(log, "utf8");
    writeFileSync(log, `${whole}{"st`);
    rmSync(join(run, "checkpoints", "latest"));
    const mended = await train("--out", run, "--resume");
    expect([mended.code, mended.err.split("\n")]).toEqual([
      0,
      [
        expect.stringContaining("latest is missing. Using "),
        `${log}: line 4 was cut when the training was stopped, and is left out.`,
        "All 3 steps are done.",
      ],
    ]);
    expect(readFileSync(log, "utf8")).toBe(whole);
  });

  it("in its last evaluation has no report yet; that comes when it goes on", async () => {
    const run = newRun();
    const stopped = await hearing(
      at("Trained", () => process.emit("SIGHUP")),
      configOf({ training: { steps: 2 } }),
      "--out",
      run,
    );
    expect([stopped.code, stopped.out]).toEqual([130, ""]);
    expect([evaluations(run), existsSync(join(run, "report.html"))]).toEqual([[], false]);
    const resumed = await train("--out", run, "--resume");
    expect([resumed.code, timeless(resumed.err)]).toEqual([
      0,
      lines("All 2 steps are done.", scored(evaluations(run)[0]!, "2 validation images")),
    ]);
    expect(existsSync(join(run, "report.html"))).toBe(true);
  });

  it("by an error outside of it saves what is done, and ends with that error", async () => {
    const run = newRun();
    const others = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    try {
      const { code, out, err } = await hearing(
        at("step 1:", () => process.emit("uncaughtException", new Error("A thread has died."))),
        configOf({ training: { evaluateEvery: 1 } }),
        "--out",
        run,
      );
      expect({ code, out, err: err.split("\n").slice(-4) }).toEqual({
        code: 1,
        out: "",
        err: [
          "",
          "A thread has died. Stopping after this step, with a checkpoint.",
          "Stopped at step 1 of 3; continue with --resume.",
          "error: A thread has died.",
        ],
      });
      expect(process.listenerCount("uncaughtException")).toBe(0);
    } finally {
      for (const one of others) process.on("uncaughtException", one);
    }
    expect((await readLatestCheckpoint(join(run, "checkpoints"))).step).toBe(1);
  });
});

describe("train that fails", () => {
  /** Trains on pictures that go away when `start` is said; `also` is done then too. */
  async function failing(
    start: string,
    also: (run: string) => void = () => {},
  ): Promise<{ run: string } & Outcome> {
    const run = newRun();
    const [there, gone] = [pictures("one"), join(folder, "gone")];
    try {
      const outcome = await hearing(
        at(start, () => {
          renameSync(there, gone);
          also(run);
        }),
        configOf({
          data: { train: source("one"), validation: tinyConfig.data.validation },
          training: { steps: 9, evaluateEvery: 1 },
        }),
        "--out",
        run,
      );
      return { run, ...outcome };
    } finally {
      renameSync(gone, there);
    }
  }
  const missing = /^error: .*shapes-00000\.png: .*$/;

  it("at its first step says that none was saved", async () => {
    const { run, code, out, err } = await failing("Training ");
    expect({ code, out, err: err.split("\n").slice(-2) }).toEqual({
      code: 1,
      out: "",
      err: ["No step was saved.", expect.stringMatching(missing)],
    });
    expect(existsSync(join(run, "train.lock"))).toBe(false);
  });

  it("later says which step was saved, from where it goes on", async () => {
    const { run, code, err } = await failing("step 1:");
    expect(code).toBe(1);
    const { step } = await readLatestCheckpoint(join(run, "checkpoints"));
    expect(step).toBe(metrics(run).length);
    expect(err.split("\n").slice(-2)).toEqual([
      `Saved at step ${step} of 9; continue with --resume.`,
      expect.stringMatching(missing),
    ]);
    const stopped = await hearing(
      at("Training ", () => process.emit("SIGINT")),
      "--out",
      run,
      "--resume",
    );
    expect(stopped.err).toContain(`steps ${step + 1} to 9 of 1 image.`);
  });

  it("where nothing can be saved says why", async () => {
    const { run, code, err } = await failing("step 1:", (path) => {
      rmSync(join(path, "checkpoints"), { recursive: true });
      writeFileSync(join(path, "checkpoints"), "");
    });
    expect(code).toBe(1);
    expect(err.split("\n").slice(-3)).toEqual([
      expect.stringContaining(
        `The steps since 0 could not be saved: writeCheckpoint: ${join(run, "checkpoints", "step-00000001")} could not be written: `,
      ),
      "No step was saved.",
      expect.stringMatching(missing),
    ]);
  });
});

describe("train refuses", () => {
  it("what it can't do, before anything is made", async () => {
    const run = newRun();
    expect(
      await mrcnn("train", configOf(), "--out", run, "--backend", "webgpu", "--precision", "float16"),
    ).toEqual({
      code: 2,
      out: "",
      err: "error: --precision float16: detection alone can do that; small gradients would vanish. Leave it out.",
    });
    expect(await train("--out", run)).toEqual({
      code: 2,
      out: "",
      err: "error: train: a config file must be named, as in `mrcnn train configs/start.json --out runs/first`; only --resume goes without.",
    });
    expect(await train("--out", run, "--resume")).toEqual({
      code: 1,
      out: "",
      err: `error: --resume: ${run} holds no run. Start it without --resume.`,
    });
    expect(existsSync(run)).toBe(false);
  });

  it("validation data that are not all there, by their place in the config", async () => {
    const config = configOf({
      data: { train: tinyConfig.data.train, validation: { images: pictures("one") } },
    });
    expect(await train(config, "--out", newRun())).toEqual({
      code: 1,
      out: "",
      err: 'error: data.validation: annotations must be given for format "coco". Set it in the config, or with --set data.validation.annotations=…',
    });
  });

  it("a folder that holds a run, or what one has left", async () => {
    const run = newRun();
    writeRunConfig(runDirectory(run), changedConfig(tinyConfig, [], "tiny.json"));
    expect(await train(configOf(), "--out", run)).toEqual({
      code: 1,
      out: "",
      err: `error: ${run} holds a run already. Continue it with --resume, or give another --out.`,
    });
    for (const name of ["checkpoints", "metrics.jsonl", "eval.jsonl"]) {
      const left = newRun();
      mkdirSync(left);
      if (name === "checkpoints") mkdirSync(join(left, name));
      else writeFileSync(join(left, name), "");
      for (const more of [[], ["--resume"]])
        expect(await train(configOf(), "--out", left, ...more)).toEqual({
          code: 1,
          out: "",
          err: `error: ${left} holds what a run has left (${name}), but not its config.json. Put that back and continue with --resume, or give another --out.`,
        });
    }
  });

  it.each(["config.json", "checkpoints/config.json", "metrics.jsonl", "eval.jsonl", "report.html"])(
    "to write where a link in the run's folder leads: %s",
    async (name) => {
      const run = newRun();
      writeRunConfig(runDirectory(run), changedConfig(tinyConfig, [], "tiny.json"));
      const link = join(run, name);
      const target = join(folder, "target.json");
      writeFileSync(target, readFileSync(join(run, "config.json")));
      rmSync(link, { force: true });
      symlinkSync(target, link);
      expect(await train("--out", run, "--resume")).toEqual({
        code: 1,
        out: "",
        err: `error: --resume: ${link} is a link, and would be written to where it leads. Put the file itself there.`,
      });
    },
  );

  it("classes that are not the data's", async () => {
    const run = newRun();
    const data = { train: source("some") };
    const config = configOf({ data, model: { ...tinyConfig.model, classes: ["circle", "square"] } });
    const { code, err } = await train(config, "--out", run);
    expect([code, err]).toEqual([
      1,
      `error: ${config}: model.classes are circle, square, the data has circle, rectangle, triangle, square. Leave model.classes out: they come from the data.`,
    ]);
    // As many, in another order.
    const turned = configOf({
      data,
      model: { ...tinyConfig.model, classes: ["square", "circle", "rectangle", "triangle"] },
    });
    expect((await train(turned, "--out", run)).err).toContain(
      "model.classes are square, circle, rectangle, triangle",
    );
    expect(existsSync(join(run, "config.json"))).toBe(false);
  });

  it("validation objects of classes that the training data do not have, by the place they are in", async () => {
    const cats = join(folder, "cats.json");
    const json = JSON.parse(readFileSync(annotations("one"), "utf8")) as {
      categories: Category[];
      annotations: { category_id: number }[];
    };
    json.categories = [{ id: 4, name: "cat" }];
    for (const one of json.annotations) one.category_id = 4;
    writeFileSync(cats, JSON.stringify(json));
    const own = { images: pictures("one"), annotations: cats };
    const of = async (train_: object, validation: object): Promise<string | undefined> =>
      (await train(configOf({ data: { train: train_, validation } }), "--out", newRun())).err
        .split("\n")
        .at(-1);
    expect(await of(source("one"), own)).toBe(
      `error: data.validation (${cats}): the model has no class "cat"; it knows circle, rectangle, triangle. Use annotations of the model's classes.`,
    );
    expect(await of(own, tinyConfig.data.validation)).toBe(
      'error: data.validation: the model has no class "circle", "rectangle", "triangle"; it knows cat. Use annotations of the model\'s classes.',
    );
  });
});
