/** The epilogue of matrix products and convolutions: bias, addition and activation. */
import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { Bound, Param } from "../program.ts";

/** Operations that follow a product, in TensorFlow.js's names. */
export interface Epilogue {
  readonly bias?: TensorInfo | undefined;
  /** Tensor of the output's shape, added before the activation. */
  readonly addend?: TensorInfo | undefined;
  readonly activation?: string | null | undefined;
  /** Weights of "prelu": one value, or one for each channel. */
  readonly preluActivationWeights?: TensorInfo | undefined;
  readonly leakyreluAlpha?: number | undefined;
}

// Activations without tensors share a shader.
const activations = ["linear", "relu", "relu6", "elu", "sigmoid", "leakyrelu"] as const;
const kinds: Readonly<Record<string, number>> = Object.fromEntries(activations.map((name, i) => [name, i]));
const activate = `
fn activate(v: vec4<f32>) -> vec4<f32> {
  switch params.activation {
    case ${kinds.relu}: { return select(v, vec4<f32>(0), v < vec4<f32>(0)); } // max may make 0 of NaN
    case ${kinds.relu6}: { return clamp(v, vec4<f32>(0), vec4<f32>(6)); }
    case ${kinds.elu}: { return select(exp(v) - 1, v, v >= vec4<f32>(0)); }
    case ${kinds.sigmoid}: { return 1 / (1 + exp(-v)); }
    case ${kinds.leakyrelu}: { return select(params.slope * v, v, v >= vec4<f32>(0)); }
    default: { return v; }
  }
}`;

/** Tells whether `epilogueOf` supports these operations for an output of so many channels. */
export function canFollow(
  { bias, activation, preluActivationWeights: alpha }: Epilogue,
  channels: number,
): boolean {
  const perChannel = (tensor: TensorInfo): boolean =>
    tensor.shape.length > 0 &&
    tensor.shape.at(-1) === channels &&
    tensor.shape.slice(0, -1).every((n) => n === 1);
  const isOne = (tensor: TensorInfo): boolean => tensor.shape.every((n) => n === 1);
  return (
    (activation === "prelu" || Object.hasOwn(kinds, activation ?? "linear")) &&
    (bias === undefined || perChannel(bias)) &&
    (activation !== "prelu" || (alpha !== undefined && (perChannel(alpha) || isOne(alpha))))
  );
}

/** Shader text that declares `finish(v, at, channel)` for four neighbouring outputs, the first at `at`. */
export interface EpilogueSource {
  readonly key: string;
  readonly source: string;
  readonly inputs: Readonly<Record<string, Bound>>;
  readonly params: Readonly<Record<string, Param>>;
}

/**
 * Generates an epilogue. `isVector`: whether channels are a multiple of 4, so that no output is beyond them.
 */
export function epilogueOf(
  { bias, addend, activation, preluActivationWeights: alpha, leakyreluAlpha = 0.2 }: Epilogue,
  isVector: boolean,
): EpilogueSource {
  const name = activation ?? "linear";
  const bound = (tensor: TensorInfo): Bound => (isVector ? { tensor, as: "vec4<f32>" } : tensor);
  // Reads beyond a buffer's end are harmless, and their results are not written.
  const read = (array: string, at: string): string =>
    isVector ?
      `${array}[${at} / 4]`
    : `vec4<f32>(${[0, 1, 2, 3].map((i) => `${array}[${at} + ${i}]`).join(", ")})`;
  const isOne = alpha?.shape.every((n) => n === 1) === true;
  const lines = ["fn finish(sum: vec4<f32>, at: u32, channel: u32) -> vec4<f32> {", "  var v = sum;"];
  if (bias !== undefined) lines.push(`  v += ${read("bias", "channel")};`);
  if (addend !== undefined) lines.push(`  v += ${read("addend", "at")};`);
  const isPrelu = name === "prelu";
  lines.push(
    isPrelu ? "  return select(slopes(channel) * v, v, v >= vec4<f32>(0));" : "  return activate(v);",
    "}",
  );
  if (!isPrelu) lines.push(activate);
  else
    lines.push(
      `fn slopes(channel: u32) -> vec4<f32> { return ${isOne ? "vec4<f32>(alpha[0])" : read("alpha", "channel")}; }`,
    );
  return {
    key: [
      isPrelu && "prelu",
      bias && "bias",
      addend && "addend",
      isOne && "one slope",
      isVector ? "x4" : "x1",
    ]
      .filter(Boolean)
      .join(" "),
    source: lines.join("\n"),
    inputs: {
      ...(bias && { bias: bound(bias) }),
      ...(addend && { addend: bound(addend) }),
      ...(isPrelu && { alpha: isOne ? alpha! : bound(alpha!) }),
    },
    params: isPrelu ? {} : { activation: kinds[name]!, slope: { f32: leakyreluAlpha } },
  };
}
