/** The 3 × 3 convolutions at the beginning of the box, mask and keypoint heads. */
import { zeros } from "@tensorflow/tfjs-core";
import type { Tensor4D } from "@tensorflow/tfjs-core";
import type { Random } from "@mrcnn/core";
import { applyConvLayer, initConvLayer, inSequence } from "@mrcnn/nn";
import type { ConvLayer, LayerNormOptions, Norm } from "@mrcnn/nn";

/** Creates consecutive convolutions with `layers` output channels, kaiming normal (fan out). */
export function initConvs(
  inChannels: number,
  layers: readonly number[],
  random: Random,
  norm?: Norm,
): ConvLayer[] {
  return layers.map((outChannels, i) =>
    initConvLayer({ size: 3, inChannels: layers[i - 1] ?? inChannels, outChannels }, random, {
      init: "kaiming_normal_fan_out",
      norm,
    }),
  );
}

/** Applies 3 × 3 convolutions with their norms and ReLU one after the other; `x` [R, H, W, C], R may be 0. */
export function applyConvs(
  layers: readonly ConvLayer[],
  x: Tensor4D,
  options: LayerNormOptions,
  where: string,
): Tensor4D {
  // TensorFlow refuses to convolve an empty batch.
  if (x.shape[0] === 0 && layers.length > 0)
    return zeros([0, x.shape[1], x.shape[2], layers.at(-1)![0].weight.shape[3]]);
  return inSequence(
    x,
    layers.map(
      (layer) => (y) => applyConvLayer(layer, y, { ...options, padding: 1, activation: "relu" }, where),
    ),
  );
}
