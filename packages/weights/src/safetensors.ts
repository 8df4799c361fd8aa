/** Reader and writer of safetensors files. */
import { printable, WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";
import { DTYPE_BYTES, rawData } from "./dtype.ts";
import type { DType } from "./dtype.ts";
import { FileTensor, MAX_RANK } from "./file-tensor.ts";
import type { FileTensors } from "./file-tensor.ts";
import type { StoredArray, StoredArrays } from "./quantize.ts";

// https://github.com/huggingface/safetensors: 8 bytes of header length (little-endian), a JSON header { name:
// { dtype, shape, data_offsets: [begin, end] } }, then the bytes of all tensors without gaps.

/** Maximum size of the header, as in the reference implementation. */
const MAX_HEADER = 100_000_000;

/**
 * Up to this size a header is accepted in any file; beyond, it may be at most an eighth of the file, as its
 * objects take some ten times its length in memory.
 */
const LARGE_HEADER = 1 << 20;

const DTYPES: ReadonlyMap<unknown, DType> = new Map([
  ["F64", "float64"],
  ["I64", "int64"],
  ["F32", "float32"],
  ["I32", "int32"],
  ["F16", "float16"],
  ["BF16", "bfloat16"],
  ["I16", "int16"],
  ["U8", "uint8"],
  ["I8", "int8"],
  ["BOOL", "bool"],
]);

/** Maximum nesting of the header: one full of brackets would take many times its length in memory. */
const MAX_DEPTH = 3;

type Entry = { dtype: DType; shape: number[]; begin: number; end: number };

/**
 * Reads a safetensors file. F32, I32 and U8 keep their types (BOOL becomes U8); F16, BF16 and F64 become
 * float32, I8, I16 and I64 int32. The arrays are copies: `bytes` may be freed. `where` names the file in
 * errors.
 *
 * @throws WeightsError naming the tensor and offset when the file is truncated, its header violates the
 * format, tensors overlap or leave gaps, or an I64 doesn't fit int32.
 */
export function readSafetensors(bytes: Uint8Array, where: string): NamedArrays {
  const arrays = new Map<string, HostArray>();
  for (const [name, { shape, data }] of safetensorsTensors(bytes, where)) {
    arrays.set(name, { shape, data: data.buffer === bytes.buffer ? data.slice() : data });
  }
  return arrays;
}

/**
 * Reads the tensors as `readSafetensors` does, but without converting them, and as views of `bytes` where
 * possible.
 */
export function safetensorsTensors(bytes: Uint8Array, where: string): FileTensors {
  const { entries, start } = readHeader(bytes, where);
  const tensors = new Map<string, FileTensor>();
  for (const [name, { dtype, shape, begin, end }] of entries) {
    tensors.set(
      name,
      new FileTensor(
        shape,
        dtype,
        () => rawData(bytes.subarray(start + begin, start + end), dtype),
        `${where}: tensor ${printable(name)}`,
      ),
    );
  }
  return tensors;
}

/** Returns the `__metadata__` of a safetensors file: strings by name, empty when it has none. */
export function readSafetensorsMetadata(bytes: Uint8Array, where: string): Readonly<Record<string, string>> {
  return readHeader(bytes, where).metadata;
}

function readHeader(
  bytes: Uint8Array,
  where: string,
): { entries: Map<string, Entry>; metadata: Readonly<Record<string, string>>; start: number } {
  const fail = (what: string, options?: ErrorOptions): never => {
    throw new WeightsError(`${where}: ${what} The file is cut, corrupt, or not safetensors.`, options);
  };
  if (bytes.length < 8) fail(`a file of ${bytes.length} bytes is shorter than the header's length.`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const declared = view.getBigUint64(0, true);
  if (declared > BigInt(MAX_HEADER)) fail(`the header must be at most ${MAX_HEADER} bytes, got ${declared}.`);
  const headerLength = Number(declared);
  const start = 8 + headerLength;
  if (start > bytes.length)
    fail(`the header should end at byte ${start}, but the file ends at ${bytes.length}.`);

  if (headerLength > LARGE_HEADER && headerLength > bytes.length / 8) {
    fail(`a header of ${headerLength} bytes is out of proportion to a file of ${bytes.length}.`);
  }
  let header: unknown;
  if (isDeeper(bytes.subarray(8, start), MAX_DEPTH))
    fail("the header is nested deeper than that of any tensor.");
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, start)));
  } catch (cause) {
    fail("the header is not JSON.", { cause });
  }
  if (header === null || typeof header !== "object" || Array.isArray(header))
    fail("the header is not a JSON object.");

  const entries = new Map<string, Entry>();
  let metadata: Record<string, string> = {};
  const size = bytes.length - start;
  for (const [name, value] of Object.entries(header as Record<string, unknown>)) {
    if (name === "__metadata__") {
      const isText =
        value !== null &&
        typeof value === "object" &&
        Object.values(value).every((v) => typeof v === "string");
      if (!isText) fail("__metadata__ must map strings to strings.");
      metadata = value as Record<string, string>;
      continue;
    }
    const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
    const isSize = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
    const known = DTYPES.get(dtype);
    if (known === undefined)
      return fail(
        `tensor ${printable(name)}: dtype must be one of ${[...DTYPES.keys()].join(", ")}, got ${short(dtype)}.`,
      );
    if (!Array.isArray(shape) || !shape.every(isSize))
      return fail(`tensor ${printable(name)}: shape must be sizes, got ${short(shape)}.`);
    if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
      return fail(`tensor ${printable(name)}: data_offsets must be two positions, got ${short(offsets)}.`);
    }
    const [begin, end] = offsets as [number, number];
    if (shape.length > MAX_RANK)
      return fail(
        `tensor ${printable(name)}: shape must have at most ${MAX_RANK} sizes, got ${shape.length}.`,
      );
    const length = shape.reduce((a: number, b: number) => a * b, 1) * DTYPE_BYTES[known];
    if (end - begin !== length) {
      fail(
        `tensor ${printable(name)}: ${String(dtype)} [${shape.slice(0, 16).join(", ")}] takes ${length} bytes, but its offsets are ${begin} to ${end}.`,
      );
    }
    if (end > size)
      fail(
        `tensor ${printable(name)}: should end at byte ${start + end}, but the file ends at ${bytes.length}.`,
      );
    entries.set(name, { dtype: known, shape, begin, end });
  }

  let position = 0;
  for (const [name, { begin, end }] of [...entries].toSorted(
    ([, a], [, b]) => a.begin - b.begin || a.end - b.end,
  )) {
    if (begin !== position)
      fail(
        `tensor ${printable(name)}: begins at byte ${start + begin}, but the one before ends at ${start + position}.`,
      );
    position = end;
  }
  if (position !== size)
    fail(`the tensors end at byte ${start + position}, but the file at ${bytes.length}.`);
  return { entries, metadata, start };
}

const short = (value: unknown): string => printable(JSON.stringify(value) ?? "nothing", 100);

/** Tells whether brackets in JSON are nested deeper than `limit`; those in strings don't count. */
function isDeeper(json: Uint8Array, limit: number): boolean {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < json.length; i++) {
    const c = json[i]!;
    if (quoted) {
      if (c === 0x5c) i++;
      else if (c === 0x22) quoted = false;
    } else if (c === 0x22) quoted = true;
    else if (c === 0x7b || c === 0x5b) {
      if (++depth > limit) return true;
    } else if (c === 0x7d || c === 0x5d) depth--;
  }
  return false;
}

/**
 * Writes arrays (float32, int32, uint8, and the types of `quantize`) as a safetensors file, in the order of
 * their names; tensors begin at multiples of 8 bytes as far as their sizes allow. The same input gives the
 * same bytes.
 *
 * @throws WeightsError when a shape doesn't match its data.
 */
export function writeSafetensors(
  arrays: StoredArrays,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  // Wide types first, so that everything stays aligned.
  const sorted = [...arrays].toSorted(
    ([a, { data: x }], [b, { data: y }]) => y.BYTES_PER_ELEMENT - x.BYTES_PER_ELEMENT || (a < b ? -1 : 1),
  );
  const header: Record<string, unknown> = Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {};
  let size = 0;
  for (const [name, { shape, data }] of sorted) {
    const count = shape.reduce((a, b) => a * b, 1);
    if (count !== data.length) {
      throw new WeightsError(
        `writeSafetensors: tensor ${name} of shape [${shape.join(", ")}] must hold ${count} values, got ${data.length}.`,
      );
    }
    header[name] = { dtype: dtypeOf(data), shape, data_offsets: [size, size + data.byteLength] };
    size += data.byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const headerLength = Math.ceil(text.length / 8) * 8;
  const file = new Uint8Array(8 + headerLength + size);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerLength), true);
  file.fill(0x20, 8, 8 + headerLength);
  file.set(text, 8);
  let position = 8 + headerLength;
  for (const [, { data }] of sorted) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), position);
    position += data.byteLength;
  }
  return file;
}

function dtypeOf(data: StoredArray["data"]): string {
  if (data instanceof Float32Array) return "F32";
  if (data instanceof Int32Array) return "I32";
  if (data instanceof Uint16Array) return "F16";
  return data instanceof Int8Array ? "I8" : "U8";
}
