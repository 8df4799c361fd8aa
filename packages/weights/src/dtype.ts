/** The types of values in weight files, and their conversion to the types used in memory. */
import { WeightsError } from "@mrcnn/core";
import type { HostArray } from "@mrcnn/core";
import { fromHalf } from "./half.ts";

/** Types of the values in files. */
export type DType =
  "float64" | "float32" | "float16" | "bfloat16" | "int64" | "int32" | "int16" | "int8" | "uint8" | "bool";

/** Bytes per value in a file. */
export const DTYPE_BYTES: Readonly<Record<DType, number>> = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint8: 1,
  bool: 1,
};

/** Bytes per value after `toHostData`. */
export const hostBytes = (dtype: DType): number => (dtype === "uint8" || dtype === "bool" ? 1 : 4);

type RawData =
  | Float64Array
  | Float32Array
  | Uint16Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array;

const VIEWS = {
  float64: Float64Array,
  float32: Float32Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const;

/**
 * Interprets little-endian bytes as values of `dtype` (half floats as their bits): a view where the bytes are
 * aligned, else a copy.
 */
export function rawData(bytes: Uint8Array, dtype: DType): RawData {
  const size = DTYPE_BYTES[dtype];
  // Not `slice`, because Node's Buffer.slice would not copy.
  const at = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return new VIEWS[dtype](at.buffer as ArrayBuffer, at.byteOffset, at.byteLength / size);
}

/**
 * Converts values to the types used in memory: float32, int32, uint8 and bool are returned as they are (the
 * same array), other floats become float32, other integers int32.
 *
 * @throws WeightsError when an int64 doesn't fit int32.
 */
export function toHostData(raw: RawData, dtype: DType, where: string): HostArray["data"] {
  switch (dtype) {
    case "float64":
      return new Float32Array(raw as Float64Array);
    case "int16":
    case "int8":
      return new Int32Array(raw as Int16Array | Int8Array);
    case "bfloat16": {
      const bits = new Uint32Array(raw.length);
      for (let i = 0; i < bits.length; i++) bits[i] = (raw[i] as number) << 16;
      return new Float32Array(bits.buffer);
    }
    case "float16":
      return fromHalf(raw as Uint16Array);
    case "int64": {
      // As pairs of words, because bigints are slow.
      const words = new Int32Array(raw.buffer, raw.byteOffset, raw.length * 2);
      const data = new Int32Array(raw.length);
      for (let i = 0; i < data.length; i++) {
        const low = words[2 * i]!;
        if (words[2 * i + 1] !== low >> 31)
          throw new WeightsError(`${where}: value ${i} must fit int32, got ${raw[i]}.`);
        data[i] = low;
      }
      return data;
    }
    default:
      return raw as HostArray["data"];
  }
}
