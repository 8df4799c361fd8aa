// Damaged files: each reader is given 10,000 of them, made from real ones by a seed. It must answer or throw a
// WeightsError that names the file: no other error, no crash, no hang (the test would run into its time limit), no memory beyond the
// file's size. FUZZ_FILES in the environment gives another number, FUZZ_SEED other files.
import { createRandom } from "@mrcnn/core";
import type { NamedArrays, Random } from "@mrcnn/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readDetectronPickle } from "../src/detectron-pickle.ts";
import { readKerasWeights } from "../src/keras-weights.ts";
import { readWeights } from "../src/read-weights.ts";
import { readSafetensors, writeSafetensors } from "../src/safetensors.ts";
import { readTorchCheckpoint } from "../src/torch-checkpoint.ts";
import { crc32 } from "../src/zip.ts";
import {
  decode,
  inflate,
  kerasFixture,
  matterportFixture,
  modelWeights,
  numpyFixtures,
  pickled,
  safetensorsFile,
  torchFixtures,
} from "./fixtures.ts";

const FILES = Number(process.env["FUZZ_FILES"] ?? 10_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);

const zips = torchFixtures.flatMap(({ files }) => ["zip", "model"].map((kind) => decode(files[kind]!)));
const legacies = torchFixtures.flatMap(({ files, legacyTraining }) => [
  decode(files["legacy"]!),
  decode(legacyTraining),
]);
const pickles = numpyFixtures.flatMap(({ files }) => Object.values(files).map(decode));
const h5s = ["few", "whole", "userblock", "latest", "v110", "dtypes", "gzip", "dense"].map((kind) =>
  inflate(kerasFixture.files[kind]!),
);

const models = [
  inflate(matterportFixture.file),
  writeSafetensors(modelWeights("torchvision", "mask_v2")),
  pickled("model", modelWeights("detectron2", "mask")),
  pickled("model", modelWeights("detectron2", "gn")),
];

/** Values that sizes and positions are damaged with. */
const EXTREMES = [
  0n,
  1n,
  0x7fn,
  0xffn,
  0x7fffn,
  0xffffn,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  1n << 40n,
  (1n << 53n) - 1n,
  (1n << 63n) - 1n,
  (1n << 64n) - 1n,
];

/** Places where a change matters more often than not: near the ends, where headers and directories are. */
function place(random: Random, length: number): number {
  const kind = random.int(4);
  const near = Math.min(length, 400);
  return (
    kind === 0 ? random.int(near)
    : kind === 1 ? length - 1 - random.int(near)
    : random.int(length)
  );
}

function mutate(random: Random, seeds: readonly Uint8Array[]): Uint8Array {
  let file = seeds[random.int(seeds.length)]!.slice();
  for (let times = 1 + random.int(4); times > 0 && file.length > 0; times--) {
    const at = place(random, file.length);
    const view = new DataView(file.buffer);
    switch (random.int(8)) {
      case 0:
        file[at]! ^= 1 << random.int(8);
        break;
      case 1:
        file[at] = random.int(256);
        break;
      case 2: // a size
        for (
          let width = [1, 2, 4, 8][random.int(4)]!, value = EXTREMES[random.int(EXTREMES.length)]!, i = 0;
          i < width && at + i < file.length;
          i++
        ) {
          view.setUint8(at + i, Number((value >> BigInt(8 * i)) & 0xffn));
        }
        break;
      case 3: // a number of a header of text
        for (let i = at; i < Math.min(at + 40, file.length); i++)
          if (file[i]! >= 0x30 && file[i]! <= 0x39) file[i] = 0x30 + random.int(10);
        break;
      case 4: // a cut, seldom: whatever follows is lost
        if (random.int(4) === 0) file = file.slice(0, at);
        break;
      case 5: {
        // a piece of another file
        const other = seeds[random.int(seeds.length)]!;
        const from = place(random, other.length);
        const piece = other.subarray(from, from + 1 + random.int(64)).subarray(0, file.length - at);
        file.set(piece, at);
        break;
      }
      case 6: {
        // bytes put in
        const piece = Uint8Array.from({ length: 1 + random.int(16) }, () => random.int(256));
        const grown = new Uint8Array(file.length + piece.length);
        grown.set(file.subarray(0, at));
        grown.set(piece, at);
        grown.set(file.subarray(at), at + piece.length);
        file = grown;
        break;
      }
      case 7: {
        // a piece of its own elsewhere
        const from = place(random, file.length);
        file.copyWithin(at, from, from + 1 + random.int(64));
        break;
      }
    }
  }
  return file;
}

/** Archives with the checksums that their damaged entries have: else no damage would get past those. */
function withChecksums(file: Uint8Array): Uint8Array {
  const view = new DataView(file.buffer);
  for (let at = 0; at + 46 <= file.length; at++) {
    if (view.getUint32(at, true) !== 0x02014b50) continue;
    const header = view.getUint32(at + 42, true);
    if (header + 30 > file.length) continue;
    const begin = header + 30 + view.getUint16(header + 26, true) + view.getUint16(header + 28, true);
    view.setUint32(at + 16, crc32(file.subarray(begin, begin + view.getUint32(at + 24, true))), true);
  }
  return file;
}

// Every typed array that a reader makes is counted, touched or not: what the operating system reports leaves out
// memory that was claimed but not yet written to.
let allocated = 0;
const constructors = [
  "Float64Array",
  "Float32Array",
  "BigInt64Array",
  "Int32Array",
  "Uint32Array",
  "Int16Array",
  "Uint16Array",
  "Int8Array",
  "Uint8Array",
] as const;
const globals = globalThis as unknown as Record<string, Uint8ArrayConstructor>;
const originals = constructors.map((name) => globals[name]!);

beforeAll(() => {
  for (const [i, name] of constructors.entries()) {
    globals[name] = new Proxy(originals[i]!, {
      construct(target, args: [unknown], newTarget) {
        const made = Reflect.construct(target, args, newTarget) as Uint8Array;
        if (!(args[0] instanceof ArrayBuffer)) allocated += made.byteLength;
        return made;
      },
    });
  }
});
afterAll(() => {
  for (const [i, name] of constructors.entries()) globals[name] = originals[i]!;
});

const readers: [
  string,
  readonly Uint8Array[],
  (file: Uint8Array) => NamedArrays | Promise<NamedArrays>,
  number,
][] = [
  ["readSafetensors", [safetensorsFile], (file) => readSafetensors(file, "w"), 6],
  ["readTorchCheckpoint, archives", zips, (file) => readTorchCheckpoint(file, "w"), 6],
  ["readTorchCheckpoint, legacy", legacies, (file) => readTorchCheckpoint(file, "w"), 6],
  ["readDetectronPickle", pickles, (file) => readDetectronPickle(file, "w"), 6],
  ["readKerasWeights", h5s, (file) => readKerasWeights(file, "w"), 6],
  [
    "readWeights",
    [...zips, ...legacies, ...pickles, ...h5s, safetensorsFile],
    async (file) => (await readWeights(file, "w")).arrays,
    10,
  ],
  ["readWeights, whole models", models, async (file) => (await readWeights(file, "w")).arrays, 10],
];

describe.each(readers)("%s", (name, seeds, read, times) => {
  it(`answers or throws a WeightsError for each of ${FILES} damaged files`, async () => {
    const random = createRandom(SEED).fork(name.length + seeds.length * 100);
    let answers = 0;
    for (let i = 0; i < FILES; i++) {
      const mutated = mutate(random, seeds);
      const file = mutated[0] === 0x50 && random.int(8) > 0 ? withChecksums(mutated) : mutated;
      const length = file.length;
      allocated = 0;
      let arrays: NamedArrays | undefined;
      try {
        arrays = await read(file);
      } catch (error) {
        if ((error as { code?: unknown }).code !== "weights" || !(error as Error).message.startsWith("w: "))
          throw new Error(`file ${i} of seed ${SEED}: ${String(error)}`, { cause: error });
      }
      // A copy of what isn't aligned, then four bytes of each of int8; readWeights moves those again. And small change.
      if (allocated > times * length + 4096)
        throw new Error(`file ${i} of seed ${SEED}: ${allocated} bytes were made of ${length}`);
      if (arrays === undefined) continue;
      answers++;
      let total = 0;
      for (const [tensor, { shape, data }] of arrays) {
        total += data.byteLength;
        if (shape.reduce((a, b) => a * b, 1) !== data.length)
          throw new Error(
            `file ${i} of seed ${SEED}: ${tensor} [${shape.join(", ")}] has ${data.length} values`,
          );
      }
      if (total > 4 * length)
        throw new Error(`file ${i} of seed ${SEED}: ${total} bytes were read of ${length}`);
    }
    // Files damaged beyond all reading would prove little.
    if (name !== "readWeights") expect(answers).toBeGreaterThan(FILES / 100);
  });
});
