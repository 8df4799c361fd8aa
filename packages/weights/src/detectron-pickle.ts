import { WeightsError } from "@mrcnn/core";
import type { NamedArrays } from "@mrcnn/core";
import { fromDetectron1 } from "./detectron1.ts";
import { DTYPE_BYTES, rawData } from "./dtype.ts";
import type { DType } from "./dtype.ts";
import { assertTotal, countOf, FileTensor, loadTensors } from "./file-tensor.ts";
import { pickleGlobals, Text, unpickle } from "./pickle.ts";
import type { PickleGlobals, Stateful } from "./pickle.ts";
import { plainGlobals } from "./plain-globals.ts";

// Arrays as numpy pickles them: `_reconstruct` and a state (protocols to 4, and arrays that don't lie in one
// piece), or `_frombuffer` (protocol 5).

const DTYPES: ReadonlyMap<unknown, DType> = new Map([
  ["f8", "float64"], ["f4", "float32"], ["f2", "float16"], ["i8", "int64"], ["i4", "int32"], ["i2", "int16"], ["i1", "int8"], ["u1", "uint8"], ["b1", "bool"],
]);

class NumpyDtype implements Stateful {
  readonly code: string;
  order: unknown = "|";

  constructor(code: string) {
    this.code = code;
  }

  // (version, byte order, subarray, names, fields, size, alignment, flags)
  setState(state: unknown): void {
    if (!Array.isArray(state) || state.length < 8) throw new WeightsError("a dtype's state must be a tuple of 8");
    const [, order, subarray, names, fields] = state as unknown[];
    if (subarray !== null || names !== null || fields !== null) throw new WeightsError("records are no weights");
    this.order = order;
  }
}

type Buffer = Uint8Array | Text;
const isBuffer = (value: unknown): value is Buffer => value instanceof Uint8Array || value instanceof Text;

/** An array whose parts have been named; what they claim is checked when it is known which arrays count. */
class NumpyArray implements Stateful {
  shape: unknown;
  dtype: unknown;
  isFortran: unknown = false;
  buffer: unknown;

  // (version, shape, dtype, isFortran, data)
  setState(state: unknown): void {
    if (!Array.isArray(state) || state.length < 4) throw new WeightsError("an array's state must be a tuple of 5");
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

const GLOBALS: PickleGlobals = /* @__PURE__ */ new Map([
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
 * Reads a pickle of detectron2, `{"model": {name: ndarray}}`, or of Detectron, `{"blobs": {name: ndarray}}`,
 * of any protocol, written by Python 2 or 3. Names are detectron2's: Detectron's are turned into them, its
 * momenta dropped. Nothing of the file is ever run. dtypes become what `readTorchCheckpoint` makes of them;
 * shapes and layouts are torch's. Where they can be, the arrays are views of `bytes`. `where` names the
 * file in errors.
 *
 * @throws WeightsError naming array or position when the file is cut, corrupt or holds something else.
 */
export function readDetectronPickle(bytes: Uint8Array, where: string): NamedArrays {
  const { tensors } = detectronTensors(bytes, where);
  return loadTensors(tensors);
}

/** The same, not yet converted, and which of the two it is. */
export function detectronTensors(bytes: Uint8Array, where: string): { tensors: NamedArrays; detectron1: boolean } {
  const root = unpickle(bytes, { globals: GLOBALS, where }).value;
  if (!(root instanceof Map)) throw new WeightsError(`${where}: the pickle must be a dict with "model" or "blobs", got ${describe(root)}.`);
  const holder = ["model", "blobs"].find((key) => root.get(key) instanceof Map);
  const arrays = (holder === undefined ? root : root.get(holder)) as ReadonlyMap<unknown, unknown>;
  const tensors = new Map<string, FileTensor>();
  for (const [name, value] of arrays) {
    if (typeof name !== "string") throw new WeightsError(`${where}: the names of the weights must be strings, got ${describe(name)}.`);
    if (holder !== "model" && name.endsWith("_momentum")) continue;
    if (!(value instanceof NumpyArray)) {
      // Detectron keeps its iteration and learning rate among the blobs.
      if (holder === "blobs" && (value === null || typeof value !== "object")) continue;
      const hint = holder === undefined ? ' Weights stand under "model" or "blobs".' : "";
      throw new WeightsError(`${where}: ${name.slice(0, 200)} must be an array, got ${describe(value)}.${hint}`);
    }
    tensors.set(name, fileTensor(value, `${where}: array ${name}`));
  }
  assertTotal(tensors, bytes.length, where);
  const detectron1 = holder === "blobs" || (holder === undefined && tensors.size > 0 && [...tensors.keys()].every((name) => !name.includes(".")));
  return { tensors: detectron1 ? fromDetectron1(tensors) : tensors, detectron1 };
}

function describe(value: unknown): string {
  if (value instanceof NumpyArray) return "an array";
  if (value instanceof Map) return "a dict";
  if (Array.isArray(value)) return "a list";
  return value === null ? "None" : typeof value === "object" ? "an object" : `a ${typeof value}`;
}

function fileTensor({ shape, dtype: numpy, isFortran, buffer: data }: NumpyArray, label: string): FileTensor {
  // Python 2 doesn't tell data from text.
  const buffer = typeof data === "string" ? Uint8Array.from(data, (c) => c.charCodeAt(0)) : data;
  const fail = (what: string): never => {
    throw new WeightsError(`${label}: ${what}. The file is corrupt, or holds something other than weights.`);
  };
  const count = countOf(shape);
  if (count === undefined) return fail("its shape is no shape");
  if (!(numpy instanceof NumpyDtype)) return fail("it has no dtype");
  const dtype = DTYPES.get(numpy.code);
  if (dtype === undefined) return fail(`its dtype must be one of ${[...DTYPES.keys()].join(", ")}, got ${JSON.stringify(numpy.code)}`);
  if (numpy.order === ">" && DTYPE_BYTES[dtype] > 1) return fail("its byte order must be little-endian, got big-endian");
  if (!isBuffer(buffer)) return fail("it has no data");
  const length = count * DTYPE_BYTES[dtype];
  const isWhole = buffer instanceof Text ? buffer.mayHold(length) : buffer.length === length;
  if (!isWhole) fail(`[${(shape as number[]).join(", ")}] of ${dtype} takes ${length} bytes, but its data is of another length`);
  const load = (): ReturnType<typeof rawData> => {
    const bytes = buffer instanceof Text ? buffer.toBytes() : buffer;
    if (bytes?.length !== length) return fail(`[${(shape as number[]).join(", ")}] of ${dtype} takes ${length} bytes, but its data is of another length`);
    const values = rawData(bytes, dtype);
    return isFortran ? toRowMajor(values, shape as number[]) : values;
  };
  return new FileTensor(shape as number[], dtype, load, label);
}

// Fortran's order: the first axis runs fastest.
function toRowMajor<T extends ReturnType<typeof rawData>>(values: T, shape: readonly number[]): T {
  const out = new (values.constructor as new (length: number) => T)(values.length);
  const strides: number[] = [];
  shape.reduce((stride, size) => (strides.push(stride), stride * size), 1);
  const index = shape.map(() => 0);
  let from = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = values[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = index[axis]! + 1;
      from += strides[axis]!;
      if (index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

