/** Initial weights of layers, as torch.nn.init. */
import { tensor, zeros } from "@tensorflow/tfjs-core";
import type { Rank, ShapeMap, Tensor, Tensor1D, Variable } from "@tensorflow/tfjs-core";
import { noRandom } from "@mrcnn/core";
import type { Random } from "@mrcnn/core";
import { toVariable } from "./params.ts";
import type { Conv2dParams, DenseParams } from "./params.ts";

/**
 * Distribution of the initial weights, named after torch.nn.init:
 * - `kaiming_normal_fan_out`: normal of std sqrt(2 / fan_out) (ResNet and mask head convolutions);
 * - `kaiming_uniform_fan_in`: uniform in ± sqrt(3 / fan_in), gain 1 (a = 1; FPN);
 * - `{ std }`: normal (RPN head, 0.01);
 * - `torch_default`: uniform in ± 1 / sqrt(fan_in), the bias too (nn.Linear, nn.Conv2d).
 */
export type Init =
  "kaiming_normal_fan_out" | "kaiming_uniform_fan_in" | "torch_default" | { readonly std: number };

type Fans = { readonly fanIn: number; readonly fanOut: number };

function values(count: number, init: Init, { fanIn, fanOut }: Fans, random: Random): Float32Array {
  const out = new Float32Array(count);
  if (random === noRandom) return out;
  if (typeof init === "object" || init === "kaiming_normal_fan_out") {
    const std = typeof init === "object" ? init.std : Math.sqrt(2 / fanOut);
    for (let i = 0; i < count; i++) out[i] = random.normal() * std;
  } else {
    const bound = Math.sqrt((init === "kaiming_uniform_fan_in" ? 3 : 1) / fanIn);
    for (let i = 0; i < count; i++) out[i] = (2 * random.uniform() - 1) * bound;
  }
  return out;
}

function parameters<R extends Rank>(
  shape: ShapeMap[R],
  outChannels: number,
  fans: Fans,
  random: Random,
  { init, bias = true, trainable = true }: InitOptions,
): { weight: Variable<R>; bias?: Variable<Rank.R1> } {
  const drawn = (size: readonly number[]): Tensor =>
    tensor(
      values(
        size.reduce((a, b) => a * b),
        init,
        fans,
        random,
      ),
      [...size],
    );
  const weight = toVariable(drawn(shape) as Tensor<R>, { trainable });
  if (!bias) return { weight };
  const start = init === "torch_default" ? drawn([outChannels]) : zeros([outChannels]);
  return { weight, bias: toVariable(start as Tensor1D, { trainable }) };
}

/** Options of a layer's initial parameters. */
export interface InitOptions {
  readonly init: Init;
  /** Whether the layer has a bias, which begins at zero except with `torch_default`. Default true. */
  readonly bias?: boolean;
  /** Whether the parameters are trained. Default true. */
  readonly trainable?: boolean;
}

/** Creates a convolution of `size` × `size` from `inChannels` to `outChannels` in `groups` (default 1). */
export function initConv2d(
  {
    size,
    inChannels,
    outChannels,
    groups = 1,
  }: { size: number; inChannels: number; outChannels: number; groups?: number },
  random: Random,
  options: InitOptions,
): Conv2dParams {
  // torch counts the inputs of one group, but the outputs of all.
  const inputs = inChannels / groups;
  const fans = { fanIn: size * size * inputs, fanOut: size * size * outChannels };
  return parameters<Rank.R4>([size, size, inputs, outChannels], outChannels, fans, random, options);
}

/**
 * Creates a transposed convolution with weight [size, size, out, in]. The fans are torch's, which reads its
 * [in, out, h, w] like any other weight: fan_in is h * w * out, fan_out h * w * in.
 */
export function initConv2dTranspose(
  { size, inChannels, outChannels }: { size: number; inChannels: number; outChannels: number },
  random: Random,
  options: InitOptions,
): Conv2dParams {
  const fans = { fanIn: size * size * outChannels, fanOut: size * size * inChannels };
  return parameters<Rank.R4>([size, size, outChannels, inChannels], outChannels, fans, random, options);
}

/** Creates a fully connected layer. */
export function initDense(
  { inChannels, outChannels }: { inChannels: number; outChannels: number },
  random: Random,
  options: InitOptions,
): DenseParams {
  return parameters<Rank.R2>(
    [inChannels, outChannels],
    outChannels,
    { fanIn: inChannels, fanOut: outChannels },
    random,
    options,
  );
}
