import { add, addN, dispose, sqrt, square, stack, sum, tidy } from "@tensorflow/tfjs-core";
import type { Scalar, Tensor, Variable } from "@tensorflow/tfjs-core";
import { createRandom, TrainingError } from "@mrcnn/core";
import type { GroundTruth, LossTerms, Random, TrainableModel, TrainingBatch } from "@mrcnn/core";
import type { Optimizer } from "./sgd.ts";
import { onTape } from "./tape.ts";

/** Of one update. */
export interface StepOptions {
  /** Counted from 0; used in messages. */
  readonly step: number;
  /** The learning rate. */
  readonly rate: number;
  /** What the model samples with; drawn from, so give each step its own. */
  readonly random: Random;
  /** Scales gradients whose global L2 norm exceeds this. */
  readonly clipNorm?: number | undefined;
}

/** What happened in a step. Loss values are means over the micro-batches. */
export interface StepReport {
  readonly step: number;
  readonly rate: number;
  /** The sum of `losses`. */
  readonly loss: number;
  /** Each term by name. */
  readonly losses: Readonly<Record<string, number>>;
  /** Global L2 norm before clipping; absent without clipping. */
  readonly gradientNorm?: number;
  /** In all micro-batches. */
  readonly images: number;
  /** Wall time of forward, backward and update, without waiting for data. */
  readonly seconds: number;
}

type Gradients = Map<string, Tensor>;

async function readTerms(terms: LossTerms): Promise<Record<string, number>> {
  const names = Object.keys(terms);
  const stacked = tidy(() => stack(names.map((name) => terms[name]!)));
  const values = await stacked.data();
  stacked.dispose();
  return Object.fromEntries(names.map((name, i) => [name, values[i]!]));
}

const notFinite = (losses: Record<string, number>): string | undefined =>
  Object.keys(losses).find((name) => !Number.isFinite(losses[name]!));

const imageOf = ({ images, groundTruth, names }: TrainingBatch, i: number): TrainingBatch => {
  const stride = images.size.height * images.size.width * 3;
  return {
    images: { data: images.data.subarray(i * stride, (i + 1) * stride), size: images.size, imageSizes: [images.imageSizes[i]!] },
    groundTruth: [groundTruth[i] as GroundTruth],
    names: [names[i]!],
  };
};

// Which image of the batch is to blame: the first whose loss alone is not finite.
async function blame(model: TrainableModel, batch: TrainingBatch, random: Random): Promise<string> {
  for (let i = 0; i < batch.names.length; i++) {
    const one = imageOf(batch, i);
    const losses = await onTape(() => model.losses(one, random), ({ result }) => readTerms(result));
    if (notFinite(losses) !== undefined) return batch.names[i]!;
  }
  return batch.names.join(", ");
}

async function gradientsOf(
  model: TrainableModel,
  batch: TrainingBatch,
  { step, random }: StepOptions,
): Promise<{ losses: Record<string, number>; gradients: Gradients }> {
  const before = random.state();
  const found = await onTape(
    () => model.losses(batch, random),
    async ({ result, gradients }) => {
      const loss = tidy(() => addN(Object.values(result)) as Scalar);
      const losses = await readTerms(result);
      if (notFinite(losses) !== undefined) return { losses };
      const names = model.trainable;
      const tensors = gradients(loss, names.map((name) => model.variables.get(name) as Variable));
      const named: Gradients = new Map();
      names.forEach((name, i) => {
        const gradient = tensors[i];
        if (gradient !== undefined) named.set(name, gradient);
      });
      return { losses, gradients: named };
    },
  );
  const bad = notFinite(found.losses);
  if (bad === undefined && found.gradients !== undefined) return { losses: found.losses, gradients: found.gradients };
  const image = await blame(model, batch, createRandom(before));
  throw new TrainingError(
    `step ${step}: ${bad} is ${found.losses[bad!]} on ${image}. ` +
      "Lower the learning rate or lengthen the warm-up, set gradient clipping (optimizer.clipNorm), and look at this image with `mrcnn inspect`.",
  );
}

async function globalNorm(gradients: Gradients): Promise<number> {
  const norm = tidy(() => sqrt(addN([...gradients.values()].map((g) => sum(square(g))))));
  const [value] = await norm.data();
  norm.dispose();
  return value!;
}

/**
 * One update: forward and backward of every micro-batch (gradients are averaged), clipping, optimizer.
 * One forward per micro-batch; nothing is left on the device but the updated variables.
 *
 * @throws TrainingError naming the image and the loss term when a loss or the gradient is not finite;
 *   the variables are then those from before the step.
 */
export async function trainStep(
  model: TrainableModel,
  batches: readonly TrainingBatch[],
  optimizer: Optimizer,
  options: StepOptions,
): Promise<StepReport> {
  const start = performance.now();
  const total: Gradients = new Map();
  const losses: Record<string, number> = {};
  try {
    for (const batch of batches) {
      const found = await gradientsOf(model, batch, options);
      for (const [name, value] of Object.entries(found.losses)) losses[name] = (losses[name] ?? 0) + value / batches.length;
      for (const [name, gradient] of found.gradients) {
        const sofar = total.get(name);
        total.set(name, sofar === undefined ? gradient : add(sofar, gradient));
        if (sofar !== undefined) dispose([sofar, gradient]);
      }
    }
    let scale = 1 / batches.length;
    let norm: number | undefined;
    if (options.clipNorm !== undefined) {
      norm = (await globalNorm(total)) * scale;
      if (!Number.isFinite(norm)) {
        throw new TrainingError(
          `step ${options.step}: the gradient is not finite on ${batches.flatMap((b) => b.names).join(", ")}. Lower the learning rate or lengthen the warm-up.`,
        );
      }
      // torch.nn.utils.clip_grad_norm_'s rule, including its 1e-6.
      scale *= Math.min(1, options.clipNorm / (norm + 1e-6));
    }
    optimizer.apply(model.variables, total, { rate: options.rate, scale });
    return {
      step: options.step,
      rate: options.rate,
      loss: Object.values(losses).reduce((a, b) => a + b, 0),
      losses,
      ...(norm === undefined ? {} : { gradientNorm: norm }),
      images: batches.reduce((n, b) => n + b.names.length, 0),
      seconds: (performance.now() - start) / 1000,
    };
  } finally {
    dispose([...total.values()]);
  }
}
