// Training on backend "webgpu" beside the same training on "cpu", where an adapter is; a software one will do.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { MrcnnWebgpuBackend, webgpuBackend } from "@mrcnn/backend-webgpu";
import { startWebgpu } from "@mrcnn/backend-webgpu/node";
import { createRandom } from "@mrcnn/core";
import type { TrainableModel } from "@mrcnn/core/tensors";
import { shapesDataset, trainingBatch } from "@mrcnn/datasets";
import { createMaskRcnn, maskRcnnConfig } from "@mrcnn/model";
import { trainingModel } from "@mrcnn/model/training";
import { fit, sgd, warmupMultiStep } from "@mrcnn/trainer";
import { imagenetNormalization } from "@mrcnn/transforms";
import { backend, memory, setBackend } from "@tensorflow/tfjs";
import { backendState } from "../../../tools/setup/backends.mjs";
import { readMetrics } from "../src/run-log.ts";
import type { MetricsLine } from "../src/run-log.ts";
import { mrcnn, temporaryFolder, tinyConfig, writeJson } from "./command.ts";

const STEPS = 20;
const shapes = shapesDataset({ count: 8, seed: 3, size: { height: 64, width: 64 }, objectSize: [16, 40] });
const few = { preNmsTopK: 50, postNmsTopK: 20 };
const config = maskRcnnConfig({
  classes: shapes.classNames.slice(1),
  image: { minSize: 64, maxSize: 64 },
  backbone: { depth: 18, width: 8, norm: "group_norm", groups: 4, trainableLayers: 4 },
  fpn: { channels: 8 },
  anchors: { sizes: [[8], [16], [32], [64], [128]] },
  rpn: { training: few, detection: few, targets: { batchSize: 32 } },
  box: { poolSize: 4, representation: 16, targets: { batchSize: 16 } },
  maskHead: { poolSize: 7, layers: [8], channels: 8 },
});

interface Run {
  readonly losses: readonly Readonly<Record<string, number>>[];
  readonly forwards: number;
  /** After each step. */
  readonly held: readonly { readonly tensors: number; readonly bytes: number; readonly readbacks: number }[];
}

async function train(): Promise<Run> {
  const model = createMaskRcnn(config, createRandom(7));
  const own = trainingModel(model);
  let forwards = 0;
  const counted: TrainableModel = { ...own, losses: (...args) => (forwards++, own.losses(...args)) };
  const optimizer = sgd();
  const losses: Record<string, number>[] = [];
  const held: Run["held"][number][] = [];
  const gpu = backend() instanceof MrcnnWebgpuBackend ? webgpuBackend() : undefined;
  await fit({
    model: counted,
    batches: async function* (start) {
      for (let step = start; ; step++)
        yield await trainingBatch(shapes, step, { batchSize: 2, seed: 1, prepare: imagenetNormalization });
    },
    optimizer,
    schedule: warmupMultiStep({ baseRate: 0.02, warmupSteps: 5 }),
    steps: STEPS,
    seed: 1,
    clipNorm: 10,
    hooks: {
      afterStep(report) {
        losses.push({ ...report.losses, norm: report.gradientNorm! });
        held.push({
          tensors: memory().numTensors,
          bytes: gpu?.bufferManager.numBytesUsed ?? 0,
          readbacks: gpu?.traffic.readbacks ?? 0,
        });
        gpu?.resetTraffic();
      },
    },
  });
  optimizer.dispose();
  model.dispose();
  return { losses, forwards, held };
}

const folder = temporaryFolder();

describe.skipIf(!backendState("webgpu").available)("training on webgpu", () => {
  it(
    `${STEPS} steps on eight images have the losses that backend cpu has, with one forward and one wait each, and hold no more at the end`,
    { timeout: 300_000 },
    async () => {
      await setBackend("cpu");
      const wanted = await train();
      await startWebgpu();
      const { losses, forwards, held } = await train();
      expect(losses).toHaveLength(STEPS);
      const off = wanted.losses.flatMap((terms, step) =>
        Object.entries(terms)
          .filter(([name, value]) => !(Math.abs(losses[step]![name]! - value) <= 1e-3 * value))
          .map(([name, value]) => `step ${step}: ${name} ${losses[step]![name]} instead of ${value}`),
      );
      expect(off).toEqual([]);
      const mean = (steps: readonly Readonly<Record<string, number>>[]): number =>
        steps.reduce((sum, { loss_classifier, loss_mask }) => sum + loss_classifier! + loss_mask!, 0) /
        steps.length;
      expect(mean(losses.slice(-4))).toBeLessThan(0.6 * mean(losses.slice(0, 4)));

      expect(forwards).toBe(STEPS);
      // Between the first report and the last one: proposals, and the report of the step before.
      const steady = held.slice(1, -1);
      expect(new Set(steady.map(({ readbacks }) => readbacks))).toEqual(new Set([2]));
      expect(new Set(steady.map(({ tensors }) => tensors)).size).toBe(1);
      expect(new Set(steady.map(({ bytes }) => bytes)).size).toBe(1);
    },
  );

  it(
    "whose device is lost fails, saying what to do, and resumed from its last checkpoint equals the run that was not disturbed",
    { timeout: 300_000 },
    async () => {
      const file = writeJson(folder, "config.json", {
        ...tinyConfig,
        training: { ...tinyConfig.training, steps: 5, checkpointEvery: 2 },
      });
      const train = (run: string, ...args: string[]): ReturnType<typeof mrcnn> =>
        mrcnn("train", file, "--out", join(folder, run), "--backend", "webgpu", ...args);
      const metrics = (run: string): MetricsLine[] => readMetrics(join(folder, run, "metrics.jsonl"));
      const arithmetic = (run: string): object[] =>
        metrics(run).map(({ step, loss, loss_mask, gradientNorm }) => ({
          step,
          loss,
          loss_mask,
          gradientNorm,
        }));
      const latest = (run: string): string =>
        readFileSync(join(folder, run, "checkpoints", "latest"), "utf8").trim();
      const weights = (run: string): Buffer =>
        readFileSync(join(folder, run, "checkpoints", latest(run), "weights.safetensors"));

      expect(await train("whole")).toMatchObject({ code: 0 });
      const watch = setInterval(() => {
        if (metrics("lost").length < 3) return;
        clearInterval(watch);
        webgpuBackend().device.destroy();
      }, 1);
      const lost = await train("lost");
      clearInterval(watch);
      expect(lost.code).toBe(1);
      expect(lost.err).toMatch(
        /error: webgpu: the GPU device was lost \(.*\)\. .*resume a training from its checkpoint with --resume\./,
      );
      expect(weights("lost").equals(weights("whole"))).toBe(false);

      expect(await train("lost", "--resume")).toMatchObject({ code: 0 });
      expect(latest("lost")).toBe(latest("whole"));
      expect(weights("lost").equals(weights("whole"))).toBe(true);
      expect(arithmetic("lost")).toEqual(arithmetic("whole"));
    },
  );
});
