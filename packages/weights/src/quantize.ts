/** Quantisation of weights to float16 and int8. */
import { WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";
import { fromHalf, toHalf } from "./half.ts";

/**
 * A tensor as a file stores it: besides the types used in memory float16, as its bits in a Uint16Array, and
 * int8.
 */
export interface StoredArray {
  readonly shape: readonly number[];
  readonly data: HostArray["data"] | Uint16Array | Int8Array;
}
export type StoredArrays = ReadonlyMap<string, StoredArray>;

/** Target types of `quantize`. */
export type WeightsDtype = "float32" | "float16" | "int8";

/** Suffix of the tensor with a tensor's int8 scales, float32 of a shape that broadcasts. */
const SCALE = ".scale";
/** Smaller tensors stay float32: together they are a hundredth of a model, and its most sensitive part. */
const SMALLEST = 4096;

/** Quantisation error of one tensor. */
export interface QuantizationError {
  readonly name: string;
  /** The largest error divided by the tensor's largest absolute value. */
  readonly max: number;
  /** The root of the sum of squared errors divided by the root of the sum of squared values. */
  readonly rms: number;
}

/**
 * Quantises weights in this project's names and layouts. "float16" rounds to the nearest, ties to even.
 * "int8" stores round(weight / scale) from -127 to 127, where each output channel has a scale of its own, its
 * largest absolute weight / 127. The output channels are the last axis of convolutions [height, width, in,
 * out] and dense layers [in, out], the third of transposed convolutions [height, width, out, in]. The scales
 * of NAME are the tensor NAME.scale. Vectors, tensors of fewer than 4096 values and integers are unchanged.
 *
 * @throws WeightsError naming the tensor that float16 can't hold, or whose int8 weights are not finite.
 */
export function quantize(arrays: NamedArrays, dtype: WeightsDtype): StoredArrays {
  const out = new Map<string, StoredArray>();
  for (const [name, { shape, data }] of arrays) {
    if (dtype === "float32" || !(data instanceof Float32Array) || shape.length < 2 || data.length < SMALLEST)
      out.set(name, { shape, data });
    else if (dtype === "float16") out.set(name, { shape, data: checkedHalf(name, data) });
    else {
      const { values, scale } = toInt8(name, { shape, data });
      out.set(name, { shape, data: values }).set(name + SCALE, scale);
    }
  }
  return out;
}

function checkedHalf(name: string, data: Float32Array): Uint16Array {
  const half = toHalf(data);
  for (let i = 0; i < half.length; i++) {
    if ((half[i]! & 0x7fff) === 0x7c00 && Number.isFinite(data[i])) {
      throw new WeightsError(
        `quantize: tensor ${name}: float16 holds values up to 65504, got ${data[i]}. Keep these weights in float32.`,
      );
    }
  }
  return half;
}

/** Names of torchvision's transposed convolutions, whose output channels are the third axis. */
const TRANSPOSED = /(^|\.)(conv5_mask|kps_score_lowres)\.weight$/;

function toInt8(
  name: string,
  { shape, data }: { readonly shape: readonly number[]; readonly data: Float32Array },
): { values: Int8Array; scale: HostArray } {
  const axis = TRANSPOSED.test(name) && shape.length === 4 ? 2 : shape.length - 1;
  const channels = shape[axis]!;
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const most = new Float32Array(channels);
  for (let i = 0; i < data.length;) {
    for (let c = 0; c < channels; c++) {
      for (let k = 0; k < inner; k++, i++) {
        const size = Math.abs(data[i]!);
        if (!Number.isFinite(size))
          throw new WeightsError(
            `quantize: tensor ${name}: weights must be finite for int8, got ${data[i]}. Its checkpoint is damaged.`,
          );
        if (size > most[c]!) most[c] = size;
      }
    }
  }
  const scale = most.map((value) => value / 127);
  const values = new Int8Array(data.length);
  for (let i = 0; i < data.length;) {
    for (let c = 0; c < channels; c++) {
      const step = scale[c]!;
      // A scale so small that it is rounded may give 128.
      for (let k = 0; k < inner; k++, i++)
        values[i] = step === 0 ? 0 : Math.max(-127, Math.min(127, Math.round(data[i]! / step)));
    }
  }
  return { values, scale: { shape: shape.map((size, i) => (i === axis ? size : 1)), data: scale } };
}

/**
 * Reverses `quantize` after reading: tensors with a NAME.scale beside them become float32 and the scales are
 * dropped; all others are unchanged (readers convert float16 to float32).
 *
 * @throws WeightsError naming a tensor whose scales don't fit it.
 */
export function dequantize(arrays: NamedArrays): NamedArrays {
  const out = new Map<string, HostArray>();
  for (const [name, array] of arrays) {
    if (name.endsWith(SCALE) && arrays.has(name.slice(0, -SCALE.length))) continue;
    const scale = arrays.get(name + SCALE);
    out.set(name, scale === undefined ? array : scaled(name, array, scale));
  }
  return out;
}

function scaled(name: string, { shape, data }: HostArray, scale: HostArray): HostArray {
  const axis = scale.shape.findLastIndex((size) => size !== 1);
  const fits =
    scale.shape.length === shape.length &&
    scale.shape.every((size, i) => size === (i === axis ? shape[i] : 1));
  if (!fits || !(data instanceof Int32Array) || !(scale.data instanceof Float32Array)) {
    throw new WeightsError(
      `tensor ${name}: must be int8 with float32 scales along one axis, got ${data.constructor.name} [${shape.join(", ")}] with ${scale.data.constructor.name} [${scale.shape.join(", ")}]. The file is damaged, or was not written by this project.`,
    );
  }
  const inner = axis === -1 ? 1 : shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const steps = scale.data;
  const values = new Float32Array(data.length);
  for (let i = 0; i < values.length;) {
    for (const step of steps) for (let k = 0; k < inner; k++, i++) values[i] = data[i]! * step;
  }
  return { shape, data: values };
}

/**
 * Measures the errors of `stored`, as `quantize` made it, against the original weights, tensor by tensor;
 * unchanged tensors are not listed.
 */
export function quantizationErrors(arrays: NamedArrays, stored: StoredArrays): QuantizationError[] {
  const errors: QuantizationError[] = [];
  for (const [name, { shape, data }] of arrays) {
    const kept = stored.get(name)!.data;
    if (kept === data) continue;
    const back =
      kept instanceof Uint16Array ?
        fromHalf(kept)
      : scaled(name, { shape, data: new Int32Array(kept) }, stored.get(name + SCALE) as HostArray).data;
    let [largest, difference, squares, squaredDifferences] = [0, 0, 0, 0];
    for (let i = 0; i < data.length; i++) {
      const value = data[i]!;
      const error = back[i]! - value;
      largest = Math.max(largest, Math.abs(value));
      difference = Math.max(difference, Math.abs(error));
      squares += value * value;
      squaredDifferences += error * error;
    }
    errors.push({
      name,
      max: largest === 0 ? 0 : difference / largest,
      rms: squares === 0 ? 0 : Math.sqrt(squaredDifferences / squares),
    });
  }
  return errors;
}
