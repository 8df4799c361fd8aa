import { WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";

// https://github.com/huggingface/safetensors: 8 bytes of header length (little-endian), a JSON header
// { name: { dtype, shape, data_offsets: [begin, end] } }, then the bytes of all tensors without gaps.

/** The reference implementation's limit on the header. */
const MAX_HEADER = 100_000_000;

const BYTES: Readonly<Record<string, number>> = { F64: 8, I64: 8, F32: 4, I32: 4, F16: 2, BF16: 2, U8: 1, I8: 1, BOOL: 1 };

type Entry = { dtype: string; shape: number[]; begin: number; end: number };

/**
 * Reads a safetensors file. F32, I32 and U8 come as they are (BOOL as U8); F16, BF16 and F64 become
 * float32, I8 and I64 int32. The arrays are copies: `bytes` may be freed. `where` names the file in
 * errors.
 *
 * @throws WeightsError, naming tensor and offset, when the file is cut, its header is not what the
 * format says, tensors overlap or leave gaps, or an I64 doesn't fit int32.
 */
export function readSafetensors(bytes: Uint8Array, where: string): NamedArrays {
  const { entries, start } = readHeader(bytes, where);
  const arrays = new Map<string, HostArray>();
  for (const [name, { dtype, shape, begin, end }] of entries) {
    // A copy begins at a multiple of 8, wherever the tensor lies in the file. Node's Buffer.slice would not copy.
    const raw = Uint8Array.prototype.slice.call(bytes, start + begin, start + end).buffer;
    arrays.set(name, { shape, data: convert(raw, dtype, `${where}: tensor ${name}`) });
  }
  return arrays;
}

/** The `__metadata__` of a safetensors file: strings by name, empty when it has none. */
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
  if (start > bytes.length) fail(`the header should end at byte ${start}, but the file ends at ${bytes.length}.`);

  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, start)));
  } catch (cause) {
    fail("the header is not JSON.", { cause });
  }
  if (header === null || typeof header !== "object" || Array.isArray(header)) fail("the header is not a JSON object.");

  const entries = new Map<string, Entry>();
  let metadata: Record<string, string> = {};
  const size = bytes.length - start;
  for (const [name, value] of Object.entries(header as Record<string, unknown>)) {
    if (name === "__metadata__") {
      const isText = value !== null && typeof value === "object" && Object.values(value).every((v) => typeof v === "string");
      if (!isText) fail("__metadata__ must map strings to strings.");
      metadata = value as Record<string, string>;
      continue;
    }
    const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
    const isSize = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
    if (typeof dtype !== "string" || BYTES[dtype] === undefined) {
      return fail(`tensor ${name}: dtype must be one of ${Object.keys(BYTES).join(", ")}, got ${String(dtype)}.`);
    }
    if (!Array.isArray(shape) || !shape.every(isSize)) return fail(`tensor ${name}: shape must be sizes, got ${JSON.stringify(shape)}.`);
    if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
      return fail(`tensor ${name}: data_offsets must be two positions, got ${JSON.stringify(offsets)}.`);
    }
    const [begin, end] = offsets as [number, number];
    const length = shape.reduce((a: number, b: number) => a * b, 1) * BYTES[dtype]!;
    if (end - begin !== length) {
      fail(`tensor ${name}: ${dtype} [${shape.join(", ")}] takes ${length} bytes, but its offsets are ${begin} to ${end}.`);
    }
    if (end > size) fail(`tensor ${name}: should end at byte ${start + end}, but the file ends at ${bytes.length}.`);
    entries.set(name, { dtype, shape, begin, end });
  }

  let position = 0;
  for (const [name, { begin, end }] of [...entries].toSorted(([, a], [, b]) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== position) fail(`tensor ${name}: begins at byte ${start + begin}, but the one before ends at ${start + position}.`);
    position = end;
  }
  if (position !== size) fail(`the tensors end at byte ${start + position}, but the file at ${bytes.length}.`);
  return { entries, metadata, start };
}

function convert(raw: ArrayBuffer, dtype: string, where: string): HostArray["data"] {
  switch (dtype) {
    case "F32":
      return new Float32Array(raw);
    case "I32":
      return new Int32Array(raw);
    case "F64":
      return Float32Array.from(new Float64Array(raw));
    case "I8":
      return Int32Array.from(new Int8Array(raw));
    case "BF16":
      return new Float32Array(Uint32Array.from(new Uint16Array(raw), (bits) => bits << 16).buffer);
    case "F16":
      return Float32Array.from(new Uint16Array(raw), fromHalf);
    case "I64":
      return Int32Array.from(new BigInt64Array(raw), (value, i) => {
        if (value !== BigInt.asIntN(32, value)) throw new WeightsError(`${where}: value ${i} must fit int32, got ${value}.`);
        return Number(value);
      });
    default:
      return new Uint8Array(raw);
  }
}

function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * Writes arrays (float32, int32, uint8) as a safetensors file, in the order of their names; tensors
 * begin at multiples of 8 bytes as far as their sizes allow. The same input gives the same bytes.
 *
 * @throws WeightsError when a shape doesn't match its data.
 */
export function writeSafetensors(arrays: NamedArrays, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  // Four-byte types first, so that everything stays aligned.
  const sorted = [...arrays].toSorted(
    ([a, { data: x }], [b, { data: y }]) => y.BYTES_PER_ELEMENT - x.BYTES_PER_ELEMENT || (a < b ? -1 : 1),
  );
  const header: Record<string, unknown> = Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {};
  let size = 0;
  for (const [name, { shape, data }] of sorted) {
    const count = shape.reduce((a, b) => a * b, 1);
    if (count !== data.length) {
      throw new WeightsError(`writeSafetensors: tensor ${name} of shape [${shape.join(", ")}] must hold ${count} values, got ${data.length}.`);
    }
    const dtype = data instanceof Float32Array ? "F32" : data instanceof Int32Array ? "I32" : "U8";
    header[name] = { dtype, shape, data_offsets: [size, size + data.byteLength] };
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
