import { WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";

function permute({ shape, data }: HostArray, axes: readonly number[]): HostArray {
  const newShape = axes.map((axis) => shape[axis]!);
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  const steps = axes.map((axis) => strides[axis]!);
  const out = data.slice();
  const index = newShape.map(() => 0);
  let from = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = data[from]!;
    for (let axis = index.length - 1; axis >= 0; axis--) {
      index[axis] = index[axis]! + 1;
      from += steps[axis]!;
      if (index[axis]! < newShape[axis]!) break;
      from -= steps[axis]! * newShape[axis]!;
      index[axis] = 0;
    }
  }
  return { shape: newShape, data: out };
}

const reshaped = (array: HostArray, shape: readonly number[]): HostArray => ({ shape, data: array.data });

/** What can't be told from the arrays alone. */
export interface TorchLayoutOptions {
  /** Channels of the pooled maps that `fc6` reads. Default: the pyramid's, from `layer_blocks.0`. */
  readonly pooledChannels?: number;
}

// What fc6 flattens: torch channels, rows, columns; we rows, columns, channels.
function pooledShape(name: string, inputs: number, channels: number | undefined): { channels: number; side: number } {
  const side = Math.sqrt(inputs / (channels ?? NaN));
  if (channels === undefined || !Number.isInteger(side)) {
    throw new WeightsError(
      `${name}: its ${inputs} inputs must be a square of the pooled channels, got ${channels ?? "no pyramid to read them from"}. ` +
        "Give the channels as `pooledChannels`.",
    );
  }
  return { channels, side };
}

const FC6 = /(^|\.)fc6\.weight$/;

function channelsOf(arrays: NamedArrays, { pooledChannels }: TorchLayoutOptions, out: (shape: readonly number[]) => number): number | undefined {
  if (pooledChannels !== undefined) return pooledChannels;
  for (const [name, { shape }] of arrays) if (/(^|\.)layer_blocks\.0(\.0)?\.weight$/.test(name)) return out(shape);
  return undefined;
}

/**
 * Weights in torch's layout to ours: convolutions OIHW to HWIO, transposed ones IOHW to HWOI, linear
 * [out, in] to [in, out], and the inputs of `fc6` from channels-first to rows, columns, channels. Both
 * kinds of convolution are the same permutation, so names need not tell them apart. Drops
 * `num_batches_tracked`; takes torchvision's older names (`inner_blocks.0.weight`,
 * `rpn.head.conv.weight`, `mask_fcn1`) as the newer ones.
 *
 * @throws WeightsError when fc6 is there and its channels can't be told.
 */
export function fromTorch(arrays: NamedArrays, options: TorchLayoutOptions = {}): NamedArrays {
  const out = new Map<string, HostArray>();
  const channels = channelsOf(arrays, options, (shape) => shape[0]!);
  for (const [oldName, array] of arrays) {
    if (oldName.endsWith("num_batches_tracked")) continue;
    const name = modernName(oldName);
    const { shape } = array;
    if (FC6.test(name) && shape.length === 2) {
      const [outputs, inputs] = shape as [number, number];
      const { channels: c, side } = pooledShape(name, inputs, channels);
      out.set(name, reshaped(permute(reshaped(array, [outputs, c, side, side]), [2, 3, 1, 0]), [inputs, outputs]));
    } else if (shape.length === 4) out.set(name, permute(array, [2, 3, 1, 0]));
    else if (shape.length === 2) out.set(name, permute(array, [1, 0]));
    else out.set(name, array);
  }
  return out;
}

/** The inverse of `fromTorch`: our weights in torch's layout, under torchvision's present names. */
export function toTorch(arrays: NamedArrays, options: TorchLayoutOptions = {}): NamedArrays {
  const out = new Map<string, HostArray>();
  const channels = channelsOf(arrays, options, (shape) => shape[3]!);
  for (const [name, array] of arrays) {
    const { shape } = array;
    if (FC6.test(name) && shape.length === 2) {
      const [inputs, outputs] = shape as [number, number];
      const { channels: c, side } = pooledShape(name, inputs, channels);
      out.set(name, reshaped(permute(reshaped(array, [side, side, c, outputs]), [3, 2, 0, 1]), [outputs, inputs]));
    } else if (shape.length === 4) out.set(name, permute(array, [3, 2, 0, 1]));
    else if (shape.length === 2) out.set(name, permute(array, [1, 0]));
    else out.set(name, array);
  }
  return out;
}

// torchvision renamed these when it built its heads from Conv2dNormActivation.
function modernName(name: string): string {
  return name
    .replace(/\b(inner_blocks|layer_blocks)\.(\d+)\.(weight|bias)$/, "$1.$2.0.$3")
    .replace(/\brpn\.head\.conv\.(weight|bias)$/, "rpn.head.conv.0.0.$1")
    .replace(/\bmask_fcn([1-4])\.(weight|bias)$/, (_, i: string, kind: string) => `${Number(i) - 1}.0.${kind}`);
}
