// The path of a backend that decides on its own device how far an update goes. WebGPU's kernels are tried on WebGPU;
// elsewhere the two stand here in plain JavaScript, as their contracts describe them.
import {
  backend as currentBackend,
  engine,
  getBackend,
  getKernel,
  memory,
  registerKernel,
  scalar,
  tensor1d,
  tidy,
  unregisterKernel,
  variable,
} from "@tensorflow/tfjs-core";
import type { KernelConfig, NamedAttrMap, Tensor, TensorInfo, Variable } from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createRandom } from "@mrcnn/core";
import type { TrainingBatch } from "@mrcnn/core";
import { expectClose } from "@mrcnn/testing";
import { fit, sgd, trainStep, warmupMultiStep } from "../src/index.ts";
import type { CheckpointState, FitHooks } from "../src/index.ts";
import { SGD, STEP_SCALE } from "../src/kernel.ts";
import { submitStep } from "../src/step.ts";
import { toyBatch, toyModel } from "./toy-model.ts";

interface Storage {
  readSync(id: object): ArrayLike<number>;
  write(values: Float32Array, shape: number[], dtype: "float32"): object;
}
const storage = (): Storage => currentBackend() as unknown as Storage;
const read = ({ dataId }: TensorInfo): number[] => Array.from(storage().readSync(dataId));
const made = (values: readonly number[], shape: number[]): TensorInfo =>
  ({
    dataId: storage().write(Float32Array.from(values), shape, "float32"),
    shape,
    dtype: "float32",
  }) as unknown as TensorInfo;

const calls: string[] = [];
const naive: Record<string, KernelConfig["kernelFunc"]> = {
  [SGD]({ inputs, attrs }) {
    const { variable: w, gradient, velocity, scale } = inputs as Record<string, TensorInfo>;
    const { rate, momentum, decay } = attrs as unknown as { rate: number; momentum: number; decay: number };
    calls.push(velocity === undefined ? "first update" : "update");
    const [weights, gradients, by] = [read(w!), read(gradient!), read(scale!)[0]!];
    const old = velocity === undefined ? undefined : read(velocity);
    if (by < 0) return [made(weights, w!.shape), made(old ?? weights.map(() => 0), w!.shape)];
    const next = gradients.map((g, i) => momentum * (old?.[i] ?? 0) + g * by + decay * weights[i]!);
    return [
      made(
        weights.map((value, i) => value - rate * next[i]!),
        w!.shape,
      ),
      made(next, w!.shape),
    ];
  },
  [STEP_SCALE]({ inputs, attrs }) {
    const { losses, previous, ...gradients } = inputs as Record<string, TensorInfo>;
    const { share, clipNorm } = attrs as unknown as { share: number; clipNorm: number | undefined };
    const values = read(losses!);
    const norm =
      share *
      Math.sqrt(
        Object.values(gradients)
          .flatMap(read)
          .reduce((sum, g) => Math.fround(sum + Math.fround(g * g)), 0),
      );
    const isMeant =
      [...values, norm].every(Number.isFinite) && (previous === undefined || read(previous)[0]! >= 0);
    calls.push(
      `scale of ${Object.keys(gradients).length} gradients${previous === undefined ? "" : " after another"}`,
    );
    const scale = share * (clipNorm === undefined ? 1 : Math.min(1, clipNorm / (norm + 1e-6)));
    return [made([isMeant ? scale : -1], []), made([...values, norm], [values.length + 1])];
  },
};

const ours: string[] = [];
const install = (): void => {
  for (const [kernelName, kernelFunc] of Object.entries(naive)) {
    if (getKernel(kernelName, getBackend()) !== undefined) continue;
    registerKernel({ kernelName, backendName: getBackend(), kernelFunc });
    ours.push(kernelName);
  }
};
const remove = (): void => {
  for (const name of ours.splice(0)) unregisterKernel(name, getBackend());
};
beforeAll(install);
afterAll(remove);

/** Takes the kernels away, whosever they are, for as long as `work` takes. */
async function onHost<T>(work: () => Promise<T>): Promise<T> {
  const taken = Object.keys(naive).map((name) => getKernel(name, getBackend())!);
  for (const { kernelName, backendName } of taken) unregisterKernel(kernelName, backendName);
  try {
    return await work();
  } finally {
    for (const config of taken) registerKernel(config);
  }
}

const options = { step: 2, rate: 0.1 };

/** What three steps make of a fresh toy: its variables, velocities and the last report. */
async function stepped(
  clipNorm: number | undefined,
): Promise<{ weights: number[]; velocity: number[]; report: object }> {
  const model = toyModel();
  const optimizer = sgd({ momentum: 0.5, weightDecay: 0.1 });
  let report: object = {};
  for (let step = 0; step < 3; step++) {
    const { seconds: _, ...rest } = await trainStep(model, [toyBatch(step), toyBatch(step + 9)], optimizer, {
      ...options,
      step,
      clipNorm,
      random: createRandom(0),
    });
    report = rest;
  }
  const weights = (await Promise.all([...model.variables.values()].map((v) => v.data()))).flatMap((data) => [
    ...data,
  ]);
  const velocity = [...(await optimizer.state()).values()].flatMap(({ data }) => [...data]);
  optimizer.dispose();
  for (const one of model.variables.values()) one.dispose();
  return { weights, velocity, report };
}

test.each([undefined, 0.5, 1e6])(
  "three steps of two micro-batches, clipped to %s, end as where the host decides",
  async (clipNorm) => {
    calls.length = 0;
    const [device, host] = [await stepped(clipNorm), await onHost(() => stepped(clipNorm))];
    if (ours.length > 0) {
      expect(calls.filter((call) => call.startsWith("scale"))).toEqual(
        Array(3).fill(`scale of ${clipNorm === undefined ? 0 : 2} gradients`),
      );
      expect(calls.filter((call) => call === "first update")).toHaveLength(2);
      expect(calls.filter((call) => call === "update")).toHaveLength(4);
    }
    await expectClose(device.weights, host.weights, { atol: 1e-5 });
    await expectClose(device.velocity, host.velocity, { atol: 1e-5 });
    expect(Object.keys(device.report).toSorted()).toEqual(Object.keys(host.report).toSorted());
    for (const key of ["loss", "gradientNorm", "images", "step", "rate"]) {
      const [one, other] = [device.report, host.report].map(
        (report) => (report as Record<string, number>)[key],
      );
      if (other === undefined) expect(one).toBeUndefined();
      else expect(one).toBeCloseTo(other, 4);
    }
  },
);

test("a step that is not finite changes nothing, nor does the one that was submitted after it", async () => {
  const model = toyModel();
  const optimizer = sgd({ momentum: 0.5 });
  const bias = async (): Promise<number[]> => [...(await model.variables.get("bias")!.data())];
  await trainStep(model, [toyBatch(0)], optimizer, { ...options, random: createRandom(0) });
  const [before, velocity] = [await bias(), [...(await optimizer.state()).get("bias")!.data]];
  const broken = toyBatch(1, ["fine.png", "broken.png"]);
  broken.images.data[13] = NaN;
  const first = await submitStep(model, [broken], optimizer, { ...options, random: createRandom(0) });
  const second = await submitStep(model, [toyBatch(2)], optimizer, {
    ...options,
    random: createRandom(0),
    after: first,
  });
  await expect(first.report()).rejects.toThrow(/step 2: loss_fit is NaN on broken\.png\. /);
  await second.report();
  expect(await bias()).toEqual(before);
  expect([...(await optimizer.state()).get("bias")!.data]).toEqual(velocity);
  optimizer.dispose();
});

test("a gradient that is not finite is an error where it is clipped, and changes nothing", async () => {
  const model = toyModel();
  const optimizer = sgd();
  // Finite as a loss, and beyond float32 as a sum of squares.
  const huge = toyBatch(1);
  huge.images.data.fill(1e15);
  const before = [...(await model.variables.get("weight")!.data())];
  await expect(
    trainStep(model, [huge], optimizer, { ...options, clipNorm: 1, random: createRandom(0) }),
  ).rejects.toThrow(/step 2: the gradient is not finite on a\.png, b\.png\. /);
  expect([...(await model.variables.get("weight")!.data())]).toEqual(before);
  optimizer.dispose();
});

test("a step that is not finite puts back the statistics that its forward pass has changed, when it is known", async () => {
  const toy = toyModel();
  const running = toy.variables.get("running_mean")!;
  const model = {
    ...toy,
    statistics: ["running_mean"],
    async losses(...args: Parameters<typeof toy.losses>) {
      tidy(() => running.assign(running.add(1)));
      return toy.losses(...args);
    },
  };
  const optimizer = sgd();
  const step = async (batch: TrainingBatch): Promise<unknown> =>
    (await submitStep(model, [batch], optimizer, { ...options, random: createRandom(0) })).report();
  await step(toyBatch(0));
  const tensors = memory().numTensors;
  const broken = toyBatch(1);
  broken.images.data[13] = NaN;
  await expect(step(broken)).rejects.toThrow("loss_fit is NaN");
  await expectClose(running, [8]);
  await step(toyBatch(2));
  await expectClose(running, [9]);
  expect(memory().numTensors).toBe(tensors);
  optimizer.dispose();
});

/** Trains a toy for 8 steps, whose batch `broken` is not finite: the error, and the checkpoints after every third step and at the end. */
async function failing({
  broken = Infinity,
  ends = Infinity,
  afterStep,
}: {
  broken?: number;
  ends?: number;
  afterStep?: FitHooks["afterStep"];
}): Promise<{ error: string; saves: CheckpointState[] }> {
  const [model, optimizer, saves] = [toyModel(), sgd(), [] as CheckpointState[]];
  const error = await fit({
    model,
    optimizer,
    steps: 8,
    seed: 1,
    schedule: warmupMultiStep({ baseRate: 0.01 }),
    async *batches(start): AsyncGenerator<TrainingBatch> {
      for (let k = start; k < ends; k++) {
        const batch = toyBatch(k);
        if (k === broken) batch.images.data[1] = NaN;
        yield batch;
      }
    },
    hooks: {
      ...(afterStep !== undefined && { afterStep }),
      checkpoint: { every: 3, save: async (state) => void saves.push(state) },
    },
  }).catch(String);
  optimizer.dispose();
  return { error: String(error), saves };
}
const isFull: FitHooks["afterStep"] = ({ step }) => {
  if (step === 3) throw new Error("the disk is full");
};

test.each<[string, Parameters<typeof failing>[0], { error: string; saves: number[] }]>([
  // The step after it was submitted before that was known, and is done.
  ["a report that is refused", { afterStep: isFull }, { error: "the disk is full", saves: [3, 5] }],
  [
    "a report that is refused, before a step that is not finite",
    { afterStep: isFull, broken: 4 },
    { error: "the disk is full", saves: [3, 4] },
  ],
  // The step after one that is not finite changes nothing, though it may be finite itself.
  ["a step that is not finite", { broken: 3 }, { error: "step 3: loss_fit is NaN on a.png", saves: [3] }],
  [
    "a step that is not finite, beyond a checkpoint",
    { broken: 4 },
    { error: "step 4: loss_fit is NaN on a.png", saves: [3, 4] },
  ],
  ["batches that end", { ends: 5 }, { error: "the batches ended at step 5 of 8", saves: [3, 5] }],
  [
    "batches that end after a step that is not finite",
    { ends: 5, broken: 4 },
    { error: "step 4: loss_fit is NaN on a.png", saves: [3, 4] },
  ],
])(
  "%s: what is saved are the steps that are done, and the first thing that went wrong is the error",
  async (_, what, expected) => {
    const { error, saves } = await failing(what);
    expect(error).toContain(expected.error);
    expect(saves.map(({ step }) => step)).toEqual(expected.saves);
    const whole = await failing({ ends: expected.saves.at(-1)! });
    expect(saves.at(-1)!.weights).toEqual(whole.saves.at(-1)!.weights);
  },
);

test("a number as scale, or none, is the same as that scalar on the device", async () => {
  const run = async (scale: number | undefined): Promise<number[]> => {
    const [w, g] = [variable(tensor1d([1, -2, 3])) as Variable, tensor1d([10, 20, -30])];
    const optimizer = sgd({ momentum: 0.9, weightDecay: 0.2 });
    optimizer.apply(new Map([["w", w]]), new Map([["w", g]]), {
      rate: 0.1,
      ...(scale !== undefined && { scale }),
    });
    optimizer.dispose();
    return [...(await w.data())];
  };
  // v = g scale + 0.2 w; w - 0.1 v.
  await expectClose(await run(0.5), [0.48, -2.96, 4.44], { atol: 1e-5 });
  await expectClose(await run(undefined), [-0.02, -3.96, 5.94], { atol: 1e-5 });
});

test("a run reports every step in order, one behind what is submitted, and leaves no tensor", async () => {
  const run = async (): Promise<{ steps: number[]; saved: number[] }> => {
    const model = toyModel();
    const optimizer = sgd();
    const [steps, saved]: [number[], number[]] = [[], []];
    await fit({
      model,
      optimizer,
      steps: 7,
      seed: 1,
      schedule: warmupMultiStep({ baseRate: 0.01 }),
      clipNorm: 1,
      async *batches(start): AsyncGenerator<TrainingBatch> {
        for (let k = start; ; k++) yield toyBatch(k);
      },
      hooks: {
        afterStep: ({ step }) => void steps.push(step),
        checkpoint: { every: 3, save: async ({ step }) => void saved.push(step) },
      },
    });
    optimizer.dispose();
    for (const one of model.variables.values()) one.dispose();
    return { steps, saved };
  };
  await run();
  const before = memory().numTensors;
  calls.length = 0;
  expect(await run()).toEqual({ steps: [0, 1, 2, 3, 4, 5, 6], saved: [3, 6, 7] });
  // Where it isn't waited for, a step knows the one before it; after a checkpoint there is none.
  if (ours.length > 0)
    expect(
      calls.filter((call) => call.startsWith("scale")).map((call) => call.endsWith("after another")),
    ).toEqual([false, true, true, false, true, true, false]);
  expect(memory().numTensors).toBe(before);
});

test("one update on the device is the one by hand", async () => {
  const w = variable(tensor1d([1, -2, 3])) as Variable;
  const [g, scale] = [tensor1d([10, 20, -30]), scalar(0.5)];
  const [moved, velocity] = engine().runKernel(SGD, { variable: w, gradient: g, scale }, {
    rate: 0.1,
    momentum: 0.9,
    decay: 0.2,
  } as unknown as NamedAttrMap) as Tensor[];
  // v = g / 2 + 0.2 w; w - 0.1 v.
  await expectClose(velocity!, [5.2, 9.6, -14.4], { atol: 1e-5 });
  await expectClose(moved!, [0.48, -2.96, 4.44], { atol: 1e-5 });
});

test("gradients of unknown variables and velocities of another type are refused by name", () => {
  const optimizer = sgd();
  const [w, g] = [variable(tensor1d([1])), tensor1d([1])];
  expect(() => optimizer.apply(new Map([["w", w]]), new Map([["v", g]]), { rate: 1 })).toThrow(
    "sgd: gradient of an unknown variable v.",
  );
  expect(() => optimizer.load(new Map([["w", { shape: [1], data: new Int32Array(1) }]]))).toThrow(
    "sgd: velocity w must be float32.",
  );
});
