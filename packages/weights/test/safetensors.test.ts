import { createRandom } from "@mrcnn/core";
import type { HostArray } from "@mrcnn/core";
import { golden } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";
import { readSafetensors, readSafetensorsMetadata, writeSafetensors } from "../src/safetensors.ts";

const fixture = golden<{
  base64: string;
  metadata: Record<string, string>;
  tensors: Record<string, { shape: number[]; values: (number | "Infinity")[] }>;
}>(import.meta.url, "safetensors");
const reference = new Uint8Array(Buffer.from(fixture.base64, "base64"));

/** A file of the format with any header at all. */
function file(header: unknown, data = new Uint8Array(0)): Uint8Array {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setUint32(0, text.length, true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
}

describe("readSafetensors", () => {
  it("reads what the reference implementation wrote, every dtype", () => {
    const arrays = readSafetensors(reference, "ref.safetensors");
    expect([...arrays.keys()].toSorted()).toEqual(Object.keys(fixture.tensors).toSorted());
    for (const [name, { shape, values }] of Object.entries(fixture.tensors)) {
      const array = arrays.get(name)!;
      expect(array.shape, name).toEqual(shape);
      expect([...array.data], name).toEqual(values.map(Number));
    }
    expect(arrays.get("f16")!.data).toBeInstanceOf(Float32Array);
    expect(arrays.get("i64")!.data).toBeInstanceOf(Int32Array);
    expect(arrays.get("bool")!.data).toBeInstanceOf(Uint8Array);
    expect(readSafetensorsMetadata(reference, "ref")).toEqual(fixture.metadata);
  });

  it("reads from the middle of a buffer, where tensors are not aligned", () => {
    const shifted = new Uint8Array(reference.length + 3);
    shifted.set(reference, 3);
    expect(readSafetensors(shifted.subarray(3), "ref")).toEqual(readSafetensors(reference, "ref"));
  });

  const f32 = (begin: number, end: number, shape = [1]): object => ({
    dtype: "F32",
    shape,
    data_offsets: [begin, end],
  });
  const refused: [string, Uint8Array, string][] = [
    ["an empty file", new Uint8Array(0), "w: a file of 0 bytes is shorter than the header's length."],
    [
      "a header longer than the file",
      file("{}").subarray(0, 9),
      "w: the header should end at byte 10, but the file ends at 9.",
    ],
    [
      "an absurd header length",
      new Uint8Array(16).fill(255),
      "w: the header must be at most 100000000 bytes, got 18446744073709551615.",
    ],
    [
      "a header out of proportion",
      file(`{"a":"${"x".repeat(1 << 21)}"}`),
      "w: a header of 2097160 bytes is out of proportion to a file of 2097168.",
    ],
    [
      "a header nested deeper than any",
      file("[".repeat(100_000)),
      "w: the header is nested deeper than that of any tensor.",
    ],
    [
      "a dtype that is no string",
      file({ a: { dtype: { toString: 1 }, shape: [], data_offsets: [0, 0] } }),
      "w: tensor a: dtype must be one of",
    ],
    ["a header that is not JSON", file("{oh"), "w: the header is not JSON."],
    [
      "a header that is not UTF-8",
      file("{}").map((v, i) => (i === 8 ? 0xff : v)),
      "w: the header is not JSON.",
    ],
    ["a list for a header", file([]), "w: the header is not a JSON object."],
    [
      "an unknown dtype",
      file({ a: { dtype: "F8", shape: [], data_offsets: [0, 1] } }, new Uint8Array(1)),
      "w: tensor a: dtype must be one of",
    ],
    ["a tensor that is null", file({ a: null }), "w: tensor a: dtype must be one of"],
    ["a negative size", file({ a: f32(0, 4, [-1]) }), "w: tensor a: shape must be sizes, got [-1]."],
    [
      "a huge size",
      file({ a: f32(0, 4, [2 ** 40, 2 ** 40]) }),
      "tensor a: F32 [1099511627776, 1099511627776] takes",
    ],
    [
      "offsets that are not two",
      file({ a: { dtype: "F32", shape: [1], data_offsets: [0] } }),
      "w: tensor a: data_offsets must be two positions, got [0].",
    ],
    [
      "offsets of another length",
      file({ a: f32(0, 8) }, new Uint8Array(8)),
      "w: tensor a: F32 [1] takes 4 bytes, but its offsets are 0 to 8.",
    ],
    [
      "overlapping tensors",
      file({ a: f32(0, 4), b: f32(0, 4) }, new Uint8Array(4)),
      "w: tensor b: begins at byte",
    ],
    ["a gap between tensors", file({ a: f32(4, 8) }, new Uint8Array(8)), "w: tensor a: begins at byte"],
    ["bytes after the last tensor", file({ a: f32(0, 4) }, new Uint8Array(5)), "w: the tensors end at byte"],
    [
      "metadata that is no text",
      file({ __metadata__: { a: 1 } }),
      "w: __metadata__ must map strings to strings.",
    ],
    [
      "an int64 too large",
      file({ a: { dtype: "I64", shape: [1], data_offsets: [0, 8] } }, new Uint8Array(8).fill(64)),
      "w: tensor a: value 0 must fit int32, got 4629771061636907072.",
    ],
  ];
  for (const [what, bytes, message] of refused) {
    it(`refuses ${what}`, () => {
      expect(() => readSafetensors(bytes, "w")).toThrow(message);
      expect(() => readSafetensors(bytes, "w")).toThrow(expect.objectContaining({ code: "weights" }));
    });
  }

  it("refuses a file cut anywhere, naming the tensor or the header", () => {
    for (let length = 0; length < reference.length; length++) {
      expect(() => readSafetensors(reference.subarray(0, length), "cut"), `cut at ${length}`).toThrow(
        /^cut: .*(tensor|header)/,
      );
    }
  });

  it("throws only its own error whatever byte of the header is flipped", () => {
    const random = createRandom(5);
    for (let i = 0; i < 500; i++) {
      const bytes = reference.slice();
      bytes[random.int(700)]! ^= 1 << random.int(8);
      try {
        readSafetensors(bytes, "flipped");
      } catch (error) {
        expect(error).toMatchObject({ code: "weights" });
      }
    }
  });
});

describe("writeSafetensors", () => {
  const arrays = new Map<string, HostArray>([
    ["mask", { shape: [3], data: new Uint8Array([1, 0, 2]) }],
    ["b.weight", { shape: [1, 2], data: new Float32Array([1.5, -0]) }],
    ["a.step", { shape: [], data: new Int32Array([7]) }],
    ["none", { shape: [0], data: new Float32Array(0) }],
  ]);

  it("writes what it reads, with metadata", () => {
    const bytes = writeSafetensors(arrays, { step: "7", ümlaut: "ß" });
    const back = readSafetensors(bytes, "back");
    expect(new Map([...back].toSorted())).toEqual(new Map([...arrays].toSorted()));
    expect(readSafetensorsMetadata(bytes, "back")).toEqual({ step: "7", ümlaut: "ß" });
  });

  it("lays the file out as the format says", () => {
    const bytes = writeSafetensors(new Map([["a", { shape: [2], data: new Int32Array([1, 256]) }]]));
    const header = '{"a":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}}  ';
    expect(header.length % 8).toBe(0);
    const text = new TextDecoder("latin1").decode(bytes);
    expect(text).toBe(`\x38\0\0\0\0\0\0\0${header}\x01\0\0\0\0\x01\0\0`);
  });

  it("gives the same bytes whatever the order of insertion", () => {
    expect(writeSafetensors(new Map([...arrays].toReversed()))).toEqual(writeSafetensors(arrays));
  });

  it("refuses a shape that doesn't match", () => {
    expect(() => writeSafetensors(new Map([["a", { shape: [3], data: new Float32Array(2) }]]))).toThrow(
      "writeSafetensors: tensor a of shape [3] must hold 3 values, got 2.",
    );
  });
});
