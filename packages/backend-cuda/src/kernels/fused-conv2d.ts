import { concat, pad, reshape, slice, tidy } from "@tensorflow/tfjs-core";
import type { KernelConfig, KernelFunc, Tensor, Tensor4D } from "@tensorflow/tfjs-core";
import type { KernelArgs, TensorflowBackend } from "../tensorflow-backend.ts";

interface ConvAttrs {
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  readonly dataFormat: string;
  readonly pad: "same" | "valid" | number | readonly (readonly [number, number])[];
}

/** A band shorter than this spends too much on the rows it shares with its neighbours. */
const LEAST_ROWS = 8;
const MOST_BANDS = 8;

// Rows and columns of zeros on every side, where they are the same on opposite sides.
function padding({ pad: given, strides }: ConvAttrs, filter: readonly number[]): readonly [number, number] | undefined {
  if (given === "valid") return [0, 0];
  if (given === "same") {
    const odd = filter[0]! % 2 === 1 && filter[1]! % 2 === 1;
    return odd && strides[0] === 1 && strides[1] === 1 ? [(filter[0]! - 1) / 2, (filter[1]! - 1) / 2] : undefined;
  }
  if (typeof given === "number") return [given, given];
  const [, rows, columns] = given;
  return rows![0] === rows![1] && columns![0] === columns![1] ? [rows![0], columns![0]] : undefined;
}

// How many bands of whole output rows, 1 when the convolution is better left alone.
function bandsOf(x: Tensor, filter: Tensor, attrs: ConvAttrs, sides: readonly [number, number]): { bands: number; rows: number } {
  const rows = Math.floor((x.shape[1]! + 2 * sides[0] - filter.shape[0]!) / attrs.strides[0]) + 1;
  let bands = 1;
  while (bands < MOST_BANDS && rows % (2 * bands) === 0 && rows / (2 * bands) >= LEAST_ROWS) bands *= 2;
  return { bands, rows };
}

/**
 * FusedConv2D for one image on the CPU. oneDNN convolves a single image with a third of the arithmetic
 * that it reaches on a batch (70 against 200 GFLOP/s, 3x3 of 256 channels on two cores). So the image
 * is cut into bands of rows, each with the rows that its filter reaches beyond, and convolved as a
 * batch; the bands' outputs lie one after the other, which is the whole. The sums are the same.
 * All else goes to `original`, tfjs-node's kernel.
 */
export function fusedConv2d(original: KernelConfig): KernelConfig {
  const call = original.kernelFunc as unknown as (args: object) => Tensor;
  const kernelFunc = ({ inputs, attrs, backend }: KernelArgs<"x" | "filter", ConvAttrs> & { backend: TensorflowBackend }): Tensor => {
    const { x, filter } = inputs;
    const [filterHeight, filterWidth] = filter.shape as [number, number];
    const isPlain = x.shape[0] === 1 && attrs.dataFormat === "NHWC" && attrs.dilations.every((d) => d === 1) && !backend.isUsingGpuDevice;
    const sides = isPlain && filterHeight * filterWidth > 1 ? padding(attrs, filter.shape) : undefined;
    const { bands, rows } = sides === undefined ? { bands: 1, rows: 0 } : bandsOf(x, filter, attrs, sides);
    if (sides === undefined || bands === 1) return call({ inputs, attrs, backend });
    return tidy(() => {
      const [vertical, horizontal] = sides;
      const padded = pad(x as Tensor4D, [[0, 0], [vertical, vertical], [horizontal, horizontal], [0, 0]]);
      const [, , width, channels] = padded.shape;
      const each = rows / bands;
      const reach = (each - 1) * attrs.strides[0] + filterHeight;
      const cut = Array.from({ length: bands }, (_, i) => slice(padded, [0, i * each * attrs.strides[0], 0, 0], [1, reach, width, channels]));
      const y = call({ inputs: { ...inputs, x: concat(cut, 0) }, attrs: { ...attrs, pad: "valid" }, backend });
      return reshape(y, [1, rows, y.shape[2]!, y.shape[3]!]);
    });
  };
  return { ...original, kernelFunc: kernelFunc as unknown as KernelFunc };
}
