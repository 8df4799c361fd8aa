import type { HostArray } from "@mrcnn/core";
import { describe, expect, it } from "vitest";
import {
  dequantize,
  quantize,
  readSafetensors,
  readSafetensorsMetadata,
  readShards,
  writeSafetensors,
  writeShards,
} from "../src/index.ts";

const array = (length: number, value: number): HostArray => ({
  shape: [length],
  data: new Float32Array(length).fill(value),
});
const arrays = new Map<string, HostArray>([
  ["c", array(10, 3)],
  ["a", array(20, 1)],
  ["d", array(100, 4)],
  ["b", array(20, 2)],
  ["e", array(1, 5)],
]);
const metadata = { format: "mrcnn", model: "m" };
const written = writeShards(arrays, 200, { metadata });
const read = (
  index: unknown = written.index,
  change: (file: string, bytes: Uint8Array) => Uint8Array | undefined = (_, bytes) => bytes,
): ReturnType<typeof readShards> =>
  readShards(
    index,
    async (file) => {
      const bytes = written.shards.find((shard) => shard.file === file)?.bytes;
      const changed = bytes && change(file, bytes);
      if (changed === undefined) throw new Error("no such file");
      return changed;
    },
    "model.safetensors.index.json",
  );
const file = (n: number): string => `model-0000${n}-of-00003.safetensors`;

describe("writeShards", () => {
  it("fills shards in the order of names, never above the size but for a single larger tensor", () => {
    expect(
      written.shards.map((shard) => [shard.file, [...readSafetensors(shard.bytes, shard.file).keys()]]),
    ).toEqual([
      [file(1), ["a", "b", "c"]],
      [file(2), ["d"]],
      [file(3), ["e"]],
    ]);
    expect(written.index).toEqual({
      metadata: { total_size: 4 * 151 },
      weight_map: { a: file(1), b: file(1), c: file(1), d: file(2), e: file(3) },
    });
    expect(readSafetensorsMetadata(written.shards[1]!.bytes, "")).toEqual(metadata);
  });
  it("names files as told, and writes one where all fits", () => {
    expect(writeShards(arrays, 1e9, { name: "my.model" }).shards.map((shard) => shard.file)).toEqual([
      "my.model-00001-of-00001.safetensors",
    ]);
  });
  it("refuses a size that is none", () =>
    expect(() => writeShards(arrays, 0)).toThrow("writeShards: maxBytes must be above 0, got 0."));
});

describe("readShards", () => {
  it("reads what was written", async () => {
    expect(await read()).toEqual({ arrays: new Map([...arrays].toSorted()), metadata });
  });
  it("reads int8 with its scales, wherever they went", async () => {
    const weights = new Map([
      ["w", { shape: [64, 64], data: Float32Array.from({ length: 4096 }, (_, i) => Math.sin(i)) }],
    ]);
    const stored = quantize(weights, "int8");
    const { index, shards } = writeShards(stored, 4096, { metadata: { format: "mrcnn" } });
    expect(shards.length).toBe(2);
    const back = await readShards(
      index,
      async (name) => shards.find((shard) => shard.file === name)!.bytes,
      "i",
    );
    expect(back.arrays).toEqual(dequantize(readSafetensors(writeSafetensors(stored), "one")));
  });
  it("reads an index of another writer, without sizes", async () => {
    expect((await read({ weight_map: written.index.weight_map })).arrays.size).toBe(5);
  });

  const indexed = (map: Record<string, string>): unknown => ({
    ...written.index,
    weight_map: { ...written.index.weight_map, ...map },
  });
  const holding = (...names: string[]): Uint8Array =>
    writeSafetensors(new Map(names.map((name) => [name, arrays.get(name) ?? array(1, 0)])));
  it.each<[string, unknown, ((f: string, b: Uint8Array) => Uint8Array | undefined) | undefined, string]>([
    [
      "a missing shard",
      undefined,
      (f, b) => (f === file(2) ? undefined : b),
      `the shard ${file(2)} can't be read: no such file. All shards must lie beside the index.`,
    ],
    [
      "a tensor in two shards",
      undefined,
      (f, b) => (f === file(2) ? holding("a", "d") : b),
      `tensor a must be in one shard, got it in ${file(1)} and ${file(2)}.`,
    ],
    [
      "a tensor in none",
      indexed({ z: file(3) }),
      undefined,
      `tensor z must be in ${file(3)}, but is in no shard.`,
    ],
    [
      "a tensor in another shard",
      indexed({ c: file(2) }),
      undefined,
      `tensor c is in ${file(1)}, but the index says ${file(2)}.`,
    ],
    [
      "a tensor that is not listed",
      undefined,
      (f, b) => (f === file(3) ? holding("e", "q") : b),
      `tensor q is in ${file(3)}, but the index doesn't list it.`,
    ],
    [
      "a shard that is cut",
      undefined,
      (f, b) => (f === file(2) ? b.subarray(0, 300) : b),
      `shard ${file(2)}: tensor d: should end at byte`,
    ],
    [
      "sizes that differ",
      { ...written.index, metadata: { total_size: 600 } },
      undefined,
      "the index says that all tensors take 600 bytes, but they take 604.",
    ],
    [
      "a path out of the folder",
      indexed({ a: "../secret.safetensors" }),
      undefined,
      'tensor a: must name a file beside the index, got "../secret.safetensors".',
    ],
    [
      "an absolute path",
      indexed({ a: "/etc/passwd" }),
      undefined,
      'tensor a: must name a file beside the index, got "/etc/passwd".',
    ],
    [
      "a file that is no text",
      indexed({ a: 3 as unknown as string }),
      undefined,
      "tensor a: must name a file beside the index, got 3.",
    ],
    ["no index", [], undefined, "there is no weight_map of tensors to files."],
    ["an empty index", { weight_map: {} }, undefined, "the weight_map is empty."],
    [
      "a total that is no size",
      { ...written.index, metadata: { total_size: "1" } },
      undefined,
      'total_size must be a number of bytes, got "1".',
    ],
  ])("refuses %s", async (_, index, change, message) => {
    await expect(read(index ?? written.index, change)).rejects.toMatchObject({
      code: "weights",
      message: expect.stringContaining(`model.safetensors.index.json: ${message}`),
    });
  });
});
