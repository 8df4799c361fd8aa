// A model of one image-dependent and one constant loss, whose gradients are easy to write down.
import {
  mean,
  mul,
  reshape,
  square,
  sub,
  sum,
  tensor,
  tensor1d,
  tidy,
  variable,
} from "@tensorflow/tfjs-core";
import type { Scalar, Tensor, Variable } from "@tensorflow/tfjs-core";
import type { TrainingBatch } from "@mrcnn/core";
import type { TrainableModel } from "@mrcnn/core/tensors";

export interface Toy extends TrainableModel {
  readonly variables: Map<string, Variable>;
}

function owning(initial: Tensor, trainable = true): Variable {
  const made = variable(initial, trainable);
  initial.dispose();
  return made;
}

/**
 * loss_fit = mean((x · weight - 1)²) over all pixels, loss_size = sum(bias²); awaits in the middle.
 * With `noise` the target 1 moves by up to that, at random.
 */
export function toyModel({ noise = 0 }: { noise?: number } = {}): Toy {
  const variables = new Map<string, Variable>([
    [
      "weight",
      owning(
        tensor([
          [0.5, -0.25],
          [0.125, 0.75],
          [1, -1],
        ]),
      ),
    ],
    ["bias", owning(tensor1d([0.5, -2]))],
    ["unused", owning(tensor1d([3]))],
    ["running_mean", owning(tensor1d([7]), false)],
  ]);
  return {
    variables,
    trainable: ["weight", "bias", "unused"],
    async losses({ images }, random) {
      const { height, width } = images.size;
      const x = tensor(images.data, [images.imageSizes.length * height * width, 3]);
      const y = mul(sum(mul(reshape(x, [-1, 3, 1]), variables.get("weight")!), 1), 1) as Tensor;
      await y.data();
      await new Promise((resolve) => setTimeout(resolve, 1));
      const target = 1 + noise * random.uniform();
      return {
        loss_fit: tidy(() => mean(square(sub(y, target))) as Scalar),
        loss_size: tidy(() => sum(square(variables.get("bias")!)) as Scalar),
      };
    },
  };
}

/** The toy, whose forward pass takes that many milliseconds more. */
export function slowToy(milliseconds: number): Toy {
  const toy = toyModel();
  return {
    ...toy,
    async losses(batch, random) {
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      return toy.losses(batch, random);
    },
  };
}

export function toyBatch(seed: number, names: readonly string[] = ["a.png", "b.png"]): TrainingBatch {
  const size = { height: 2, width: 2 };
  const data = Float32Array.from({ length: names.length * 12 }, (_, i) => Math.sin(i * 1.7 + seed));
  const none = {
    boxes: new Float32Array(0),
    labels: new Int32Array(0),
    masks: [],
    isCrowd: new Uint8Array(0),
  };
  return {
    images: { data, size, imageSizes: names.map(() => size) },
    groundTruth: names.map(() => none),
    names,
  };
}
