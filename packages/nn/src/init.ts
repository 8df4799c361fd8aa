import { tensor, zeros } from "@tensorflow/tfjs-core";
import type { Rank, Variable } from "@tensorflow/tfjs-core";
import type { Random } from "@mrcnn/core";
import { toVariable } from "./params.ts";
import type { Conv2dParams, DenseParams } from "./params.ts";

/**
 * How weights begin, named after torch.nn.init:
 * - `kaiming_normal_fan_out`: normal of std sqrt(2 / fan_out) (ResNet and mask head convolutions);
 * - `kaiming_uniform_fan_in`: uniform in ± sqrt(3 / fan_in), gain 1 (a = 1; FPN);
 * - `{ std }`: normal (RPN head, 0.01);
 * - `torch_default`: uniform in ± 1 / sqrt(fan_in), the bias too (nn.Linear, nn.Conv2d).
 */
export type Init = "kaiming_normal_fan_out" | "kaiming_uniform_fan_in" | "torch_default" | { readonly std: number };

type Fans = { readonly fanIn: number; readonly fanOut: number };

function values(count: number, init: Init, { fanIn, fanOut }: Fans, random: Random): Float32Array {
  const out = new Float32Array(count);
  if (typeof init === "object" || init === "kaiming_normal_fan_out") {
    const std = typeof init === "object" ? init.std : Math.sqrt(2 / fanOut);
    for (let i = 0; i < count; i++) out[i] = random.normal() * std;
  } else {
    const bound = Math.sqrt((init === "kaiming_uniform_fan_in" ? 3 : 1) / fanIn);
    for (let i = 0; i < count; i++) out[i] = (2 * random.uniform() - 1) * bound;
  }
  return out;
}

function biasOf(count: number, init: Init, fans: Fans, random: Random, trainable: boolean): Variable<Rank.R1> {
  const start = init === "torch_default" ? tensor(values(count, init, fans, random)) : zeros<Rank.R1>([count]);
  return toVariable<Rank.R1>(start as never, { trainable });
}

export interface InitOptions {
  readonly init: Init;
  /** Default true. Zero at first, except with `torch_default`. */
  readonly bias?: boolean;
  /** Default true. */
  readonly trainable?: boolean;
}

/** A convolution of `size` × `size` from `inChannels` to `outChannels`. */
export function initConv2d(
  { size, inChannels, outChannels }: { size: number; inChannels: number; outChannels: number },
  random: Random,
  { init, bias = true, trainable = true }: InitOptions,
): Conv2dParams {
  const fans = { fanIn: size * size * inChannels, fanOut: size * size * outChannels };
  const count = size * size * inChannels * outChannels;
  const start = tensor(values(count, init, fans, random), [size, size, inChannels, outChannels]);
  const weight = toVariable<Rank.R4>(start as never, { trainable });
  return bias ? { weight, bias: biasOf(outChannels, init, fans, random, trainable) } : { weight };
}

/**
 * A transposed convolution, weight [size, size, out, in]. Fans are torch's, which reads its
 * [in, out, h, w] like any weight: fan_out is h * w * in. The bias is torch's default.
 */
export function initConv2dTranspose(
  { size, inChannels, outChannels }: { size: number; inChannels: number; outChannels: number },
  random: Random,
  { init, bias = true, trainable = true }: InitOptions,
): Conv2dParams {
  const fans = { fanIn: size * size * outChannels, fanOut: size * size * inChannels };
  const count = size * size * inChannels * outChannels;
  const start = tensor(values(count, init, fans, random), [size, size, outChannels, inChannels]);
  const weight = toVariable<Rank.R4>(start as never, { trainable });
  return bias ? { weight, bias: biasOf(outChannels, init, fans, random, trainable) } : { weight };
}

/** A fully connected layer. */
export function initDense(
  { inChannels, outChannels }: { inChannels: number; outChannels: number },
  random: Random,
  { init, bias = true, trainable = true }: InitOptions,
): DenseParams {
  const fans = { fanIn: inChannels, fanOut: outChannels };
  const start = tensor(values(inChannels * outChannels, init, fans, random), [inChannels, outChannels]);
  const weight = toVariable<Rank.R2>(start as never, { trainable });
  return bias ? { weight, bias: biasOf(outChannels, init, fans, random, trainable) } : { weight };
}
