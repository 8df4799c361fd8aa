/** Numpy arrays in pickles. */
import { WeightsError } from "@mrcnn/core";
import { DTYPE_BYTES, rawData } from "./dtype.ts";
import type { DType } from "./dtype.ts";
import { countOf, FileTensor } from "./file-tensor.ts";
import { pickleGlobals, Text } from "./pickle.ts";
import type { PickleGlobal, Stateful } from "./pickle.ts";
import { plainGlobals } from "./plain-globals.ts";
import { gatherStrided } from "./strided.ts";

// Arrays as numpy pickles them: `_reconstruct` and a state (protocols up to 4, and arrays that are not
// contiguous), or `_frombuffer` (protocol 5).

const DTYPES: ReadonlyMap<unknown, DType> = new Map([
  ["f8", "float64"],
  ["f4", "float32"],
  ["f2", "float16"],
  ["i8", "int64"],
  ["i4", "int32"],
  ["i2", "int16"],
  ["i1", "int8"],
  ["u1", "uint8"],
  ["b1", "bool"],
]);

class NumpyDtype implements Stateful {
  readonly code: string;
  order: unknown = "|";

  constructor(code: string) {
    this.code = code;
  }

  // (version, byte order, subarray, names, fields, size, alignment, flags)
  setState(state: unknown): void {
    if (!Array.isArray(state) || state.length < 8)
      throw new WeightsError("a dtype's state must be a tuple of 8");
    const [, order, subarray, names, fields] = state as unknown[];
    if (subarray !== null || names !== null || fields !== null)
      throw new WeightsError("records are no weights");
    this.order = order;
  }
}

type Buffer = Uint8Array | Text;
const isBuffer = (value: unknown): value is Buffer => value instanceof Uint8Array || value instanceof Text;

/** An array as pickled, not yet checked: that is done for the arrays that are used. */
export class NumpyArray implements Stateful {
  shape: unknown;
  dtype: unknown;
  isFortran: unknown = false;
  buffer: unknown;

  // (version, shape, dtype, isFortran, data)
  setState(state: unknown): void {
    if (!Array.isArray(state) || state.length < 4)
      throw new WeightsError("an array's state must be a tuple of 5");
    [this.shape, this.dtype, this.isFortran, this.buffer] = (state as unknown[]).slice(-4);
  }
}

function frombuffer([buffer, dtype, shape, order = "C"]: readonly unknown[]): NumpyArray {
  const array = new NumpyArray();
  Object.assign(array, { shape, dtype, buffer, isFortran: order === "F" });
  return array;
}

function dtypeOf([code]: readonly unknown[]): NumpyDtype {
  const text = code instanceof Text ? undefined : code;
  if (typeof text !== "string") throw new WeightsError("a dtype must be named by a string");
  return new NumpyDtype(text.slice(0, 20));
}

const scalar = ([dtype, buffer]: readonly unknown[]): NumpyArray => frombuffer([buffer, dtype, []]);

/** Globals of plain data and numpy arrays. */
export const numpyGlobals: ReadonlyMap<string, PickleGlobal> = /* @__PURE__ */ new Map([
  ...plainGlobals,
  ...pickleGlobals([
    ["numpy.ndarray"],
    ["numpy.dtype", dtypeOf],
    // numpy 2 renamed the module.
    ...["numpy.core", "numpy._core"].flatMap((core) => [
      [`${core}.multiarray._reconstruct`, () => new NumpyArray()] as const,
      [`${core}.multiarray.scalar`, scalar] as const,
      [`${core}.numeric._frombuffer`, frombuffer] as const,
    ]),
  ]),
]);

/**
 * Checks an array's shape, dtype and data, and returns it as a tensor of its file.
 *
 * @throws WeightsError when it isn't an array of numbers, or its data has another length.
 */
export function numpyTensor(
  { shape, dtype: numpy, isFortran, buffer: data }: NumpyArray,
  label: string,
): FileTensor {
  // Python 2 doesn't distinguish data from text.
  const buffer = typeof data === "string" ? Uint8Array.from(data, (c) => c.charCodeAt(0)) : data;
  const fail = (what: string): never => {
    throw new WeightsError(`${label}: ${what}. The file is corrupt, or holds something other than weights.`);
  };
  const count = countOf(shape);
  if (count === undefined) return fail("its shape is no shape");
  if (!(numpy instanceof NumpyDtype)) return fail("it has no dtype");
  const dtype = DTYPES.get(numpy.code);
  if (dtype === undefined)
    return fail(
      `its dtype must be one of ${[...DTYPES.keys()].join(", ")}, got ${JSON.stringify(numpy.code)}`,
    );
  if (numpy.order === ">" && DTYPE_BYTES[dtype] > 1)
    return fail("its byte order must be little-endian, got big-endian");
  if (!isBuffer(buffer)) return fail("it has no data");
  const length = count * DTYPE_BYTES[dtype];
  const isWhole = buffer instanceof Text ? buffer.mayHold(length) : buffer.length === length;
  if (!isWhole)
    fail(
      `[${(shape as number[]).join(", ")}] of ${dtype} takes ${length} bytes, but its data is of another length`,
    );
  const load = (): ReturnType<typeof rawData> => {
    const bytes = buffer instanceof Text ? buffer.toBytes() : buffer;
    if (bytes?.length !== length)
      return fail(
        `[${(shape as number[]).join(", ")}] of ${dtype} takes ${length} bytes, but its data is of another length`,
      );
    const values = rawData(bytes, dtype);
    return isFortran ? toRowMajor(values, shape as number[]) : values;
  };
  return new FileTensor(shape as number[], dtype, load, label);
}

// From Fortran's order, in which the first axis varies fastest.
function toRowMajor<T extends ReturnType<typeof rawData>>(values: T, shape: readonly number[]): T {
  const out = new (values.constructor as new (length: number) => T)(values.length);
  const strides: number[] = [];
  shape.reduce((stride, size) => (strides.push(stride), stride * size), 1);
  gatherStrided(values, out, shape, strides);
  return out;
}
