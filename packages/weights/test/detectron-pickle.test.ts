import { describe, expect, it } from "vitest";
import { readDetectronPickle } from "../src/detectron-pickle.ts";
import { bytesOf, decode, expectArrays, find, numpyFixtures, patched } from "./fixtures.ts";

describe.each(numpyFixtures)("a pickle of $origin", ({ files, arrays }) => {
  it.each(Object.keys(files))("gives every dtype and order (protocol %s)", (protocol) => {
    const read = readDetectronPickle(decode(files[protocol]!), "w");
    expectArrays(read, arrays);
    expect(read.get("f16")!.data).toBeInstanceOf(Float32Array);
    expect(read.get("i8")!.data).toBeInstanceOf(Int32Array);
  });

  it("refuses a file cut anywhere", () => {
    for (const [protocol, base64] of Object.entries(files)) {
      const file = decode(base64);
      for (let length = 0; length < file.length; length += 11) {
        expect(
          () => readDetectronPickle(file.subarray(0, length), "cut"),
          `protocol ${protocol} cut at ${length}`,
        ).toThrow(expect.objectContaining({ code: "weights" }));
      }
    }
  });
});

describe("readDetectronPickle", () => {
  const file = decode(numpyFixtures[1]!.files["4"]!);

  it("refuses globals that make no weights, and runs nothing", () => {
    expect(() => readDetectronPickle(bytesOf("\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R."), "w")).toThrow(
      'w: byte 2: a file of weights may not use "os.system", and nothing of it was run. Save the model\'s state_dict alone, or as safetensors.',
    );
    expect(() => readDetectronPickle(bytesOf("cbuiltins\neval\n."), "w")).toThrow('"builtins.eval"');
  });

  const refused: [string, Uint8Array, string][] = [
    [
      "big-endian arrays",
      patched(file, find(file, "<"), 0x3e),
      "its byte order must be little-endian, got big-endian",
    ],
    [
      "another dtype",
      patched(file, find(file, "f8"), 0x63),
      'w: array f64: its dtype must be one of f8, f4, f2, i8, i4, i2, i1, u1, b1, got "c8"',
    ],
    [
      "a dict of something else",
      bytesOf("\x80\x02}X\x01\0\0\0aK\x01s."),
      'w: a must be an array, got a number. Weights stand under "model" or "blobs".',
    ],
    [
      "something else",
      bytesOf("\x80\x02K\x01."),
      'w: the pickle must be a dict with "model" or "blobs", got a number.',
    ],
  ];
  it.each(refused)("refuses %s", (_, bytes, message) => {
    expect(() => readDetectronPickle(bytes, "w")).toThrow(message);
    expect(() => readDetectronPickle(bytes, "w")).toThrow(expect.objectContaining({ code: "weights" }));
  });

  it("refuses an array whose data is of another length", () => {
    const array = (data: string): Uint8Array =>
      bytesOf(
        `}X\x01\0\0\0acnumpy.core.multiarray\n_reconstruct\n)R(K\x01K\x03\x85cnumpy\ndtype\nX\x02\0\0\0f4\x85R\x89${data}tbs.`,
      );
    expect(readDetectronPickle(array(`C\x0c${"\0".repeat(12)}`), "w").get("a")).toEqual({
      shape: [3],
      data: new Float32Array(3),
    });
    expect(() => readDetectronPickle(array("C\x04\0\0\0\0"), "w")).toThrow(
      "w: array a: [3] of float32 takes 12 bytes, but its data is of another length.",
    );
  });
});
