import { memory } from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { hasKernel } from "@mrcnn/core/tensors";
import type { TrainingBatch } from "@mrcnn/core";
import { fit, restoreState, sgd, warmupMultiStep } from "../src/index.ts";
import type { CheckpointState, FitHooks, FitOptions, StepReport } from "../src/index.ts";
import { stepScaleContract } from "../src/kernel.ts";
import { slowToy, toyBatch, toyModel } from "./toy-model.ts";

async function* batches(start: number): AsyncGenerator<TrainingBatch> {
  for (let k = start; ; k++) yield toyBatch(k);
}
const schedule = warmupMultiStep({ baseRate: 0.05, warmupSteps: 3, milestones: [5] });

async function run(
  steps: number,
  resume?: CheckpointState,
  stopAfter?: number,
): Promise<{ last: CheckpointState; losses: number[]; stopped: boolean; saves: number[] }> {
  const model = toyModel({ noise: 0.5 });
  const saves: CheckpointState[] = [];
  const losses: number[] = [];
  const abort = new AbortController();
  const { stopped } = await fit({
    model,
    async *batches(start) {
      for (let k = start; ; k++) {
        // In the middle of that step, of two micro-batches.
        if (stopAfter !== undefined && k === 2 * stopAfter - 1) abort.abort();
        yield toyBatch(k);
      }
    },
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
  for (const [name, { data }] of whole.last.weights)
    expect(second.last.weights.get(name)!.data).toEqual(data);
  for (const [name, { data }] of whole.last.optimizer)
    expect(second.last.optimizer.get(name)!.data).toEqual(data);
});

test("checkpoints are saved every so many steps and at the end", async () => {
  expect((await run(10)).saves).toEqual([4, 8, 10]);
  expect((await run(8)).saves).toEqual([4, 8]);
});

test("a run says how many steps are done and whether it was stopped; one that is finished asks for no batch", async () => {
  const optimizer = sgd();
  const asked: number[] = [];
  const until = (steps: number, options: Partial<FitOptions> = {}): ReturnType<typeof fit> =>
    fit({
      model: toyModel(),
      optimizer,
      schedule,
      steps,
      seed: 5,
      async *batches(start) {
        for (let k = start; ; k++) {
          asked.push(k);
          yield toyBatch(k);
        }
      },
      ...options,
    });
  expect(await until(2)).toEqual({ step: 2, stopped: false });
  expect(await until(2, { signal: AbortSignal.abort() })).toEqual({ step: 0, stopped: true });
  const { last } = await run(4);
  expect(asked.splice(0)).toEqual([0, 1]);
  expect(await until(4, { resume: last })).toEqual({ step: 4, stopped: false });
  expect(asked).toEqual([]);
  expect(await until(5, { resume: last })).toEqual({ step: 5, stopped: false });
  expect(asked).toEqual([4]);
  optimizer.dispose();
});

test("times are in seconds: that of the step, and what was waited for its data", async () => {
  const optimizer = sgd();
  const reports: { seconds: number; waited: number }[] = [];
  const start = performance.now();
  await fit({
    model: slowToy(60),
    optimizer,
    schedule,
    steps: 2,
    seed: 1,
    async *batches() {
      for (let k = 0; ; k++) {
        await new Promise((resolve) => setTimeout(resolve, 120));
        yield toyBatch(k);
      }
    },
    hooks: { afterStep: ({ seconds, waited }) => void reports.push({ seconds, waited }) },
  });
  const whole = (performance.now() - start) / 1000;
  expect(reports).toHaveLength(2);
  for (const { seconds, waited } of reports) {
    expect(seconds).toBeGreaterThan(0.05);
    expect(waited).toBeGreaterThan(0.1);
  }
  expect(reports.reduce((sum, { seconds, waited }) => sum + seconds + waited, 0)).toBeLessThanOrEqual(whole);
  optimizer.dispose();
});

// A device that decides by itself how far an update goes is given the next step before this one is known to have ended.
test.skipIf(hasKernel(stepScaleContract, {}))(
  "a step that is waited for is reported before the next batch is asked for",
  async () => {
    const optimizer = sgd();
    const events: string[] = [];
    await fit({
      model: toyModel(),
      optimizer,
      schedule,
      steps: 3,
      seed: 1,
      async *batches(start) {
        for (let k = start; ; k++) {
          events.push(`batch ${k}`);
          yield toyBatch(k);
        }
      },
      hooks: { afterStep: ({ step }) => void events.push(`report ${step}`) },
    });
    expect(events).toEqual(["batch 0", "report 0", "batch 1", "report 1", "batch 2", "report 2"]);
    optimizer.dispose();
  },
);

test.each(["well", "with an error"])(
  "whoever makes the batches is told when a run ends %s, and waited for",
  async (how) => {
    const optimizer = sgd();
    let isClosed = false;
    const done = fit({
      model: toyModel(),
      optimizer,
      schedule,
      steps: 3,
      seed: 1,
      async *batches(start) {
        try {
          yield* batches(start);
        } finally {
          await new Promise((resolve) => setTimeout(resolve, 5));
          isClosed = true;
        }
      },
      hooks: {
        afterStep: () => (how === "well" ? undefined : Promise.reject(new Error("the disk is full"))),
      },
    });
    await (how === "well" ? done : expect(done).rejects.toThrow("the disk is full"));
    expect(isClosed).toBe(true);
    optimizer.dispose();
  },
);

test("batches may come of an iterator that can't be told when to end", async () => {
  const optimizer = sgd();
  const endless = { [Symbol.asyncIterator]: () => ({ next: async () => ({ value: toyBatch(0) }) }) };
  expect(
    await fit({ model: toyModel(), batches: () => endless, optimizer, schedule, steps: 2, seed: 1 }),
  ).toEqual({ step: 2, stopped: false });
  optimizer.dispose();
});

test("before every evaluation and checkpoint, all steps so far are done and reported; the last step is left to the caller", async () => {
  const model = toyModel();
  const events: string[] = [];
  const seen = async (name: string, step: number): Promise<void> => {
    events.push(`${name} ${step}: ${(await model.variables.get("bias")!.data())[0]!.toFixed(6)}`);
  };
  const optimizer = sgd();
  await fit({
    model,
    batches,
    optimizer,
    schedule,
    steps: 6,
    seed: 1,
    hooks: {
      afterStep: ({ step }) => void events.push(`report ${step}`),
      evaluation: { every: 2, run: (step) => seen("evaluation", step) },
      checkpoint: { every: 3, save: ({ step }) => seen("checkpoint", step) },
    },
  });
  // The bias's only gradient is 2w: by hand, with momentum 0.9 and decay 1e-4.
  let [w, v] = [0.5, 0];
  const biases = Array.from(
    { length: 6 },
    (_, step) => (w -= schedule(step) * (v = 0.9 * v + 2 * w + 1e-4 * w)),
  );
  const values = events.filter((event) => !event.startsWith("report"));
  expect(events.map((event) => event.split(":")[0])).toEqual([
    "report 0",
    "report 1",
    "evaluation 2",
    "report 2",
    "checkpoint 3",
    "report 3",
    "evaluation 4",
    "report 4",
    "report 5",
    "checkpoint 6",
  ]);
  for (const [i, step] of [2, 3, 4, 6].entries())
    expect(Number(values[i]!.split(": ")[1])).toBeCloseTo(biases[step - 1]!, 5);
  optimizer.dispose();
});

for (const clipNorm of [undefined, 1]) {
  test(`a loss that is not finite ends the run with the variables of the step before, ${clipNorm === undefined ? "without" : "with"} clipping, and leaves no tensor`, async () => {
    const until = async (
      steps: number,
      broken: number,
    ): Promise<{ weights: number[]; reports: number[]; error: unknown }> => {
      const model = toyModel();
      const optimizer = sgd();
      const reports: number[] = [];
      const error = await fit({
        model,
        optimizer,
        schedule,
        steps,
        seed: 1,
        clipNorm,
        async *batches(start) {
          for (let k = start; ; k++) {
            const batch = toyBatch(k, ["fine.png", `image ${k}.png`]);
            if (k === broken) batch.images.data[13] = Infinity;
            yield batch;
          }
        },
        hooks: { afterStep: ({ step }) => void reports.push(step) },
      }).catch((reason: unknown) => reason);
      const weights = [...(await model.variables.get("weight")!.data())];
      optimizer.dispose();
      for (const variable of model.variables.values()) variable.dispose();
      return { weights, reports, error };
    };
    const before = memory().numTensors;
    const good = await until(3, -1);
    const bad = await until(9, 3);
    expect(String(bad.error)).toMatch(/step 3: loss_fit is (Infinity|NaN) on image 3\.png\. /);
    expect(bad.reports).toEqual([0, 1, 2]);
    expect(bad.weights).toEqual(good.weights);
    expect(memory().numTensors).toBe(before);
  });
}

/** Trains a toy until something goes wrong: the error, the states saved, the reasons why one was not, and the steps reported. */
async function failing(
  options: Partial<Pick<FitOptions, "batches" | "optimizer">> & {
    readonly hooks?: Partial<FitHooks>;
    readonly save?: (state: CheckpointState) => void;
  } = {},
): Promise<{ error: unknown; saves: CheckpointState[]; unsaved: unknown[]; reports: number[] }> {
  const model = toyModel({ noise: 0.5 });
  const optimizer = options.optimizer ?? sgd();
  const [saves, unsaved, reports]: [CheckpointState[], unknown[], number[]] = [[], [], []];
  const error = await fit({
    model,
    optimizer,
    schedule,
    steps: 8,
    seed: 5,
    accumulate: 2,
    batches:
      options.batches ??
      async function* (start) {
        for (let k = start; ; k++) yield toyBatch(k);
      },
    hooks: {
      afterStep: ({ step }) => void reports.push(step),
      ...options.hooks,
      checkpoint: {
        every: 2,
        save: async (state) => (options.save?.(state), void saves.push(state)),
        unsaved: (reason) => void unsaved.push(reason),
      },
    },
  }).catch((reason: unknown) => reason);
  optimizer.dispose();
  for (const variable of model.variables.values()) variable.dispose();
  return { error, saves, unsaved, reports };
}

const stepsOf = (saves: readonly CheckpointState[]): number[] => saves.map(({ step }) => step);

test.each([0, 1, 2, 3, 5, 7])(
  "a batch that can't be had after %i steps ends the run with a checkpoint of them, from which it goes on as if nothing had been",
  async (good) => {
    const whole = await run(8);
    const { error, saves, unsaved } = await failing({
      async *batches(start) {
        for (let k = start; ; k++) {
          if (k === 2 * good + 1) throw new Error("broken.png: the image can't be read");
          yield toyBatch(k);
        }
      },
    });
    expect(String(error)).toContain("broken.png");
    expect(unsaved).toEqual([]);
    expect(stepsOf(saves)).toEqual([
      ...[2, 4, 6].filter((step) => step <= good),
      ...(good % 2 === 1 ? [good] : []),
    ]);
    if (good === 0) return;
    const { last } = await run(8, saves.at(-1));
    for (const [name, { data }] of whole.last.weights) expect(last.weights.get(name)!.data).toEqual(data);
    for (const [name, { data }] of whole.last.optimizer) expect(last.optimizer.get(name)!.data).toEqual(data);
  },
);

test("a loss that is not finite, a log that can't be written and an evaluation that fails end the run with a checkpoint of what is done", async () => {
  const whole = await run(8);
  const isWhole = async (state: CheckpointState): Promise<void> => {
    const { last } = await run(8, state);
    for (const [name, { data }] of whole.last.weights) expect(last.weights.get(name)!.data).toEqual(data);
  };
  const infinite = await failing({
    async *batches(start) {
      for (let k = start; ; k++) {
        const batch = toyBatch(k);
        if (k === 10) batch.images.data[1] = Infinity;
        yield batch;
      }
    },
  });
  expect(String(infinite.error)).toContain("step 5: loss_fit is");
  expect(stepsOf(infinite.saves)).toEqual([2, 4, 5]);
  await isWhole(infinite.saves.at(-1)!);

  const full = await failing({
    hooks: {
      afterStep: ({ step }) => {
        if (step === 4) throw new Error("the disk is full");
      },
    },
  });
  expect(String(full.error)).toContain("the disk is full");
  // A backend that is not waited for has done the next step as well.
  expect([
    [2, 4, 5],
    [2, 4, 6],
  ]).toContainEqual(stepsOf(full.saves));
  await isWhole(full.saves.at(-1)!);

  const failed = await failing({
    hooks: { evaluation: { every: 3, run: () => Promise.reject(new Error("no memory")) } },
  });
  expect(String(failed.error)).toContain("no memory");
  expect(stepsOf(failed.saves)).toEqual([2, 3]);
  await isWhole(failed.saves.at(-1)!);
});

test("an evaluation that a run was stopped in is run when it goes on; one after the last step is the caller's", async () => {
  const stopped = await failing({
    hooks: { evaluation: { every: 3, run: () => Promise.reject(new Error("stopped")) } },
  });
  const evaluated: number[] = [];
  const again = async (resume: CheckpointState, steps: number): Promise<void> => {
    const optimizer = sgd();
    await fit({
      model: toyModel(),
      batches,
      optimizer,
      schedule,
      steps,
      seed: 5,
      resume,
      hooks: { evaluation: { every: 3, run: async (step) => void evaluated.push(step) } },
    });
    optimizer.dispose();
  };
  await again(stopped.saves.at(-1)!, 8);
  expect(evaluated).toEqual([3, 6]);
  await again(stopped.saves.at(-1)!, 3);
  await again(stopped.saves[0]!, 4);
  expect(evaluated).toEqual([3, 6, 3]);
});

test("a checkpoint that can't be saved is the error, and is not tried again", async () => {
  let tries = 0;
  const { error, saves, unsaved } = await failing({
    save: ({ step }) => {
      tries++;
      if (step === 4) throw new Error("the disk is full");
    },
  });
  expect(String(error)).toContain("the disk is full");
  expect({ tries, steps: stepsOf(saves), unsaved }).toEqual({ tries: 2, steps: [2], unsaved: [] });
});

test("an error whose checkpoint can't be saved stays the error; why the steps are lost is told", async () => {
  const { error, unsaved } = await failing({
    save: ({ step }) => {
      if (step === 3) throw new Error("the disk is full");
    },
    hooks: { evaluation: { every: 3, run: () => Promise.reject(new Error("no memory")) } },
  });
  expect(String(error)).toContain("no memory");
  expect(unsaved.map(String)).toEqual(["Error: the disk is full"]);
});

test.each<[string, FitHooks]>([
  ["no checkpoints", {}],
  [
    "nobody who wants to know why",
    { checkpoint: { every: 2, save: () => Promise.reject(new Error("saved")) } },
  ],
])("an error stays the error where its steps can't be saved, with %s", async (_, hooks) => {
  const own = sgd();
  const cut = {
    ...own,
    apply: () => {
      throw new Error("memory access out of bounds");
    },
  };
  await expect(
    fit({ model: toyModel(), batches, optimizer: cut, schedule, steps: 2, seed: 1, hooks }),
  ).rejects.toThrow("memory access out of bounds");
  own.dispose();
});

test("an update that is cut in the middle is not saved", async () => {
  const own = sgd();
  let updates = 0;
  const { error, saves, unsaved } = await failing({
    optimizer: {
      apply(variables, gradients, options) {
        // Half of the variables are those after the step then.
        const isCut = ++updates === 4;
        own.apply(variables, isCut ? new Map([...gradients].slice(0, 1)) : gradients, options);
        if (isCut) throw new Error("memory access out of bounds");
      },
      state: () => own.state(),
      load: (state) => own.load(state),
      dispose: () => own.dispose(),
    },
  });
  expect(String(error)).toContain("memory access out of bounds");
  expect(stepsOf(saves)).toEqual([2]);
  expect(unsaved.map(String)).toEqual([
    expect.stringContaining("the update of step 3 was cut in the middle"),
  ]);
});

test("velocities of another shape are not put back, and nothing is changed", async () => {
  const { last } = await run(4);
  const model = toyModel();
  const before = await model.variables.get("weight")!.data();
  const other = {
    ...last,
    optimizer: new Map([...last.optimizer, ["weight", { shape: [2, 3], data: new Float32Array(6) }]]),
  };
  await expect(
    fit({ model, batches, optimizer: sgd(), schedule, steps: 8, seed: 5, resume: other }),
  ).rejects.toThrow(
    "restoreState: the optimizer's weight must be of its variable's shape [3, 2], got [2, 3]. It is of another run.",
  );
  expect(await model.variables.get("weight")!.data()).toEqual(before);
});

test("an optimizer of one's own may remember under names that are no variable's", async () => {
  const { last } = await run(4);
  const state = { ...last, optimizer: new Map([["updates", { shape: [1], data: Float32Array.of(4) }]]) };
  const loaded: unknown[] = [];
  restoreState(toyModel(), { ...sgd(), load: (found) => void loaded.push(found) }, state);
  expect(loaded).toEqual([state.optimizer]);
});

test("batches that end early are an error that says where", async () => {
  const model = toyModel();
  const two = async function* (): AsyncGenerator<TrainingBatch> {
    yield toyBatch(0);
    yield toyBatch(1);
  };
  await expect(fit({ model, batches: two, optimizer: sgd(), schedule, steps: 5, seed: 1 })).rejects.toThrow(
    "the batches ended at step 2 of 5",
  );
});

test("a run is resumed with its own seed only", async () => {
  const { last } = await run(4);
  const model = toyModel();
  const before = await model.variables.get("weight")!.data();
  const other = fit({ model, batches, optimizer: sgd(), schedule, steps: 8, seed: 6, resume: last });
  await expect(other).rejects.toThrow("fit: seed must be 5, that of the run to resume, got 6.");
  expect(await model.variables.get("weight")!.data()).toEqual(before);
});
