/** Reader of HDF5 files, as far as h5py and Keras use the format for weights. */
import { printable, WeightsError } from "@mrcnn/core";
import { DTYPE_BYTES, rawData } from "./dtype.ts";
import type { DType } from "./dtype.ts";
import { assertTotal, countOf, FileTensor } from "./file-tensor.ts";
import type { FileTensors } from "./file-tensor.ts";

// The HDF5 File Format Specification, version 3.0, as far as h5py's defaults and Keras use it: groups as
// symbol tables or compact links, contiguous numeric data sets; attributes are ignored. It is written here
// because an untrusted file must not harm the page that opens it. h5wasm 0.10.3, the C library, is 4 MB;
// given 40000 damaged files its heap grew to 1.4 GB, and after one of them it failed on every other ("memory
// access out of bounds") and could not be restarted. jsfive 0.4.2 follows whatever tree of nodes a file
// claims, however large, and makes a JavaScript number of every value.

const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];
const UNDEFINED = 0xffffffffffffffffn;
const MAX_DEPTH = 16;
const MAX_NAME = 1024;
const MAX_MESSAGES = 1 << 16;

/**
 * Costs of parts, in bytes of the file. A header may lie anywhere, even in the middle of another, so that
 * only this limit keeps a file from naming an object of a kilobyte of memory at each of its bytes. HDF5
 * itself takes at least 300 bytes for a data set and 800 for a group.
 */
const COST = { message: 4, entry: 8, object: 64, dataset: 128 } as const;
/** Allowance beyond a file's length, for small files. */
const FREE = 1 << 16;

const MESSAGE = {
  dataspace: 1,
  linkInfo: 2,
  datatype: 3,
  link: 6,
  external: 7,
  layout: 8,
  continuation: 16,
  symbolTable: 17,
} as const;
const KNOWN: ReadonlySet<number> = new Set(Object.values(MESSAGE));

interface Message {
  readonly type: number;
  readonly begin: number;
  readonly end: number;
  readonly isShared: boolean;
}

/**
 * Reads the numeric data sets of an HDF5 file by their paths, not yet converted, as views of `bytes` where
 * possible.
 *
 * @throws WeightsError naming the data set or position when the file is truncated or corrupt, or uses
 * unsupported features: chunks, compression, big-endian or other types.
 */
export function hdf5Tensors(bytes: Uint8Array, where: string): FileTensors {
  const tensors = new Hdf5Reader(bytes, where).read();
  assertTotal(tensors, bytes.length, where);
  return tensors;
}

class Hdf5Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #where: string;
  readonly #tensors = new Map<string, FileTensor>();
  /** Objects read so far. Each is read once: cycles end, and an object with several names keeps its first. */
  readonly #seen = new Set<number>();
  /** Base of the addresses in the file. */
  #base = 0;
  /** Remaining budget for objects, entries and names. */
  #work: number;

  constructor(bytes: Uint8Array, where: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#where = where;
    this.#work = FREE + bytes.length;
  }

  read(): FileTensors {
    this.#group(this.#root(), "", 0);
    return this.#tensors;
  }

  #fail(at: number, what: string): never {
    throw new WeightsError(`${this.#where}: byte ${at}: ${what}. The file is cut or corrupt.`);
  }

  #unknown(path: string, what: string): never {
    throw new WeightsError(
      `${this.#where}: ${path === "" ? "the file" : printable(path)}: ${what}. Write the weights anew with h5py's defaults.`,
    );
  }

  /** Checks that `length` bytes at `at` lie in the file, and returns `at`. */
  #check(at: number, length: number): number {
    if (!(at >= 0 && at + length <= this.#bytes.length))
      this.#fail(
        Math.min(at, this.#bytes.length),
        `${length} bytes should lie at ${at}, but the file ends at ${this.#bytes.length}`,
      );
    return at;
  }

  #spend(work: number, at: number): void {
    this.#work -= work;
    if (this.#work < 0) this.#fail(at, "the file names more objects than one of its size may hold");
  }

  #uint8 = (at: number): number => this.#view.getUint8(this.#check(at, 1));
  #uint16 = (at: number): number => this.#view.getUint16(this.#check(at, 2), true);
  #uint32 = (at: number): number => this.#view.getUint32(this.#check(at, 4), true);
  #size = (at: number): number => {
    const value = this.#view.getBigUint64(this.#check(at, 8), true);
    return value > BigInt(Number.MAX_SAFE_INTEGER) ?
        this.#fail(at, `a size of ${value} can't be`)
      : Number(value);
  };

  /** Reads a position in the file; undefined for HDF5's undefined address. */
  #address(at: number): number | undefined {
    const value = this.#view.getBigUint64(this.#check(at, 8), true);
    if (value === UNDEFINED) return undefined;
    if (value > BigInt(this.#bytes.length))
      this.#fail(at, `something should lie at ${value}, but the file ends at ${this.#bytes.length}`);
    return this.#base + Number(value);
  }

  #hasName(at: number, name: string): boolean {
    return (
      at + 4 <= this.#bytes.length &&
      Array.from(name, (c, i) => this.#bytes[at + i] === c.charCodeAt(0)).every(Boolean)
    );
  }

  #expect(at: number, name: string): void {
    if (!this.#hasName(at, name))
      this.#fail(Math.min(at, this.#bytes.length), `"${name}" should stand there`);
  }

  /** Returns the position of the root group's object header. */
  #root(): number {
    let at = 0;
    while (!SIGNATURE.every((byte, i) => this.#bytes[at + i] === byte)) {
      at = at === 0 ? 512 : 2 * at;
      if (at + 8 > this.#bytes.length) this.#fail(0, "HDF5's signature is missing");
    }
    this.#base = at;
    const version = this.#uint8(at + 8);
    if (version > 3) return this.#fail(at + 8, `the superblock's version must be 0 to 3, got ${version}`);
    const sizes = version < 2 ? at + 13 : at + 9;
    if (this.#uint8(sizes) !== 8 || this.#uint8(sizes + 1) !== 8)
      this.#unknown(
        "",
        `addresses and sizes must have 8 bytes, got ${this.#uint8(sizes)} and ${this.#uint8(sizes + 1)}`,
      );
    const addresses =
      version === 0 ? at + 24
      : version === 1 ? at + 28
      : at + 12;
    // The end-of-file address counts from the beginning of the file.
    const end = this.#size(addresses + 16);
    if (end > this.#bytes.length) this.#fail(this.#bytes.length, `the file should have ${end} bytes`);
    const root = version < 2 ? this.#address(addresses + 40) : this.#address(addresses + 24);
    return root ?? this.#fail(addresses, "the root group is missing");
  }

  #messages(header: number): Message[] {
    const messages: Message[] = [];
    const isSecond = this.#hasName(header, "OHDR");
    const flags = isSecond ? this.#uint8(header + 5) : 0;
    const version = this.#uint8(isSecond ? header + 4 : header);
    if (version !== (isSecond ? 2 : 1)) this.#fail(header, "an object's header should begin there");
    const blocks: [begin: number, end: number][] = [];
    if (isSecond) {
      const width = 1 << (flags & 3);
      const at = header + 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
      const length =
        width === 8 ? this.#size(at)
        : width === 4 ? this.#uint32(at)
        : width === 2 ? this.#uint16(at)
        : this.#uint8(at);
      blocks.push([at + width, at + width + length]);
    } else blocks.push([header + 16, header + 16 + this.#uint32(header + 8)]);
    const prefix =
      isSecond ?
        flags & 4 ?
          6
        : 4
      : 8;
    // Grows during the loop: a block may name others.
    for (const [begin, end] of blocks) {
      this.#check(begin, end - begin);
      let at = begin;
      while (at + prefix <= end) {
        this.#spend(COST.message, at);
        const type = isSecond ? this.#uint8(at) : this.#uint16(at);
        const length = this.#uint16(at + (isSecond ? 1 : 2));
        const isShared = (this.#uint8(at + (isSecond ? 3 : 4)) & 2) !== 0;
        const data = at + prefix;
        if (data + length > end) this.#fail(at, "a message is longer than its block");
        if (type === MESSAGE.continuation) {
          const block = this.#address(data);
          const size = this.#size(data + 8);
          if (block !== undefined && !this.#seen.has(block)) {
            this.#seen.add(block);
            if (isSecond) {
              this.#expect(block, "OCHK");
              blocks.push([block + 4, block + size - 4]);
            } else blocks.push([block, block + size]);
          }
        } else if (KNOWN.has(type)) {
          if (messages.length === MAX_MESSAGES)
            this.#fail(at, "an object has more messages than any that HDF5 writes");
          messages.push({ type, begin: data, end: data + length, isShared });
        }
        at = data + length;
      }
    }
    return messages;
  }

  #object(header: number, path: string, depth: number): void {
    if (this.#seen.has(header)) return;
    this.#seen.add(header);
    // The path is charged too: a group's name of a thousand bytes precedes the name of each of its members.
    this.#spend(COST.object + path.length, header);
    if (depth > MAX_DEPTH) this.#fail(header, `groups are nested deeper than ${MAX_DEPTH}`);
    const messages = this.#messages(header);
    if (messages.some(({ type }) => type === MESSAGE.layout)) this.#dataset(messages, path);
    else this.#links(messages, path, depth);
  }

  #group(header: number, path: string, depth: number): void {
    this.#seen.add(header);
    this.#links(this.#messages(header), path, depth);
  }

  #links(messages: readonly Message[], path: string, depth: number): void {
    const child = (name: string, header: number | undefined): void => {
      if (header !== undefined) this.#object(header, path === "" ? name : `${path}/${name}`, depth + 1);
    };
    for (const { type, begin, end } of messages) {
      if (type === MESSAGE.symbolTable) this.#symbols(begin, child);
      else if (type === MESSAGE.link) this.#link(begin, end, child);
      else if (type === MESSAGE.linkInfo) {
        const flags = this.#uint8(begin + 1);
        if (this.#address(begin + 2 + (flags & 1 ? 8 : 0)) !== undefined)
          this.#unknown(path, 'its members are kept in a form (libver="latest") that is not read');
      }
    }
  }

  #text(begin: number, length: number): string {
    this.#spend(length, begin);
    if (length > MAX_NAME) this.#fail(begin, `a name of ${length} bytes is no name of weights`);
    this.#check(begin, length);
    return new TextDecoder().decode(this.#bytes.subarray(begin, begin + length));
  }

  #link(begin: number, end: number, child: (name: string, header: number | undefined) => void): void {
    const flags = this.#uint8(begin + 1);
    let at = begin + 2;
    const kind = flags & 8 ? this.#uint8(at++) : 0;
    at += (flags & 4 ? 8 : 0) + (flags & 0x10 ? 1 : 0);
    const width = 1 << (flags & 3);
    const length =
      width === 1 ? this.#uint8(at)
      : width === 2 ? this.#uint16(at)
      : width === 4 ? this.#uint32(at)
      : this.#size(at);
    if (at + width + length > end) this.#fail(begin, "a link's name is longer than the link");
    // Soft and external links are other names of objects that are read anyway, or of other files.
    if (kind === 0) child(this.#text(at + width, length), this.#address(at + width + length));
  }

  #symbols(message: number, child: (name: string, header: number | undefined) => void): void {
    const root = this.#address(message);
    const heap = this.#address(message + 8);
    if (root === undefined || heap === undefined) return;
    this.#expect(heap, "HEAP");
    const heapSize = this.#size(heap + 8);
    const names = this.#address(heap + 24) ?? this.#fail(heap, "a group has no names");
    this.#check(names, heapSize);
    const nodes = [root];
    for (const node of nodes) {
      if (this.#seen.has(node)) continue;
      this.#seen.add(node);
      if (this.#hasName(node, "SNOD")) {
        const count = this.#uint16(node + 6);
        for (let i = 0; i < count; i++) {
          const entry = node + 8 + 40 * i;
          this.#spend(COST.entry, entry);
          const name = this.#size(entry);
          const limit = Math.min(heapSize, name + MAX_NAME + 1);
          if (name >= heapSize) this.#fail(entry, "a name lies outside of its heap");
          const length = this.#bytes.subarray(names + name, names + limit).indexOf(0);
          if (length < 0) this.#fail(names + name, "a name should end");
          // Type 2 is a soft link.
          if (this.#uint32(entry + 16) !== 2)
            child(this.#text(names + name, length), this.#address(entry + 8));
        }
      } else {
        this.#expect(node, "TREE");
        if (this.#uint8(node + 4) !== 0) this.#fail(node, "a tree of groups should be there");
        const count = this.#uint16(node + 6);
        for (let i = 0; i < count; i++) {
          this.#spend(COST.entry, node);
          const next = this.#address(node + 24 + 16 * i + 8);
          if (next !== undefined) nodes.push(next);
        }
      }
    }
  }

  #dataset(messages: readonly Message[], path: string): void {
    this.#spend(COST.dataset, messages[0]!.begin);
    const one = (type: number, what: string): Message => {
      const found = messages.find((message) => message.type === type);
      if (found === undefined)
        throw new WeightsError(
          `${this.#where}: ${printable(path)}: its ${what} is missing. The file is corrupt.`,
        );
      if (found.isShared) this.#unknown(path, `its ${what} is shared with others, which is not read`);
      return found;
    };
    const shape = this.#shape(one(MESSAGE.dataspace, "shape"), path);
    const dtype = this.#dtype(one(MESSAGE.datatype, "type"), path);
    if (messages.some(({ type }) => type === MESSAGE.external))
      this.#unknown(path, "its data lies in another file");
    const count = countOf(shape);
    if (count === undefined)
      throw new WeightsError(
        `${this.#where}: ${printable(path)}: its shape is no shape. The file is corrupt.`,
      );
    const length = count * DTYPE_BYTES[dtype];
    const [begin, size] = this.#layout(one(MESSAGE.layout, "layout"), path);
    if (count > 0 && size < length)
      throw new WeightsError(
        `${this.#where}: ${printable(path)}: [${shape.join(", ")}] of ${dtype} takes ${length} bytes, but its data has ${size}. The file is corrupt.`,
      );
    const data = this.#bytes.subarray(this.#check(begin, length), begin + length);
    if (this.#tensors.has(path))
      throw new WeightsError(`${this.#where}: ${printable(path)} is there twice. The file is corrupt.`);
    this.#tensors.set(
      path,
      new FileTensor(shape, dtype, () => rawData(data, dtype), `${this.#where}: ${printable(path)}`),
    );
  }

  #shape({ begin }: Message, path: string): number[] {
    const version = this.#uint8(begin);
    if (version !== 1 && version !== 2) this.#unknown(path, `its shape is of version ${version}`);
    if (version === 2 && this.#uint8(begin + 3) === 2) return [0];
    const at = begin + (version === 1 ? 8 : 4);
    return Array.from({ length: this.#uint8(begin + 1) }, (_, axis) => this.#size(at + 8 * axis));
  }

  #dtype({ begin }: Message, path: string): DType {
    const kind = this.#uint8(begin) & 15;
    const bits = this.#uint8(begin + 1);
    const size = this.#uint32(begin + 4);
    const isBigEndian = (bits & 1) !== 0 || (kind === 1 && (bits & 0x40) !== 0);
    if (kind < 2 && size > 1 && isBigEndian)
      this.#unknown(path, "its byte order must be little-endian, got big-endian");
    if (kind === 1) {
      // The sizes of exponent and mantissa must be those of IEEE 754.
      const parts = `${size} ${this.#uint8(begin + 13)} ${this.#uint8(begin + 15)}`;
      if (parts === "8 11 52") return "float64";
      if (parts === "4 8 23") return "float32";
      if (parts === "2 5 10") return "float16";
    }
    if (kind === 0) {
      const isSigned = (bits & 8) !== 0;
      const name =
        isSigned ? ({ 8: "int64", 4: "int32", 2: "int16", 1: "int8" } as const)[size]
        : size === 1 ? "uint8"
        : undefined;
      if (name !== undefined) return name;
    }
    return this.#unknown(path, `its type (class ${kind}, ${size} bytes) must be a float or an integer`);
  }

  /** Returns where the data begins, and its length. */
  #layout({ begin, end }: Message, path: string): [begin: number, length: number] {
    const version = this.#uint8(begin);
    const isOld = version < 3;
    if (version < 1 || version > 5) this.#unknown(path, `its layout is of version ${version}`);
    const kind = this.#uint8(begin + (isOld ? 2 : 1));
    if (kind === 1) {
      const address = this.#address(begin + (isOld ? 8 : 2));
      // Never written: the data set consists of its fill value only.
      if (address === undefined) return [0, 0];
      return [address, isOld ? this.#bytes.length - address : this.#size(begin + 10)];
    }
    if (kind === 0) {
      const at = isOld ? begin + 8 + 4 * this.#uint8(begin + 1) : begin + 2;
      const length = isOld ? this.#uint32(at) : this.#uint16(at);
      const data = at + (isOld ? 4 : 2);
      if (data + length > end) this.#fail(begin, `the data of ${printable(path)} is longer than its place`);
      return [data, length];
    }
    return this.#unknown(path, "its data must lie in one piece, got chunks (perhaps compressed)");
  }
}
