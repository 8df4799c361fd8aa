/** Conversion of weights between torch's layouts and those of TensorFlow.js. */
import { WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";

/** Number of values in a cache line of the processor. */
const TILE = 16;

const stridesOf = (shape: readonly number[]): number[] =>
  shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));

/**
 * Permutes the axes. The source is read along its rows, several at a time, so that writes are contiguous:
 * several times as fast as value by value.
 */
function permute({ shape, data }: HostArray, axes: readonly number[]): HostArray {
  const newShape = axes.map((axis) => shape[axis]!);
  const out = new (data.constructor as Float32ArrayConstructor)(data.length) as HostArray["data"];
  if (out.length === 0) return { shape: newShape, data: out };
  const strides = stridesOf(shape);
  const newStrides = stridesOf(newShape);
  const last = axes.at(-1)!;
  const [length, step] = [shape[last]!, strides[last]!];
  // The other axes, in the source's order.
  const others = shape.flatMap((size, axis) =>
    axis === last ? [] : [{ size, from: strides[axis]!, to: newStrides[axes.indexOf(axis)]! }],
  );
  const rows = data.length / length;
  const index = others.map(() => 0);
  for (let begin = 0; begin < length; begin += TILE) {
    const end = Math.min(begin + TILE, length);
    let from = 0;
    let to = 0;
    for (let row = 0; row < rows; row++) {
      for (let k = begin; k < end; k++) out[to + k] = data[from + k * step]!;
      for (let i = others.length - 1; i >= 0; i--) {
        const axis = others[i]!;
        from += axis.from;
        to += axis.to;
        if (++index[i]! < axis.size) break;
        from -= axis.from * axis.size;
        to -= axis.to * axis.size;
        index[i] = 0;
      }
    }
  }
  return { shape: newShape, data: out };
}

const reshaped = (array: HostArray, shape: readonly number[]): HostArray => ({ shape, data: array.data });

/** Options that the arrays alone don't determine. */
export interface TorchLayoutOptions {
  /**
   * Channels of the pooled maps that `fc6` reads. Default: those of the pyramid, from `layer_blocks.0`, or
   * else those that the RPN reads.
   */
  readonly pooledChannels?: number;
}

// The first dense layer flattens channels, rows, columns in torch, and rows, columns, channels here.
function pooledShape(
  name: string,
  inputs: number,
  channels: number | undefined,
): { channels: number; side: number } {
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
const AXES = { torch: { input: 1, output: 0 }, ours: { input: 2, output: 3 } } as const;

/**
 * Returns the number of channels of the maps that a dense layer flattens: `fc6`, or the first dense layer
 * after a box head's convolutions (`box_head.5`).
 */
function flattenedChannels(
  arrays: NamedArrays,
  { pooledChannels }: TorchLayoutOptions,
  axes: (typeof AXES)[keyof typeof AXES],
): (name: string) => { flattens: boolean; channels?: number | undefined } {
  let pyramid: number | undefined;
  let rpn: number | undefined;
  // The last convolution and the first dense layer of each head, by its prefix.
  const convs = new Map<string, { index: number; channels: number }>();
  const dense = new Map<string, number>();
  for (const [name, { shape }] of arrays) {
    if (/(^|\.)layer_blocks\.0(\.0)?\.weight$/.test(name)) pyramid = shape[axes.output];
    if (/(^|\.)rpn\.head\.conv(\.0\.0)?\.weight$/.test(name)) rpn = shape[axes.input];
    const [, conv, convIndex] = /^(|.*\.)box_head\.(\d+)\.0\.weight$/.exec(name) ?? [];
    if (conv !== undefined && shape.length === 4 && Number(convIndex) >= (convs.get(conv)?.index ?? 0)) {
      convs.set(conv, { index: Number(convIndex), channels: shape[axes.output]! });
    }
    const [, head, headIndex] = /^(|.*\.)box_head\.(\d+)\.weight$/.exec(name) ?? [];
    if (head !== undefined) dense.set(head, Math.min(Number(headIndex), dense.get(head) ?? Infinity));
  }
  return (name) => {
    if (FC6.test(name)) return { flattens: true, channels: pooledChannels ?? pyramid ?? rpn };
    const [, head, index] = /^(|.*\.)box_head\.(\d+)\.weight$/.exec(name) ?? [];
    return head !== undefined && dense.get(head) === Number(index) ?
        { flattens: true, channels: convs.get(head)?.channels }
      : { flattens: false };
  };
}

/**
 * Converts weights from torch's layout to this project's: convolutions OIHW to HWIO, transposed ones IOHW to
 * HWOI, linear [out, in] to [in, out], and the inputs of `fc6`, or of the first dense layer after a box
 * head's convolutions (`box_head.5`), from channels-first to rows, columns, channels. Both kinds of
 * convolution need the same permutation, so names need not distinguish them. Drops `num_batches_tracked`;
 * translates torchvision's older names (`inner_blocks.0.weight`, `rpn.head.conv.weight`, `mask_fcn1`) to the
 * newer ones.
 *
 * @throws WeightsError when fc6 is present and its channels can't be determined.
 */
export function fromTorch(arrays: NamedArrays, options: TorchLayoutOptions = {}): NamedArrays {
  const out = new Map<string, HostArray>();
  const flattened = flattenedChannels(arrays, options, AXES.torch);
  for (const [oldName, array] of arrays) {
    if (oldName.endsWith("num_batches_tracked")) continue;
    const name = modernName(oldName);
    const { shape } = array;
    const { flattens, channels } = flattened(name);
    if (flattens && shape.length === 2) {
      const [outputs, inputs] = shape as [number, number];
      const { channels: c, side } = pooledShape(name, inputs, channels);
      out.set(
        name,
        reshaped(permute({ shape: [outputs, c, side, side], data: array.data }, [2, 3, 1, 0]), [
          inputs,
          outputs,
        ]),
      );
    } else if (shape.length === 4) out.set(name, permute(array, [2, 3, 1, 0]));
    else if (shape.length === 2) out.set(name, permute(array, [1, 0]));
    else out.set(name, { shape, data: array.data });
  }
  return out;
}

/**
 * Converts this project's weights to torch's layout, under torchvision's present names; the inverse of
 * `fromTorch`.
 */
export function toTorch(arrays: NamedArrays, options: TorchLayoutOptions = {}): NamedArrays {
  const out = new Map<string, HostArray>();
  const flattened = flattenedChannels(arrays, options, AXES.ours);
  for (const [name, array] of arrays) {
    const { shape } = array;
    const { flattens, channels } = flattened(name);
    if (flattens && shape.length === 2) {
      const [inputs, outputs] = shape as [number, number];
      const { channels: c, side } = pooledShape(name, inputs, channels);
      out.set(
        name,
        reshaped(permute({ shape: [side, side, c, outputs], data: array.data }, [3, 2, 0, 1]), [
          outputs,
          inputs,
        ]),
      );
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
    .replace(
      /\bmask_fcn([1-4])\.(weight|bias)$/,
      (_, i: string, kind: string) => `${Number(i) - 1}.0.${kind}`,
    );
}
