import { describe, expect, it } from "vitest";
import { readKerasWeights } from "../src/keras-weights.ts";
import { expectArrays, find, inflate, kerasFixture, patched } from "./fixtures.ts";

const file = (kind: string): Uint8Array => inflate(kerasFixture.files[kind]!);

describe("readKerasWeights", () => {
  it("gives every dtype that h5py wrote", async () => {
    const arrays = await readKerasWeights(file("dtypes"), "w");
    expectArrays(arrays, kerasFixture.dtypes);
    expect(arrays.get("group/f2")!.data).toBeInstanceOf(Float32Array);
    expect(arrays.get("group/i8")!.data).toBeInstanceOf(Int32Array);
    expect(arrays.get("group/u1")!.data).toBeInstanceOf(Uint8Array);
  });

  it("names data sets by their paths, those of an inner model too", async () => {
    const few = await readKerasWeights(file("few"), "w");
    expect([...few.keys()].toSorted()).toEqual([
      ...["beta", "gamma", "moving_mean", "moving_variance"].map((weight) => `bn_conv1/bn_conv1/${weight}:0`),
      "conv1/conv1/bias:0",
      "conv1/conv1/kernel:0",
      ...["rpn_class_raw", "rpn_conv_shared"].flatMap((layer) =>
        ["bias", "kernel"].map((weight) => `rpn_model/${layer}/${weight}:0`),
      ),
    ]);
    expect(few.get("conv1/conv1/kernel:0")!.shape).toEqual([7, 7, 3, 1]);
    // The weights of a whole model, and behind a block of the user's.
    expect(await readKerasWeights(file("whole"), "w")).toEqual(few);
    expect(await readKerasWeights(file("userblock"), "w")).toEqual(few);
  });

  it("reads later versions of the format", async () => {
    const few = await readKerasWeights(file("few"), "w");
    for (const kind of ["latest", "v110"]) {
      const arrays = await readKerasWeights(file(kind), "w");
      expect(arrays.get("conv1/conv1/kernel:0"), kind).toEqual(few.get("conv1/conv1/kernel:0"));
      expect(arrays.size).toBe(2);
    }
  });

  it("refuses a file cut anywhere", async () => {
    for (const kind of ["few", "latest"]) {
      const whole = file(kind);
      for (let length = 0; length < whole.length; length += 61) {
        await expect(
          readKerasWeights(whole.subarray(0, length), "cut"),
          `${kind} cut at ${length}`,
        ).rejects.toThrow(expect.objectContaining({ code: "weights" }));
      }
    }
  });

  const few = file("few");
  const anew = "Write the weights anew with h5py's defaults.";
  const refused: [string, Uint8Array, string | RegExp][] = [
    [
      "compressed data",
      file("gzip"),
      `w: layer/kernel:0: its data must lie in one piece, got chunks (perhaps compressed). ${anew}`,
    ],
    [
      "big-endian data",
      file("bigEndian"),
      `w: layer/kernel:0: its byte order must be little-endian, got big-endian. ${anew}`,
    ],
    [
      "text",
      file("text"),
      /^w: layer\/kernel:0: its type \(class 3, 1 bytes\) must be a float or an integer\./,
    ],
    [
      "groups of many members by later versions",
      file("dense"),
      `w: the file: its members are kept in a form (libver="latest") that is not read. ${anew}`,
    ],
    [
      "what is no HDF5",
      new Uint8Array(600),
      "w: byte 0: HDF5's signature is missing. The file is cut or corrupt.",
    ],
    ["a version to come", patched(few, 8, 9), "w: byte 8: the superblock's version must be 0 to 3, got 9."],
    [
      "addresses of 4 bytes",
      patched(few, 13, 4),
      "w: the file: addresses and sizes must have 8 bytes, got 4 and 8.",
    ],
    ["a file shorter than it says", few.subarray(0, -1), /^w: byte \d+: the file should have \d+ bytes\./],
    ["a tree that is none", patched(few, find(few, "TREE"), 0), /^w: byte \d+: "TREE" should stand there\./],
    ["names that are none", patched(few, find(few, "HEAP"), 0), /^w: byte \d+: "HEAP" should stand there\./],
  ];
  it.each(refused)("refuses %s", async (_, bytes, message) => {
    await expect(readKerasWeights(bytes, "w")).rejects.toThrow(message);
    await expect(readKerasWeights(bytes, "w")).rejects.toThrow(expect.objectContaining({ code: "weights" }));
  });

  it("ends where a tree's nodes are each other's children", async () => {
    // Every child of the root's tree becomes the tree itself.
    const at = find(few, "TREE");
    const loop = few.slice();
    const view = new DataView(loop.buffer);
    view.setUint16(at + 6, 20, true);
    for (let i = 0; i < 20; i++) view.setBigUint64(at + 32 + 16 * i, BigInt(at), true);
    expect((await readKerasWeights(loop, "w")).size).toBe(0);
  });
});
