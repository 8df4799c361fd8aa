/** Reader of the checkpoints of `torch.save`. */
import { printable, WeightsError } from "@mrcnn/core";
import type { NamedArrays } from "@mrcnn/core";
import { DTYPE_BYTES, rawData } from "./dtype.ts";
import type { DType } from "./dtype.ts";
import { assertTotal, countOf, FileTensor, inFile, loadTensors } from "./file-tensor.ts";
import { numpyGlobals } from "./numpy-pickle.ts";
import { pickleGlobals, PickleGlobal, unpickle } from "./pickle.ts";
import { withSettings } from "./plain-globals.ts";
import { checkZipEntry, readZip } from "./zip.ts";
import type { ZipEntry } from "./zip.ts";
import { gatherBytes } from "./strided.ts";
import { stateDicts, unwrap } from "./unwrap.ts";
import type { Unwrapped } from "./unwrap.ts";

// torch/serialization.py. A checkpoint is a pickle that refers to storages beside it: entries of a zip
// archive (torch 1.6 and later), or blocks that follow the pickle (before 1.6, and with
// `_use_new_zipfile_serialization=False`).

const STORAGES: Readonly<Record<string, DType>> = {
  DoubleStorage: "float64",
  FloatStorage: "float32",
  HalfStorage: "float16",
  BFloat16Storage: "bfloat16",
  LongStorage: "int64",
  IntStorage: "int32",
  ShortStorage: "int16",
  CharStorage: "int8",
  ByteStorage: "uint8",
  BoolStorage: "bool",
};

/** Flat memory of which tensors are views. */
class Storage {
  readonly key: string;
  readonly dtype: DType;
  readonly length: number;
  /** Bytes of the storage; in the older format they follow the pickle. */
  bytes: Uint8Array | undefined;
  /** Entry of the archive, which has a checksum; undefined in the older format. */
  entry: ZipEntry | undefined;

  constructor(key: string, dtype: DType, length: number) {
    this.key = key;
    this.dtype = dtype;
    this.length = length;
  }
}

/** A part of a storage, which only old files have. */
interface StorageView {
  readonly storage: Storage;
  readonly offset: number;
}

/** A tensor whose storage may not have been read yet. */
class TorchTensor {
  readonly view: StorageView;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(view: StorageView, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.view = view;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function rebuildTensor([view, offset, shape, strides]: readonly unknown[]): TorchTensor {
  if (!(typeof view === "object" && view !== null && "storage" in view && view.storage instanceof Storage))
    throw new WeightsError("a tensor has no storage");
  if (!isSize(offset)) throw new WeightsError("a tensor's offset is no position");
  if (
    countOf(shape) === undefined ||
    !Array.isArray(strides) ||
    strides.length !== (shape as unknown[]).length ||
    !strides.every(isSize)
  ) {
    throw new WeightsError("a tensor's sizes and strides are no sizes");
  }
  return new TorchTensor(view as StorageView, offset, shape as number[], strides);
}

function rebuildParameter([tensor]: readonly unknown[]): TorchTensor {
  if (!(tensor instanceof TorchTensor)) throw new WeightsError("a parameter has no tensor");
  return tensor;
}

const GLOBALS = /* @__PURE__ */ withSettings(
  new Map([
    // Training scripts store their scores as numpy's scalars.
    ...numpyGlobals,
    ...pickleGlobals([
      ["torch._utils._rebuild_tensor", rebuildTensor],
      ["torch._utils._rebuild_tensor_v2", rebuildTensor],
      ["torch._utils._rebuild_parameter", rebuildParameter],
      ["torch._utils._rebuild_parameter_with_state", rebuildParameter],
      ["torch.nn.parameter.Parameter", rebuildParameter],
      ["torch.Size", ([sizes]) => sizes],
      ["torch.device", ([name]) => name],
      ...Object.keys(STORAGES).map((name) => [`torch.${name}`] as const),
    ]),
  ]),
);

/**
 * Reads a file of `torch.save`: a state_dict, or a checkpoint that has one under any key, without what torch
 * and training scripts wrap around a model (`module.`, `_orig_mod.`; any prefix of a detector's names). Of a
 * model and averages of it, or of several models under the usual keys, it takes the trained one, "model"
 * before "state_dict". Both the zip format of torch 1.6 and later and the older one are read. No code in the
 * file is ever run. float32, int32, uint8 and bool (as uint8) keep their types, float16, bfloat16 and float64
 * become float32, int8, int16 and int64 int32, in torch's shapes and layouts. The arrays are views of `bytes`
 * where possible. `where` names the file in errors.
 *
 * @throws WeightsError naming the tensor, entry or position when the file is truncated, corrupt or not a
 * checkpoint, holds something other than tensors, or an int64 doesn't fit int32.
 */
export function readTorchCheckpoint(bytes: Uint8Array, where: string): NamedArrays {
  return loadTensors(torchTensors(bytes, where).tensors);
}

/** Reads the tensors as `readTorchCheckpoint` does but without converting them, and tells what was chosen. */
export function torchTensors(bytes: Uint8Array, where: string): Unwrapped<FileTensor> {
  const isZip = bytes.length >= 2 && bytes[0] === 0x50 && bytes[1] === 0x4b;
  const root = isZip ? readArchive(bytes, where) : readLegacy(bytes, where);
  const { tensors: found, notes } = stateDict(root, where);
  const tensors = new Map<string, FileTensor>();
  const entries = new Set<ZipEntry>();
  for (const [name, value] of found) {
    tensors.set(name, fileTensor(value, `${where}: tensor ${printable(name)}`));
    if (value.view.storage.entry !== undefined) entries.add(value.view.storage.entry);
  }
  assertTotal(tensors, bytes.length, where);
  for (const entry of entries) checkZipEntry(entry, where);
  return { tensors, notes };
}

const isTensor = (value: unknown): value is TorchTensor => value instanceof TorchTensor;

function stateDict(root: unknown, where: string): Unwrapped<TorchTensor> {
  if (!(root instanceof Map))
    throw new WeightsError(
      `${where}: the checkpoint must be a state_dict, got ${describe(root)}. Save model.state_dict().`,
    );
  const found = inFile(where, () => unwrap(stateDicts(root, isTensor)));
  if (found !== undefined) return found;
  if ([...root.values()].some(isTensor)) {
    const [name, value] = [...root].find(([key, v]) => typeof key !== "string" || !isTensor(v))!;
    throw new WeightsError(
      `${where}: ${keyText(name)} must be the name of a tensor, got ${describe(value)}. Save model.state_dict() alone.`,
    );
  }
  const keys = [...root.keys()].slice(0, 8).map(keyText);
  throw new WeightsError(
    `${where}: the checkpoint must be a state_dict or have one under a key, as "model" or "state_dict", got ${keys.length === 0 ? "an empty one" : `the keys ${keys.join(", ")}`}. Save model.state_dict().`,
  );
}

const keyText = (key: unknown): string => (typeof key === "string" ? printable(key, 60) : describe(key));

function describe(value: unknown): string {
  if (value instanceof TorchTensor) return "a tensor";
  if (value instanceof Map) return "a dict";
  if (Array.isArray(value)) return "a list";
  if (value instanceof PickleGlobal) return value.name;
  return (
    value === null ? "None"
    : typeof value === "object" ? "an object"
    : `a ${typeof value}`
  );
}

/** Resolves a reference ("storage", type, key, location, length[, view]). */
function storageOf(
  id: unknown,
  storages: Map<string, Storage>,
  entryOf?: (key: string, byteLength: number) => ZipEntry,
): StorageView {
  if (!Array.isArray(id) || id[0] !== "storage") throw new WeightsError("a reference must be to a storage");
  const [, type, key, , length, view] = id as unknown[];
  const dtype =
    type instanceof PickleGlobal && type.name.startsWith("torch.") ? STORAGES[type.name.slice(6)] : undefined;
  if (dtype === undefined)
    throw new WeightsError(`a storage's type must be one of ${Object.keys(STORAGES).join(", ")}`);
  if (typeof key !== "string" || !isSize(length))
    throw new WeightsError("a storage must have a name and a length");
  let storage = storages.get(key);
  if (storage === undefined) {
    storage = new Storage(key, dtype, length);
    storage.entry = entryOf?.(key, length * DTYPE_BYTES[dtype]);
    storage.bytes = storage.entry?.bytes;
    storages.set(key, storage);
  } else if (storage.dtype !== dtype || storage.length !== length)
    throw new WeightsError(`storage ${printable(key, 60)} has two types or lengths`);
  if (view === undefined || view === null) return { storage, offset: 0 };
  const [, offset, viewLength] = Array.isArray(view) ? (view as unknown[]) : [];
  if (!isSize(offset) || !isSize(viewLength) || offset + viewLength > length)
    throw new WeightsError(`a part of storage ${printable(key, 60)} lies outside of it`);
  return { storage, offset };
}

function readArchive(bytes: Uint8Array, where: string): unknown {
  const entries = readZip(bytes, where);
  const pickle = [...entries.values()].find(({ name }) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickle === undefined) {
    const names = [...entries.keys()]
      .slice(0, 5)
      .map((name) => printable(name, 60))
      .join(", ");
    throw new WeightsError(
      `${where}: the archive must have an entry data.pkl, got ${names === "" ? "none at all" : names}. This zip was not written by torch.save.`,
    );
  }
  const folder = pickle.name.slice(0, -"data.pkl".length);
  if (entries.has(`${folder}constants.pkl`)) {
    throw new WeightsError(
      `${where}: the archive must be a checkpoint, got a TorchScript program. Save model.state_dict() with torch.save.`,
    );
  }
  const order = entries.get(`${folder}byteorder`);
  if (order !== undefined && new TextDecoder().decode(order.bytes.subarray(0, 100)).trim() !== "little") {
    throw new WeightsError(
      `${where}: entry ${printable(order.name)}: the byte order must be little, got ${JSON.stringify(new TextDecoder().decode(order.bytes.subarray(0, 100)))}. Save the file again on a little-endian machine.`,
    );
  }
  checkZipEntry(pickle, where);
  const storages = new Map<string, Storage>();
  const entryOf = (key: string, byteLength: number): ZipEntry => {
    const entry = entries.get(`${folder}data/${key}`);
    if (entry === undefined) throw new WeightsError(`storage ${printable(key, 60)} is not in the archive`);
    if (entry.bytes.length !== byteLength)
      throw new WeightsError(
        `storage ${printable(key, 60)} must have ${byteLength} bytes, but entry ${printable(entry.name)} has ${entry.bytes.length}`,
      );
    return entry;
  };
  return unpickle(pickle.bytes, {
    globals: GLOBALS,
    persistent: (id) => storageOf(id, storages, entryOf),
    where,
    base: pickle.begin,
    fileLength: bytes.length,
  }).value;
}

const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_PROTOCOL = 1001;

function readLegacy(bytes: Uint8Array, where: string): unknown {
  if (bytes.length > 262 && String.fromCharCode(...bytes.subarray(257, 262)) === "ustar") {
    throw new WeightsError(
      `${where}: the file must be a checkpoint of torch 0.1.11 or later, got the tar archive of an older one. Load it with torch and save it again.`,
    );
  }
  const storages = new Map<string, Storage>();
  const storagesOf = (id: unknown): StorageView => storageOf(id, storages);
  let end = 0;
  const next = (persistent?: (id: unknown) => unknown): unknown => {
    const result = unpickle(bytes, {
      globals: GLOBALS,
      where,
      start: end,
      ...(persistent && { persistent }),
    });
    end = result.end;
    return result.value;
  };
  if (next() !== LEGACY_MAGIC)
    throw new WeightsError(
      `${where}: the file must begin with torch's magic number. It is a pickle, but not one of torch.save.`,
    );
  const protocol = next();
  if (protocol !== LEGACY_PROTOCOL)
    throw new WeightsError(
      `${where}: torch's protocol must be ${LEGACY_PROTOCOL}, got ${describe(protocol)}.`,
    );
  const system = next();
  if (!(system instanceof Map) || system.get("little_endian") !== true) {
    throw new WeightsError(
      `${where}: the byte order must be little-endian, got another. Save the file again on a little-endian machine.`,
    );
  }
  const root = next(storagesOf);
  const keys = next();
  if (!Array.isArray(keys))
    throw new WeightsError(
      `${where}: byte ${end}: the list of the storages is missing. The file is cut or corrupt.`,
    );

  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const seen = new Set<unknown>();
  for (const key of keys as unknown[]) {
    const storage = typeof key === "string" ? storages.get(key) : undefined;
    if (storage === undefined || seen.has(key))
      throw new WeightsError(
        `${where}: byte ${end}: the list of the storages names one that no tensor has, or one twice. The file is corrupt.`,
      );
    seen.add(key);
    const begin = end + 8;
    const byteLength = storage.length * DTYPE_BYTES[storage.dtype];
    if (begin + byteLength > bytes.length) {
      throw new WeightsError(
        `${where}: byte ${end}: storage ${printable(storage.key, 60)} should end at byte ${begin + byteLength}, but the file ends at ${bytes.length}. The file is cut.`,
      );
    }
    const length = view.getBigUint64(end, true);
    if (length !== BigInt(storage.length)) {
      throw new WeightsError(
        `${where}: byte ${end}: storage ${printable(storage.key, 60)} must have ${storage.length} values, got ${length}. The file is corrupt.`,
      );
    }
    storage.bytes = bytes.subarray(begin, begin + byteLength);
    end = begin + byteLength;
  }
  return root;
}

function fileTensor(
  { view: { storage, offset: viewOffset }, offset: ownOffset, shape, strides }: TorchTensor,
  label: string,
): FileTensor {
  const { dtype, bytes } = storage;
  if (bytes === undefined)
    throw new WeightsError(
      `${label}: its storage ${printable(storage.key, 60)} is not in the file. The file is cut or corrupt.`,
    );
  const count = countOf(shape)!;
  const offset = viewOffset + ownOffset;
  const last =
    count === 0 ? offset : shape.reduce((at, size, axis) => at + (size - 1) * strides[axis]!, offset);
  if (count > 0 && last >= storage.length) {
    throw new WeightsError(
      `${label}: its last value should be value ${last} of storage ${printable(storage.key, 60)}, which has ${storage.length}. The file is corrupt.`,
    );
  }
  let expected = 1;
  const isContiguous = shape.reduceRight((contiguous, size, axis) => {
    const fits = contiguous && (size === 1 || strides[axis] === expected);
    expected *= size;
    return fits;
  }, true);
  const size = DTYPE_BYTES[dtype];
  const load = (): ReturnType<typeof rawData> => {
    if (count === 0) return rawData(new Uint8Array(0), dtype);
    if (isContiguous) return rawData(bytes.subarray(offset * size, (offset + count) * size), dtype);
    return rawData(gatherBytes(bytes, size, { offset, shape, strides }), dtype);
  };
  return new FileTensor(shape, dtype, load, label);
}
