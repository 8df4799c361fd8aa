import { expect, test } from "vitest";
import type { TrainingBatch } from "@mrcnn/core";
import { fit, sgd, warmupMultiStep } from "../src/index.ts";
import type { CheckpointState, StepReport } from "../src/index.ts";
import { toyBatch, toyModel } from "./toy-model.ts";

async function* batches(start: number): AsyncGenerator<TrainingBatch> {
  for (let k = start; ; k++) yield toyBatch(k);
}
const schedule = warmupMultiStep({ baseRate: 0.05, warmupSteps: 3, milestones: [5] });

async function run(steps: number, resume?: CheckpointState, stopAfter?: number): Promise<{ last: CheckpointState; losses: number[]; stopped: boolean; saves: number[] }> {
  const model = toyModel({ noise: 0.5 });
  const saves: CheckpointState[] = [];
  const losses: number[] = [];
  const abort = new AbortController();
  const { stopped } = await fit({
    model,
    batches,
    optimizer: sgd(),
    schedule,
    steps,
    seed: 5,
    accumulate: 2,
    resume,
    signal: abort.signal,
    hooks: {
      afterStep(report: StepReport) {
        losses.push(report.loss);
        if (report.step + 1 === stopAfter) abort.abort();
      },
      checkpoint: { every: 4, save: async (state) => void saves.push(state) },
    },
  });
  return { last: saves.at(-1)!, losses, stopped, saves: saves.map(({ step }) => step) };
}

test("a run stopped at step 3 and resumed equals the uninterrupted run, bit for bit", async () => {
  const whole = await run(8);
  const first = await run(8, undefined, 3);
  expect(first).toMatchObject({ stopped: true, saves: [3] });
  const second = await run(8, first.last);
  expect([...first.losses, ...second.losses]).toEqual(whole.losses);
  for (const [name, { data }] of whole.last.weights) expect(second.last.weights.get(name)!.data).toEqual(data);
  for (const [name, { data }] of whole.last.optimizer) expect(second.last.optimizer.get(name)!.data).toEqual(data);
});

test("checkpoints are saved every so many steps and at the end", async () => {
  expect((await run(10)).saves).toEqual([4, 8, 10]);
  expect((await run(8)).saves).toEqual([4, 8]);
});

test("batches that end early are an error that says where", async () => {
  const model = toyModel();
  const two = async function* (): AsyncGenerator<TrainingBatch> {
    yield toyBatch(0);
    yield toyBatch(1);
  };
  await expect(fit({ model, batches: two, optimizer: sgd(), schedule, steps: 5, seed: 1 })).rejects.toThrow("the batches ended at step 2 of 5");
});

test("a run is resumed with its own seed only", async () => {
  const { last } = await run(4);
  const model = toyModel();
  const before = await model.variables.get("weight")!.data();
  const other = fit({ model, batches, optimizer: sgd(), schedule, steps: 8, seed: 6, resume: last });
  await expect(other).rejects.toThrow("fit: seed must be 5, that of the run to resume, got 6.");
  expect(await model.variables.get("weight")!.data()).toEqual(before);
});
