/** One training step: forward, backward, gradient clipping as in torch, and the optimizer's update. */
import { add, addN, concat, dispose, keep, sqrt, square, stack, sum, tidy } from "@tensorflow/tfjs-core";
import type { Scalar, Tensor, Tensor1D, Variable } from "@tensorflow/tfjs-core";
import { createRandom, firstNotFinite, TrainingError } from "@mrcnn/core";
import { hasKernel, runKernel } from "@mrcnn/core/tensors";
import type { GroundTruth, Random, TrainingBatch } from "@mrcnn/core";
import type { LossTerms, TrainableModel } from "@mrcnn/core/tensors";
import { stepScaleContract } from "./kernel.ts";
import type { StepScaleAttrs } from "./kernel.ts";
import type { Optimizer } from "./sgd.ts";
import { onTape } from "./tape.ts";

/** Options of one update. */
export interface StepOptions {
  /** Number of the step, counted from 0; used in messages. */
  readonly step: number;
  /** The learning rate. */
  readonly rate: number;
  /** Random numbers for the model's sampling. The step advances their state, so give each step its own. */
  readonly random: Random;
  /**
   * Maximum global L2 norm of the gradients; larger gradients are scaled down to it. Default: no clipping.
   */
  readonly clipNorm?: number | undefined;
}

/** Result of a step. Loss values are means over the micro-batches. */
export interface StepReport {
  readonly step: number;
  readonly rate: number;
  /** The sum of `losses`. */
  readonly loss: number;
  /** Loss terms by name. */
  readonly losses: Readonly<Record<string, number>>;
  /** Global L2 norm of the gradients before clipping; absent without clipping. */
  readonly gradientNorm?: number;
  /** Number of images in all micro-batches. */
  readonly images: number;
  /**
   * Wall time of forward, backward and update, without waiting for data. In `fit`, on a device that computes
   * asynchronously: the time until the next step may begin.
   */
  readonly seconds: number;
}

type Gradients = Map<string, Tensor>;

// One micro-batch's forward pass.
interface Forward {
  readonly batch: TrainingBatch;
  /** State of the random numbers before the pass. */
  readonly random: ReturnType<Random["state"]>;
  readonly names: readonly string[];
  /** The losses, in the order of `names`. */
  readonly terms: Tensor1D;
}

/** Keeps a model's running statistics as they are now, by reference, without copying. */
function keepStatistics({ variables, statistics = [] }: TrainableModel): {
  putBack(): void;
  dispose(): void;
} {
  const kept = statistics.map((name) => {
    const variable = variables.get(name) as Variable;
    return { variable, value: keep(variable.clone()) };
  });
  return {
    putBack: () => kept.forEach(({ variable, value }) => variable.assign(value)),
    dispose: () => dispose(kept.map(({ value }) => value)),
  };
}

const stackTerms = (terms: LossTerms): Tensor1D => tidy(() => stack(Object.values(terms)) as Tensor1D);

const imageOf = ({ images, groundTruth, names }: TrainingBatch, i: number): TrainingBatch => {
  const stride = images.size.height * images.size.width * 3;
  return {
    images: {
      data: images.data.subarray(i * stride, (i + 1) * stride),
      size: images.size,
      imageSizes: [images.imageSizes[i]!],
    },
    groundTruth: [groundTruth[i] as GroundTruth],
    names: [names[i]!],
  };
};

// Finds the image that caused the failure: the first whose loss alone is not finite.
async function blame(model: TrainableModel, { batch, random }: Forward): Promise<string> {
  const own = createRandom(random);
  for (let i = 0; i < batch.names.length; i++) {
    const one = imageOf(batch, i);
    const values = await onTape(
      () => model.losses(one, own),
      async ({ result }) => stackTerms(result).data(),
    );
    if (firstNotFinite(values) !== -1) return batch.names[i]!;
  }
  return batch.names.join(", ");
}

async function gradientsOf(
  model: TrainableModel,
  batch: TrainingBatch,
  random: Random,
): Promise<{ forward: Forward; gradients: Gradients }> {
  const before = random.state();
  return onTape(
    () => model.losses(batch, random),
    async ({ result, gradients }) => {
      const loss = tidy(() => addN(Object.values(result)) as Scalar);
      const names = model.trainable;
      const tensors = gradients(
        loss,
        names.map((name) => model.variables.get(name) as Variable),
      );
      const terms = keep(stackTerms(result));
      const named: Gradients = new Map();
      names.forEach((name, i) => {
        const gradient = tensors[i];
        if (gradient !== undefined) named.set(name, gradient);
      });
      return { forward: { batch, random: before, names: Object.keys(result), terms }, gradients: named };
    },
  );
}

/**
 * Returns the means of the losses over the micro-batches.
 *
 * @throws TrainingError when one is not finite.
 */
async function meanLosses(
  model: TrainableModel,
  forwards: readonly Forward[],
  values: readonly ArrayLike<number>[],
  step: number,
): Promise<Record<string, number>> {
  const means: Record<string, number> = {};
  for (const [k, forward] of forwards.entries()) {
    const bad = firstNotFinite(values[k]!);
    if (bad !== -1) {
      throw new TrainingError(
        `step ${step}: ${forward.names[bad]} is ${values[k]![bad]} on ${await blame(model, forward)}. ` +
          "Lower the learning rate or lengthen the warm-up, set gradient clipping (optimizer.clipNorm), and look at this image with `mrcnn inspect`.",
      );
    }
    for (const [i, name] of forward.names.entries())
      means[name] = (means[name] ?? 0) + values[k]![i]! / forwards.length;
  }
  return means;
}

function assertNorm(norm: number, batches: readonly TrainingBatch[], step: number): void {
  if (Number.isFinite(norm)) return;
  throw new TrainingError(
    `step ${step}: the gradient is not finite on ${batches.flatMap((b) => b.names).join(", ")}. Lower the learning rate or lengthen the warm-up.`,
  );
}

async function globalNorm(gradients: Gradients): Promise<number> {
  const norm = tidy(() => sqrt(addN([...gradients.values()].map((g) => sum(square(g))))));
  const [value] = await norm.data();
  norm.dispose();
  return value!;
}

/** A step whose commands have all been submitted to the device. */
export interface SubmittedStep {
  /** Factor of the gradients, where the device computed it; -1 where the step was skipped. */
  readonly scale: Scalar | undefined;
  /**
   * Waits for the step; to be called once, with no tape open.
   *
   * @throws TrainingError as `trainStep`.
   */
  report(): Promise<StepReport>;
}

/**
 * Performs `trainStep` without waiting for its end, where the backend computes the scale of the update on its
 * own device; elsewhere it waits. When the step `after` turns out not to be finite, this one changes nothing
 * either.
 */
export async function submitStep(
  model: TrainableModel,
  batches: readonly TrainingBatch[],
  optimizer: Pick<Optimizer, "apply">,
  { step, rate, random, clipNorm, after }: StepOptions & { readonly after?: SubmittedStep | undefined },
): Promise<SubmittedStep> {
  const start = performance.now();
  const total: Gradients = new Map();
  const forwards: Forward[] = [];
  const share = 1 / batches.length;
  const before = keepStatistics(model);
  let isOpen = false;
  const elapsed = (): number => (performance.now() - start) / 1000;
  const summary = (
    losses: Record<string, number>,
    norm: number | undefined,
    seconds: number,
  ): StepReport => ({
    step,
    rate,
    loss: Object.values(losses).reduce((a, b) => a + b, 0),
    losses,
    ...(norm === undefined ? {} : { gradientNorm: norm }),
    images: batches.reduce((n, b) => n + b.names.length, 0),
    seconds,
  });
  try {
    for (const batch of batches) {
      const { forward, gradients } = await gradientsOf(model, batch, random);
      forwards.push(forward);
      for (const [name, gradient] of gradients) {
        const sofar = total.get(name);
        total.set(name, sofar === undefined ? gradient : add(sofar, gradient));
        if (sofar !== undefined) dispose([sofar, gradient]);
      }
    }
    if (hasKernel(stepScaleContract, {})) {
      const [scale, found] = tidy(() => {
        const losses = concat(forwards.map(({ terms }) => terms));
        const gradients =
          clipNorm === undefined ? [] : [...total.values()].map((gradient, i) => [`gradient${i}`, gradient]);
        const inputs = {
          ...Object.fromEntries(gradients),
          losses,
          ...(after?.scale !== undefined && { previous: after.scale }),
        };
        return runKernel<Tensor[], StepScaleAttrs>(stepScaleContract, inputs, { share, clipNorm })!;
      }) as [Scalar, Tensor1D];
      optimizer.apply(model.variables, total, { rate, scale });
      const read = found.data() as Promise<Float32Array>;
      // A failure is reported when `report` awaits it, not as an unhandled rejection.
      read.catch(() => {});
      const seconds = elapsed();
      isOpen = true;
      return {
        scale,
        async report() {
          try {
            const all = await read;
            let at = 0;
            const values = forwards.map(({ names }) => all.subarray(at, (at += names.length)));
            const losses = await meanLosses(model, forwards, values, step);
            const norm = clipNorm === undefined ? undefined : all[at]!;
            if (norm !== undefined) assertNorm(norm, batches, step);
            return summary(losses, norm, seconds);
          } catch (error) {
            before.putBack();
            throw error;
          } finally {
            before.dispose();
            dispose([scale, found]);
          }
        },
      };
    }
    const losses = await meanLosses(
      model,
      forwards,
      await Promise.all(forwards.map(({ terms }) => terms.data())),
      step,
    );
    let scale = share;
    let norm: number | undefined;
    if (clipNorm !== undefined) {
      norm = (await globalNorm(total)) * share;
      assertNorm(norm, batches, step);
      // The rule of torch.nn.utils.clip_grad_norm_, including its 1e-6.
      scale *= Math.min(1, clipNorm / (norm + 1e-6));
    }
    optimizer.apply(model.variables, total, { rate, scale });
    const done = summary(losses, norm, elapsed());
    return { scale: undefined, report: async () => done };
  } catch (error) {
    before.putBack();
    throw error;
  } finally {
    if (!isOpen) before.dispose();
    dispose([...total.values(), ...forwards.map(({ terms }) => terms)]);
  }
}

/**
 * Performs one update: forward and backward of every micro-batch (their gradients are averaged), clipping,
 * optimizer. Each micro-batch takes one forward pass; only the updated variables stay on the device.
 *
 * @throws TrainingError naming the image and the loss term when a loss or the gradient is not finite; the
 * variables then have their values from before the step.
 */
export async function trainStep(
  model: TrainableModel,
  batches: readonly TrainingBatch[],
  optimizer: Optimizer,
  options: StepOptions,
): Promise<StepReport> {
  const start = performance.now();
  const report = await (await submitStep(model, batches, optimizer, options)).report();
  return { ...report, seconds: (performance.now() - start) / 1000 };
}
