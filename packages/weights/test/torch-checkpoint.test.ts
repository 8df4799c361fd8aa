import { describe, expect, it } from "vitest";
import { readTorchCheckpoint } from "../src/torch-checkpoint.ts";
import { bytesOf, decode, expectArrays, find, patched, torchFixtures } from "./fixtures.ts";

describe.each(torchFixtures)("a file of $origin", ({ files, tensors, legacyTraining, module }) => {
  it.each(["zip", "legacy", "plain"])("gives every dtype, stride and offset (%s)", (kind) => {
    const arrays = readTorchCheckpoint(decode(files[kind]!), kind);
    expectArrays(arrays, tensors);
    expect(arrays.get("bf16")!.data).toBeInstanceOf(Float32Array);
    expect(arrays.get("i64")!.data).toBeInstanceOf(Int32Array);
    expect(arrays.get("bool")!.data).toBeInstanceOf(Uint8Array);
  });

  it.each(["model", "state_dict", "model_state_dict"])(
    "gives the state_dict that a training checkpoint has as %s",
    (kind) => {
      expectArrays(readTorchCheckpoint(decode(files[kind]!), kind), module);
    },
  );

  it("gives that of an old training checkpoint", () => {
    expectArrays(readTorchCheckpoint(decode(legacyTraining), "legacy"), module);
  });

  it("reads from the middle of a buffer, where nothing is aligned", () => {
    for (const kind of ["zip", "legacy"]) {
      const file = decode(files[kind]!);
      const shifted = new Uint8Array(file.length + 3);
      shifted.set(file, 3);
      expectArrays(readTorchCheckpoint(shifted.subarray(3), kind), tensors);
    }
  });

  it("refuses a file cut anywhere", () => {
    for (const [kind, step] of [
      ["zip", 37],
      ["legacy", 13],
    ] as const) {
      const file = decode(files[kind]!);
      for (let length = 0; length < file.length; length += step) {
        expect(
          () => readTorchCheckpoint(file.subarray(0, length), "cut"),
          `${kind} cut at ${length}`,
        ).toThrow(expect.objectContaining({ code: "weights" }));
      }
    }
  });

  it("notices a changed byte of a tensor in an archive", () => {
    const file = decode(files["zip"]!);
    const at = find(file, [0, 0, 0xc0, 0xbf]); // -1.5
    expect(() => readTorchCheckpoint(patched(file, at, 1), "w")).toThrow(
      /^w: byte \d+: entry \S+\/data\/1 must have the checksum [0-9a-f]{8}, got [0-9a-f]{8}\. The file is corrupt\.$/,
    );
  });
});

describe("readTorchCheckpoint", () => {
  const { files } = torchFixtures[1]!;
  const zip = decode(files["zip"]!);
  const legacy = decode(files["legacy"]!);

  it("takes tensors where they lie, without a copy", () => {
    const { data } = readTorchCheckpoint(zip, "w").get("f32")!;
    expect(data.buffer).toBe(zip.buffer);
  });

  it("names a global that is not allowed, and its place", () => {
    const evil = patched(legacy, find(legacy, "OrderedDict"), ...Buffer.from("OrderedEvil"));
    expect(() => readTorchCheckpoint(evil, "w")).toThrow(
      /^w: byte \d+: a file of weights may not use "collections.OrderedEvil", and nothing of it was run\. Save the model's state_dict alone, or as safetensors\.$/,
    );
  });

  const order = find(zip, "little");
  const refused: [string, Uint8Array, string | RegExp][] = [
    [
      "big-endian archives",
      patched(zip, order, ...Buffer.from("big   ")),
      'byteorder: the byte order must be little, got "big   ".',
    ],
    [
      "big-endian legacy files",
      patched(legacy, find(legacy, [0x88, 0x58]), 0x89),
      "the byte order must be little-endian, got another.",
    ],
    [
      "another protocol",
      patched(legacy, find(legacy, [0x4d, 0xe9, 0x03]), 0x4d, 0xea),
      "torch's protocol must be 1001, got a number.",
    ],
    [
      "tar archives of the first torch",
      bytesOf(new Uint8Array(257), "ustar\0", new Uint8Array(300)),
      "got the tar archive of an older one. Load it with torch and save it again.",
    ],
    [
      "another archive",
      bytesOf("PK\x05\x06", new Uint8Array(18)),
      "the archive must have an entry data.pkl, got none at all. This zip was not written by torch.save.",
    ],
    [
      "an archive without its directory",
      zip.subarray(0, -10),
      "a zip archive should end with its directory, but has none. The archive is cut or corrupt.",
    ],
    [
      "a pickle of something else",
      bytesOf("\x80\x02K\x01."),
      "w: the file must begin with torch's magic number. It is a pickle, but not one of torch.save.",
    ],
    [
      "a storage longer than the file",
      legacy.subarray(0, -1),
      /w: byte \d+: storage \d+ should end at byte \d+, but the file ends at \d+\. The file is cut\./,
    ],
  ];
  it.each(refused)("refuses %s", (_, bytes, message) => {
    expect(() => readTorchCheckpoint(bytes, "w")).toThrow(message);
    expect(() => readTorchCheckpoint(bytes, "w")).toThrow(expect.objectContaining({ code: "weights" }));
  });

  // A legacy file of one storage of `values` zeros, and a pickle of the root that calls for tensors of it by R.
  const magic = bytesOf(
    "\x80\x02\x8a\x0a",
    [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19],
    ".\x80\x02M\xe9\x03.\x80\x02}X\x0d\0\0\0little_endian\x88s.",
  );
  const storage = "(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04NtQ";
  const tensor = (shape: string, strides: string, offset = "K\0"): string =>
    `ctorch._utils\n_rebuild_tensor_v2\n(${storage}${offset}${shape}${strides}\x89}tR`;
  const file = (root: string): Uint8Array =>
    bytesOf(
      magic,
      `\x80\x02${root}.`,
      "\x80\x02]X\x01\0\0\x000a.",
      [4, 0, 0, 0, 0, 0, 0, 0],
      new Uint8Array(16),
    );

  it("reads a file made by hand, as the refused ones are", () => {
    expect(
      readTorchCheckpoint(file(`}X\x01\0\0\0a${tensor("K\x04\x85", "K\x01\x85")}s`), "w").get("a"),
    ).toEqual({ shape: [4], data: new Float32Array(4) });
  });

  it("refuses tensors that reach beyond their storage", () => {
    expect(() =>
      readTorchCheckpoint(file(`}X\x01\0\0\0a${tensor("K\x04\x85", "K\x01\x85", "K\x01")}s`), "w"),
    ).toThrow(
      "w: tensor a: its last value should be value 4 of storage 0, which has 4. The file is corrupt.",
    );
    expect(() => readTorchCheckpoint(file(`}X\x01\0\0\0a${tensor("K\x04\x85", "K\xff\x85")}s`), "w")).toThrow(
      "w: tensor a: its last value should be value 765",
    );
  });

  it("refuses what would take more memory than its file: a stride of 0, and the same storage again and again", () => {
    expect(() =>
      readTorchCheckpoint(file(`}X\x01\0\0\0a${tensor("J\0\0\0\x7f\x85", "K\0\x85")}s`), "w"),
    ).toThrow(
      /^w: tensor a: with it the tensors take 8522825728 bytes, more than a file of \d+ bytes may hold\. The file is corrupt or hostile\.$/,
    );
    const many = Array.from({ length: 200 }, (_, i) => `X\x03\0\0\0${String(i).padStart(3, "0")}h\0`).join(
      "",
    );
    const shared = file(`}(X\x01\0\0\0a${tensor("K\x04\x85", "K\x01\x85")}q\0${many}u`);
    expect(readTorchCheckpoint(shared, "w").size).toBe(201);
    const views = bytesOf(
      magic,
      `\x80\x02}(X\x01\0\0\0a${tensor("M\0\x10\x85", "K\x01\x85").replace("K\x04N", "M\0\x10N")}q\0${many}u.`,
      "\x80\x02]X\x01\0\0\x000a.",
      [0, 16, 0, 0, 0, 0, 0, 0],
      new Uint8Array(16384),
    );
    expect(() => readTorchCheckpoint(views, "w")).toThrow(/more than a file of \d+ bytes may hold/);
  });

  it("refuses shapes that are no shapes", () => {
    for (const shape of ["J\xff\xff\xff\xff\x85", "X\x01\0\0\0a\x85", "K\x04", "N"]) {
      expect(
        () => readTorchCheckpoint(file(`}X\x01\0\0\0a${tensor(shape, "K\x01\x85")}s`), "w"),
        JSON.stringify(shape),
      ).toThrow(/a tensor's sizes and strides are no sizes/);
    }
  });

  it("refuses what is no state_dict", () => {
    const one = tensor("K\x04\x85", "K\x01\x85");
    expect(() => readTorchCheckpoint(file(`}X\x01\0\0\0a${one}sX\x01\0\0\0bK\x01s`), "w")).toThrow(
      "w: b must be the name of a tensor, got a number. Save model.state_dict() alone.",
    );
    expect(() => readTorchCheckpoint(file(`]${one}a`), "w")).toThrow(
      "w: the checkpoint must be a state_dict, got a list. Save model.state_dict().",
    );
    expect(() => readTorchCheckpoint(file(`}X\x05\0\0\0epochK\x01s${one}0`), "w")).toThrow(
      'w: the checkpoint must be a state_dict or have one under a key, as "model" or "state_dict", got the keys epoch. Save model.state_dict().',
    );
    expect(() => readTorchCheckpoint(file(`}${one}0`), "w")).toThrow("got an empty one");
  });
});
