// Files made to cost their reader more than their size: every kind is made from a seed, in a size that is asked for.
import type { Random } from "@mrcnn/core";
import { crc32 } from "../src/zip.ts";
import { bytesOf } from "./fixtures.ts";

const le = (value: number | bigint, width: number): number[] =>
  Array.from({ length: width }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 0xffn));
const repeat = (part: Uint8Array, times: number): Uint8Array =>
  new Uint8Array(Buffer.alloc(part.length * Math.max(0, Math.floor(times)), Buffer.from(part)));
const each = (times: number, make: (i: number) => Uint8Array): Uint8Array =>
  new Uint8Array(Buffer.concat(Array.from({ length: Math.max(1, Math.floor(times)) }, (_, i) => make(i))));
const text = (value: string): Uint8Array =>
  bytesOf("X", le(Buffer.byteLength(value), 4), new TextEncoder().encode(value));
const put = (index: number): Uint8Array => bytesOf("r", le(index, 4));
const get = (index: number): Uint8Array => bytesOf("j", le(index, 4));
/** Items of a list or a dict, a thousand at a time, as Python writes them. */
const batches = (count: number, make: (i: number) => Uint8Array, end: "e" | "u"): Uint8Array =>
  each(Math.ceil(count / 1000), (batch) =>
    bytesOf(
      "(",
      each(Math.min(1000, count - 1000 * batch), (i) => make(1000 * batch + i)),
      end,
    ),
  );
const int = (value: number): Uint8Array => bytesOf("J", le(value, 4));

// --- pickles: the value they leave on the stack, without PROTO and STOP

/** `collections.OrderedDict` of one long list of pairs of one key, again and again: what is made is small. */
const dictsOfList = (size: number): Uint8Array =>
  bytesOf(
    "ccollections\nOrderedDict\n",
    put(0),
    "0K\x01K\x02\x86",
    put(1),
    "0]",
    batches(size / 10, () => get(1), "e"),
    put(2),
    "0]",
    repeat(bytesOf(get(0), get(2), "\x85Ra"), size / 2 / 14),
  );
const dictsOfDict = (size: number): Uint8Array =>
  bytesOf(
    "ccollections\nOrderedDict\n",
    put(0),
    "0}",
    batches(Math.min(size / 20, 16_000), (i) => bytesOf(int(i), "K\x01"), "u"),
    put(2),
    "0]",
    repeat(bytesOf(get(0), get(2), "\x85Ra"), size / 2 / 14),
  );
/** Integers whose lower 64 bits are equal have one hash. */
const collidingLongs = (size: number): Uint8Array =>
  bytesOf(
    "}",
    each(size / 18, (i) => bytesOf("\x8a\x0d", le(0, 8), le(i + 1, 5), "Ns")),
  );
const manyNumbers = (size: number, step: number): Uint8Array =>
  bytesOf(
    "}",
    each(size / 7, (i) => bytesOf(int((i * step) % 2 ** 31), "Ns")),
  );
const sparseMemo = (size: number, step: number): Uint8Array =>
  bytesOf(
    "N",
    each(size / 5, (i) => put((i * step) % 2 ** 32)),
  );
const longIntegers = (size: number): Uint8Array =>
  bytesOf("]", repeat(bytesOf("\x8b", le(64, 4), new Uint8Array(64).fill(0x5a), "a"), size / 70));
const nestedLists = (size: number): Uint8Array =>
  bytesOf(
    repeat(bytesOf("]"), Math.min(size / 2, 60_000)),
    repeat(bytesOf("a"), Math.min(size / 2, 60_000) - 1),
  );
const nestedTuples = (size: number): Uint8Array => bytesOf("N", repeat(bytesOf("\x85"), size));
const laughs = (size: number): Uint8Array =>
  bytesOf(
    "]",
    put(0),
    each(size / 60, (i) => bytesOf("](", repeat(get(i), 8), "e", put(i + 1))),
  );
const nestedDicts = (size: number): Uint8Array =>
  bytesOf(
    "}",
    put(0),
    each(size / 60, (i) =>
      bytesOf("}(", text("a"), get(i), text("b"), get(i), text("model"), get(i), "u", put(i + 1)),
    ),
  );
const markers = (size: number): Uint8Array => bytesOf("N", repeat(bytesOf("(1"), size / 2));
const duplicates = (size: number): Uint8Array => bytesOf("N", repeat(bytesOf("2222222200000000"), size / 16));
const manyKeys = (size: number): Uint8Array =>
  bytesOf(
    "}",
    batches(size / 16, (i) => bytesOf(text(`key ${i}`), "N"), "u"),
  );
const manyTexts = (size: number): Uint8Array =>
  bytesOf("]", repeat(bytesOf(text("é".repeat(255)), "a"), size / 516));
const escapes = (size: number): Uint8Array =>
  bytesOf("]", repeat(bytesOf("S'", "\\x41".repeat(120), "'\na"), size / 485));
const states = (size: number): Uint8Array =>
  bytesOf(
    "cnumpy.core.multiarray\n_reconstruct\n)R]",
    batches(size / 4, () => bytesOf("N"), "e"),
    put(0),
    "0",
    repeat(bytesOf(get(0), "b"), size / 8),
  );
const settings = (size: number): Uint8Array =>
  bytesOf(
    "cyacs.config\nCfgNode\n",
    put(0),
    "0]",
    batches(size / 4, () => bytesOf("N"), "e"),
    put(1),
    "0]",
    repeat(bytesOf(get(0), get(1), "\x85Ra"), size / 2 / 14),
  );
/** One array of text by many names. */
const arraysOfText = (size: number): Uint8Array =>
  bytesOf(
    "}cnumpy.core.multiarray\n_reconstruct\n)R(K\x01",
    int(size >> 2),
    "\x85cnumpy\ndtype\nX\x02\0\0\0u1\x85R\x89",
    "X",
    le(size >> 2, 4),
    new Uint8Array(size >> 2).fill(0x41),
    "tb",
    put(0),
    "0",
    batches(size / 40, (i) => bytesOf(text(`${i}`), get(0)), "u"),
  );

const PICKLES = {
  dictsOfList,
  dictsOfDict,
  collidingLongs,
  sparseMemo,
  manyNumbers,
  longIntegers,
  nestedLists,
  nestedTuples,
  laughs,
  nestedDicts,
  markers,
  duplicates,
  manyKeys,
  manyTexts,
  escapes,
  states,
  settings,
  arraysOfText,
} as const;

// --- files of torch

const MAGIC = bytesOf(
  "\x80\x02\x8a\x0a",
  [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19],
  ".\x80\x02M\xe9\x03.\x80\x02}X\x0d\0\0\0little_endian\x88s.",
);
const storage = (key: string, values: number, type = "FloatStorage"): Uint8Array =>
  bytesOf("(", text("storage"), `ctorch\n${type}\n`, text(key), text("cpu"), int(values), "tQ");
const tensor = (
  of: Uint8Array,
  offset: number,
  shape: readonly number[],
  strides: readonly number[],
): Uint8Array =>
  bytesOf(
    "ctorch._utils\n_rebuild_tensor_v2\n(",
    of,
    int(offset),
    "(",
    ...shape.map(int),
    "t(",
    ...strides.map(int),
    "t\x89}tR",
  );

/** A legacy file of one storage; `pad` bytes of a text decide whether it lies aligned. */
export function legacyFile(
  root: Uint8Array,
  values: number,
  { bytesPerValue = 4, pad = 0 } = {},
): Uint8Array {
  return bytesOf(
    MAGIC,
    "\x80\x02",
    text("p".repeat(pad)),
    "0",
    root,
    ".\x80\x02]",
    text("0"),
    "a.",
    le(values, 8),
    new Uint8Array(values * bytesPerValue),
  );
}

/** A zip archive of stored entries. */
export function zipFile(entries: readonly (readonly [name: string, data: Uint8Array])[]): Uint8Array {
  const locals: Uint8Array[] = [];
  const centrals: Uint8Array[] = [];
  let at = 0;
  for (const [name, data] of entries) {
    const sizes = bytesOf(le(crc32(data), 4), le(data.length, 4), le(data.length, 4), le(name.length, 2));
    locals.push(bytesOf("PK\x03\x04", le(0, 10), sizes, le(0, 2), name, data));
    centrals.push(bytesOf("PK\x01\x02", le(0, 12), sizes, le(0, 12), le(at, 4), name));
    at += locals.at(-1)!.length;
  }
  const size = centrals.reduce((sum, { length }) => sum + length, 0);
  return bytesOf(
    Buffer.concat(locals),
    Buffer.concat(centrals),
    "PK\x05\x06",
    le(0, 4),
    le(entries.length, 2),
    le(entries.length, 2),
    le(size, 4),
    le(at, 4),
    le(0, 2),
  );
}

const named = (count: number, make: (i: number) => Uint8Array): Uint8Array =>
  bytesOf(
    "}",
    batches(count, (i) => bytesOf(text(`t${i}`), make(i)), "u"),
  );

/** Many tensors of two values each, the first and the last of one storage that lies unaligned. */
export function farStrides(size: number, pad: number): Uint8Array {
  const values = Math.floor(size / 8);
  const shared = bytesOf(storage("0", values), put(0), "0");
  return legacyFile(
    bytesOf(
      shared,
      named(Math.min(size / 2 / 100, 5000), () => tensor(get(0), 0, [2], [values - 1])),
    ),
    values,
    { pad },
  );
}

const TORCH: Readonly<Record<string, (size: number, random: Random) => Uint8Array>> = {
  farStrides: (size, random) => farStrides(size, random.int(8)),
  aliases: (size) =>
    legacyFile(
      bytesOf(
        storage("0", size >> 3),
        put(0),
        "0",
        named(size / 200, () => tensor(get(0), 0, [size >> 3], [1])),
      ),
      size >> 3,
    ),
  someAliases: (size, random) =>
    legacyFile(
      bytesOf(
        storage("0", size >> 3),
        put(0),
        "0",
        named(1 + random.int(9), () => tensor(get(0), 0, [size >> 3], [1])),
      ),
      size >> 3,
      { pad: random.int(8) },
    ),
  broadcast: (size, random) =>
    legacyFile(
      named(4, () => tensor(storage("0", 4), 0, [1 << random.int(31), 1 + random.int(1000)], [0, 0])),
      4,
      { pad: size >> 1 },
    ),
  empty: (size) =>
    legacyFile(
      bytesOf(
        storage("0", 4),
        put(0),
        "0",
        named(size / 100, () => tensor(get(0), 0, [0], [1])),
      ),
      4,
    ),
  ranks: (size, random) =>
    legacyFile(
      bytesOf(
        storage("0", size >> 3),
        put(0),
        "0",
        named(3, () =>
          tensor(
            get(0),
            0,
            [...Array.from({ length: random.int(34) }, () => 1), size >> 3],
            [...Array.from({ length: random.int(34) }, () => 1), 1],
          ),
        ),
      ),
      size >> 3,
      { pad: random.int(8) },
    ),
  turned: (size, random) =>
    legacyFile(
      named(1, () =>
        tensor(
          storage("0", (size >> 6) * 8),
          0,
          [8, size >> 6, ...Array.from({ length: 20 }, () => 1)],
          [1, 8, ...Array.from({ length: 20 }, () => random.int(1000))],
        ),
      ),
      (size >> 6) * 8,
      { pad: random.int(8) },
    ),
  claims: (size, random) =>
    legacyFile(
      named(1, () => tensor(storage("0", 2 ** 31 - 1 - random.int(1000)), 0, [1 << random.int(30)], [1])),
      size >> 3,
    ),
  storages: (size) =>
    legacyFile(
      named(size / 150, (i) => tensor(storage(String(i), 0), 0, [0], [1])),
      0,
    ),
  entries: (size) =>
    zipFile([
      ["a/data.pkl", bytesOf("\x80\x02}.")],
      ...Array.from(
        { length: Math.min(60_000, size / 120) },
        (_, i) => [`a/data/${i}`, new Uint8Array(0)] as const,
      ),
    ]),
  zipped: (size, random) => {
    const file = zipFile([
      [
        "a/data.pkl",
        bytesOf(
          "\x80\x02",
          named(20, (i) => tensor(storage(String(i), size >> 8), 0, [size >> 8], [1])),
          ".",
        ),
      ],
      ...Array.from({ length: 20 }, (_, i) => [`a/data/${i}`, new Uint8Array((size >> 8) * 4)] as const),
    ]);
    // Sizes and positions of its directory.
    for (let times = random.int(6); times > 0; times--)
      file[file.length - 1 - random.int(1400)] = random.int(256);
    return file;
  },
};

// --- HDF5, the later version of its groups

const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];
const message = (type: number, data: Uint8Array): Uint8Array =>
  bytesOf([type], le(data.length, 2), [0], data);
const header = (...messages: Uint8Array[]): Uint8Array =>
  bytesOf(
    "OHDR\x02\x02",
    le(
      messages.reduce((sum, { length }) => sum + length, 0),
      4,
    ),
    ...messages,
  );
const link = (name: string, to: number): Uint8Array =>
  message(6, bytesOf([1, 1], le(name.length, 2), name, le(to, 8)));
const values = (shape: readonly (number | bigint)[], at: number, length: number): Uint8Array =>
  header(
    message(1, bytesOf([2, shape.length, 0, 1], ...shape.map((size) => le(size, 8)))),
    message(3, bytesOf([0x11, 0x20, 31, 0], le(4, 4), le(0, 2), le(32, 2), [23, 8, 0, 23], le(127, 4))),
    message(8, bytesOf([3, 1], le(at, 8), le(length, 8))),
  );
/** A file that begins with its root at byte 48. */
const h5 = (...parts: Uint8Array[]): Uint8Array => {
  const length = 48 + parts.reduce((sum, part) => sum + part.length, 0);
  return bytesOf(
    SIGNATURE,
    [2, 8, 8, 0],
    le(0, 8),
    le(0xffffffffffffffffn, 8),
    le(length, 8),
    le(48, 8),
    le(0, 4),
    ...parts,
  );
};

/** Groups in groups whose names take a thousand bytes each, and as many data sets as there is room for in those in the last. */
export function longPaths(size: number, depth = 14): Uint8Array {
  const name = "g".repeat(1000);
  const one = header(link(name, 0)).length;
  const groups = Array.from({ length: depth }, (_, i) => header(link(name, 48 + (i + 1) * one)));
  const dataset = values([0], 0, 0);
  const count = Math.floor((size - depth * one) / 100);
  // No group has more members than HDF5 writes.
  const most = 60_000;
  const folders = Math.ceil(count / most);
  const member = link("000000", 0).length;
  const folderBegin = 48 + depth * one + header().length + folders * member;
  const folderAt = (i: number): number => folderBegin + i * header().length + i * most * member;
  const setsBegin = folderAt(folders - 1) + header().length + (count - (folders - 1) * most) * member;
  const last = header(each(folders, (i) => link(String(i).padStart(6, "0"), folderAt(i))));
  const members = each(folders, (i) =>
    header(
      each(Math.min(most, count - i * most), (k) =>
        link(String(k).padStart(6, "0"), setsBegin + (i * most + k) * dataset.length),
      ),
    ),
  );
  return h5(...groups, last, members, repeat(dataset, count));
}

const HDF5: Readonly<Record<string, (size: number, random: Random) => Uint8Array>> = {
  longPaths: (size, random) => longPaths(size, 1 + random.int(15)),
  manySets: (size) => longPaths(size, 0),
  loops: (size) => h5(header(each(size / 20, (i) => link(`${i}`, 48 + ((i * 7) % (size >> 1)))))),
  aliased: (size, random) => {
    const count = 1 + random.int(200);
    const data = size >> 1;
    const rootLength = header(...Array.from({ length: count }, () => link("000", 0))).length;
    const one = values([0, 0], 0, 0).length;
    const begin = 48 + rootLength + count * one;
    return h5(
      header(
        ...Array.from({ length: count }, (_, i) =>
          link(String(i).padStart(3, "0"), 48 + rootLength + i * one),
        ),
      ),
      ...Array.from({ length: count }, () => values([data >> 4, 4], begin + random.int(4), data)),
      new Uint8Array(data + 8),
    );
  },
  claims: (size, random) => {
    const root = header(link("a", 48 + header(link("a", 0)).length));
    return h5(
      root,
      values(
        [1n << BigInt(random.int(64)), 1n << BigInt(random.int(40))],
        random.int(size),
        random.int(2 ** 31),
      ),
      new Uint8Array(size >> 1),
    );
  },
};

// --- safetensors

const safetensors = (json: string, data: number, declared = Buffer.byteLength(json)): Uint8Array =>
  bytesOf(le(declared, 8), new TextEncoder().encode(json), new Uint8Array(data));
const WILD = [
  "0",
  "-1",
  "1e3",
  "1.5",
  "1e308",
  "9007199254740993",
  "null",
  '"4"',
  "[]",
  "{}",
  "4294967296",
  "true",
  "1e-7",
];
const SAFETENSORS: Readonly<Record<string, (size: number, random: Random) => Uint8Array>> = {
  wild: (size, random) => {
    const one = (): string => WILD[random.int(WILD.length)]!;
    const dtype = ['"F32"', '"f32"', '"F8_E4M3"', "7", "null", '"I64"', '"BF16"'][random.int(7)]!;
    const control = ["a", "a\\u001b[2J", "__proto__", "constructor", "\\u202e", ""][random.int(6)]!;
    return safetensors(
      `{"${control}":{"dtype":${dtype},"shape":[${one()},${one()}],"data_offsets":[${one()},${one()}]},"b":{"dtype":"F32","shape":[${one()}],"data_offsets":[0,${random.int(64)}]}}`,
      random.int(Math.min(size, 64)),
    );
  },
  ranks: (size) =>
    safetensors(
      `{"a":{"dtype":"F32","shape":[1${",1".repeat(Math.min(size, 1 << 20) / 2 - 60)}],"data_offsets":[0,4]}}`,
      4,
    ),
  brackets: (size) => safetensors(`{"a":${"[".repeat(size / 2)}${"]".repeat(size / 2)}}`, 4),
  manyEmpty: (size) =>
    safetensors(
      `{${Array.from({ length: Math.min(size, 1 << 20) / 65 }, (_, i) => `"${i}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`).join()}}`,
      0,
    ),
  longNames: (size) =>
    safetensors(
      `{"${"n".repeat(Math.min(size, 1 << 20) - 100)}":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`,
      4,
    ),
  overlapping: (size) =>
    safetensors(
      `{${Array.from({ length: Math.min(size, 1 << 20) / 70 }, (_, i) => `"${i}":{"dtype":"U8","shape":[${size}],"data_offsets":[0,${size}]}`).join()}}`,
      size,
    ),
  lengths: (size, random) => safetensors("{}", size >> 1, 2 ** random.int(53)),
  metadata: (size) =>
    safetensors(
      `{"__metadata__":{${Array.from({ length: Math.min(size, 1 << 20) / 30 }, (_, i) => `"k${i}":"${"v".repeat(i % 20)}"`).join()}}}`,
      0,
    ),
  noText: (size) => bytesOf(le(size >> 1, 8), "{", new Uint8Array(size).fill(0xff)),
};

/** Makers by "format/kind". */
export const HOSTILE: ReadonlyMap<string, (size: number, random: Random) => Uint8Array> = new Map([
  ...Object.entries(PICKLES).flatMap(([kind, make]) => {
    const value = (size: number, random: Random): Uint8Array => make(size, 1 << (10 + random.int(12)));
    return [
      [
        `pickle/${kind}`,
        (size: number, random: Random) => bytesOf("\x80\x02", value(size, random), "."),
      ] as const,
      [`legacy/${kind}`, (size: number, random: Random) => legacyFile(value(size, random), 1)] as const,
      [
        `zip/${kind}`,
        (size: number, random: Random) =>
          zipFile([["a/data.pkl", bytesOf("\x80\x02", value(size, random), ".")]]),
      ] as const,
    ];
  }),
  ...Object.entries(TORCH).map(([kind, make]) => [`torch/${kind}`, make] as const),
  ...Object.entries(HDF5).map(([kind, make]) => [`hdf5/${kind}`, make] as const),
  ...Object.entries(SAFETENSORS).map(([kind, make]) => [`safetensors/${kind}`, make] as const),
]);
