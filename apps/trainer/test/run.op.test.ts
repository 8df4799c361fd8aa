// A whole life of a run, on each backend: train, stop, resume, evaluate, detect.
import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { getBackend, memory } from "@tensorflow/tfjs";
import { beforeAll, describe, expect, it } from "vitest";
import { readMetrics } from "../src/run-log.ts";
import type { MetricsLine } from "../src/run-log.ts";
import { mrcnn, temporaryFolder, tinyConfig, writeJson } from "./command.ts";

const folder = temporaryFolder();
const whole = join(folder, "whole");
const shapes = join(folder, "shapes");
let config: string;

const train = (out: string, ...args: string[]): ReturnType<typeof mrcnn> =>
  mrcnn("train", config, "--out", out, "--backend", getBackend(), ...args);
const latest = (run: string): string =>
  join(run, "checkpoints", readFileSync(join(run, "checkpoints", "latest"), "utf8").trim());
const weights = (run: string): Buffer => readFileSync(join(latest(run), "weights.safetensors"));
const metrics = (run: string): MetricsLine[] => readMetrics(join(run, "metrics.jsonl"));
const arithmetic = (run: string): object[] =>
  metrics(run).map(({ step, lr, loss, loss_mask, gradientNorm }) => ({
    step,
    lr,
    loss,
    loss_mask,
    gradientNorm,
  }));

beforeAll(async () => {
  config = writeJson(folder, "config.json", tinyConfig);
  expect(await train(whole)).toMatchObject({ code: 0 });
  expect(await mrcnn("shapes", "--out", shapes, "--count", "3", "--seed", "5")).toMatchObject({ code: 0 });
});

describe("mrcnn train", () => {
  it("leaves what the contract says", () => {
    expect(readdirSync(whole)).toEqual(
      expect.arrayContaining([
        "checkpoints",
        "config.json",
        "eval.jsonl",
        "metrics.jsonl",
        "report.html",
        expect.stringMatching(/^events\.out\.tfevents\./),
      ]),
    );
    const [first] = metrics(whole);
    expect(metrics(whole).map(({ step }) => step)).toEqual([1, 2, 3, 4]);
    const { loss_objectness, loss_rpn_box_reg, loss_classifier, loss_box_reg, loss_mask } = first!;
    expect(first!.loss).toBeCloseTo(
      loss_objectness! + loss_rpn_box_reg! + loss_classifier! + loss_box_reg! + loss_mask!,
      5,
    );
    for (const key of ["lr", "secondsPerStep", "imagesPerSecond", "gradientNorm", "memoryMb"])
      expect(first![key]).toBeGreaterThan(0);
    for (const line of metrics(whole)) {
      expect(line.waitingShare).toBe(line.secondsWaiting / line.secondsPerStep);
      expect(line.peakMemoryMb).toBeGreaterThanOrEqual(line.memoryMb);
    }
    const resolved = JSON.parse(readFileSync(join(whole, "config.json"), "utf8")) as {
      model: { classes: string[]; roiAlign: object };
    };
    expect(resolved.model.classes).toEqual(["circle", "rectangle", "triangle"]);
    expect(resolved.model.roiAlign).toEqual({ samplingRatio: 2, aligned: false });
    const report = readFileSync(join(whole, "report.html"), "utf8");
    for (const part of ["data:image/png;base64,", "waiting for data", "peak memory"])
      expect(report).toContain(part);
  });

  it("holds as many tensors after the last step as after the first", () => {
    // The first step makes the momentum. The second and the fourth end with a checkpoint; a GPU may have begun the
    // fourth, with two numbers of it at hand, when the third is reported.
    const [, second, third, fourth] = metrics(whole).map((line) => line["tensors"] as number);
    expect(fourth).toBe(second);
    expect([0, 2]).toContain(third! - second!);
  });

  it("stopped by Ctrl-C and resumed, it equals the run that was not", async () => {
    const run = join(folder, "stopped");
    const watch = setInterval(() => {
      if (existsSync(join(run, "metrics.jsonl"))) {
        clearInterval(watch);
        process.emit("SIGINT");
      }
    }, 5);
    // Without a checkpoint in between nothing but the listening itself lets the signal through.
    const stopped = await train(run, "--set", "training.checkpointEvery=100");
    clearInterval(watch);
    expect(stopped.code).toBe(130);
    const done = metrics(run).length;
    expect(stopped.err).toContain(`Stopped at step ${done} of 4; continue with --resume.`);
    expect(done).toBeLessThan(4);

    const resumed = await train(run, "--resume");
    expect(resumed.code).toBe(0);
    expect(arithmetic(run)).toEqual(arithmetic(whole));
    expect(weights(run).equals(weights(whole))).toBe(true);
  });

  it("does not overwrite a run, nor resume another one", async () => {
    expect(await train(whole)).toMatchObject({
      code: 1,
      err: `error: ${whole} holds a run already. Continue it with --resume, or give another --out.`,
    });
    expect((await train(whole, "--resume", "--set", "training.batchSize=3")).err).toContain(
      `--resume: training.batchSize is 3, the run in ${whole} has 1. That can't change on the way: leave the config out`,
    );
    expect((await train(join(folder, "none"), "--resume")).err).toContain("holds no run");
    expect(existsSync(join(folder, "none"))).toBe(false);
    // What is left of a run whose config is gone is nobody's to write over.
    const torn = join(folder, "torn");
    cpSync(whole, torn, { recursive: true });
    rmSync(join(torn, "config.json"));
    for (const more of [[], ["--resume"]]) {
      expect(await train(torn, ...more)).toMatchObject({
        code: 1,
        err: `error: ${torn} holds what a run has left (checkpoints, metrics.jsonl, eval.jsonl), but not its config.json. Put that back and continue with --resume, or give another --out.`,
      });
    }
    expect(metrics(torn)).toEqual(metrics(whole));
  });
});

describe("mrcnn eval and detect", () => {
  it("eval of a model and of its results file agree; the sides of the file are as promised", async () => {
    const [results, json, again] = ["results.json", "eval.json", "again.json"].map((name) =>
      join(folder, name),
    ) as [string, string, string];
    const annotations = join(shapes, "annotations.json");
    const before = memory().numTensors;
    const outcome = await mrcnn(
      "eval",
      `--model=${whole}`,
      `--images=${join(shapes, "images")}`,
      `--annotations=${annotations}`,
      `--backend=${getBackend()}`,
      "--score-threshold=0",
      `--results=${results}`,
      `--json=${json}`,
    );
    expect(outcome).toMatchObject({ code: 0 });
    expect(memory().numTensors).toBe(before);
    expect(outcome.out.split("\n").filter((line) => line.includes("Average"))).toHaveLength(24);
    const scores = JSON.parse(readFileSync(json, "utf8")) as Record<
      string,
      { stats: object; perCategory: unknown[] }
    >;
    expect(Object.keys(scores)).toEqual(["bbox", "segm"]);
    expect(Object.keys(scores["segm"]!.stats)).toEqual([
      "AP",
      "AP50",
      "AP75",
      "APs",
      "APm",
      "APl",
      "AR1",
      "AR10",
      "AR100",
      "ARs",
      "ARm",
      "ARl",
    ]);
    expect(scores["segm"]!.perCategory).toHaveLength(3);

    const ofFile = await mrcnn(
      "eval",
      "--results",
      results,
      "--annotations",
      annotations,
      "--iou-type",
      "segm",
      "--json",
      again,
    );
    expect(ofFile.code).toBe(0);
    expect(JSON.parse(readFileSync(again, "utf8"))).toEqual({ segm: scores["segm"] });
  });

  it("detect writes COCO results and overlays", async () => {
    const [json, overlay] = [join(folder, "found.json"), join(folder, "overlays")];
    const args = [
      "--model",
      whole,
      "--backend",
      getBackend(),
      "--score-threshold",
      "0",
      "--max-detections",
      "2",
      "--json",
      json,
      "--overlay",
      overlay,
    ];
    const { code, out } = await mrcnn("detect", join(shapes, "images"), ...args);
    expect(code).toBe(0);
    expect(out.split("\n")).toHaveLength(3);
    expect(readdirSync(overlay).toSorted()).toEqual([
      "shapes-00000.png",
      "shapes-00001.png",
      "shapes-00002.png",
    ]);
    const found = JSON.parse(readFileSync(json, "utf8")) as Record<string, unknown>[];
    expect(found.length).toBeGreaterThan(0);
    expect(found.length).toBeLessThanOrEqual(6);
    expect(found[0]).toEqual({
      file_name: "shapes-00000.png",
      image_id: 1,
      category_id: expect.any(Number),
      category_name: expect.stringMatching(/circle|rectangle|triangle/),
      score: expect.any(Number),
      bbox: [expect.any(Number), expect.any(Number), expect.any(Number), expect.any(Number)],
      segmentation: { size: [128, 128], counts: expect.any(String) },
    });
  });
});
