import { golden } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";
import { checkZipEntry, crc32, readZip } from "../src/zip.ts";
import { bytesOf, decode, find, patched } from "./fixtures.ts";

const fixture = golden<{ files: Record<string, string>; entries: Record<string, string> }>(
  import.meta.url,
  "zip",
);
const file = (kind: string): Uint8Array => decode(fixture.files[kind]!);

describe("readZip", () => {
  it.each(["plain", "zip64", "comment"])(
    "gives the entries that Python wrote, where they lie (%s)",
    (kind) => {
      const bytes = file(kind);
      const entries = readZip(bytes, "w");
      expect([...entries.keys()]).toEqual(Object.keys(fixture.entries));
      for (const [name, data] of Object.entries(fixture.entries)) {
        const entry = entries.get(name)!;
        expect(entry.bytes).toEqual(decode(data));
        expect(entry.bytes.buffer).toBe(bytes.buffer);
        checkZipEntry(entry, "w");
      }
    },
  );

  it("is not misled by a comment that looks like an end", () => {
    const bytes = file("comment");
    expect(readZip(patched(bytes, find(bytes, "0123"), 0x50, 0x4b, 5, 6), "w").size).toBe(4);
  });

  const plain = file("plain");
  const wide = file("zip64");
  const directory = find(plain, "PK\x01\x02");
  const end = find(plain, "PK\x05\x06");
  const refused: [string, Uint8Array, string | RegExp][] = [
    [
      "compressed entries",
      file("deflated"),
      "w: entry archive/data.pkl of the archive must be stored as it is, got one compressed by method 8. Save the file again with torch.save.",
    ],
    ["encrypted entries", patched(plain, directory + 8, 1), /entry archive\/data\.pkl is encrypted/],
    ["archives of several parts", patched(plain, end + 4, 1), "archives of several parts can't be read"],
    [
      "an archive cut at its end",
      plain.subarray(0, -1),
      "a zip archive should end with its directory, but has none",
    ],
    [
      "a directory elsewhere",
      patched(plain, end + 16, 255, 255),
      /the directory should lie at \d+ to \d+, but must end before \d+/,
    ],
    [
      "more entries than the directory has",
      patched(plain, end + 10, 200),
      /200 entries don't fit into a directory of \d+ bytes/,
    ],
    [
      "a name longer than the directory",
      patched(plain, directory + 28, 255, 255),
      "entry 0 is longer than the directory",
    ],
    [
      "an entry longer than the file",
      patched(plain, directory + 20, 0, 0, 0, 1, 0, 0, 0, 1),
      "entry archive/data.pkl should end at byte 16777",
    ],
    [
      "an entry beyond the file",
      patched(plain, directory + 42, 0, 0, 0, 1),
      "entry archive/data.pkl doesn't begin there",
    ],
    [
      "sizes that differ",
      patched(plain, directory + 20, 1),
      "its two sizes are 1 and 4, but it is not compressed",
    ],
    [
      "64-bit sizes that are missing",
      patched(plain, directory + 20, 255, 255, 255, 255, 255, 255, 255, 255),
      "entry archive/data.pkl",
    ],
    [
      "64-bit sizes beyond the file",
      patched(wide, find(wide, "PK\x01\x02") + 46 + "archive/data.pkl".length + 4 + 7, 1),
      /a position or size of 72057594037927940 lies outside a file of \d+ bytes/,
    ],
    [
      "a 64-bit directory elsewhere",
      patched(wide, find(wide, "PK\x06\x07") + 8, 1),
      "the 64-bit directory's end is not where it should be",
    ],
  ];
  it.each(refused)("refuses %s", (_, bytes, message) => {
    expect(() => readZip(bytes, "w")).toThrow(message);
    expect(() => readZip(bytes, "w")).toThrow(expect.objectContaining({ code: "weights" }));
  });

  it("refuses entries that overlap or share a name", () => {
    // The second entry's header takes the first's place.
    const second = directory + 46 + "archive/data.pkl".length;
    expect(() => readZip(patched(plain, second + 42, 0, 0, 0, 0), "w")).toThrow(/overlaps the one before/);
    const twice = bytesOf(
      plain.subarray(0, directory),
      plain.subarray(directory, second),
      plain.subarray(directory, second),
      plain.subarray(end),
    );
    const view = new DataView(twice.buffer);
    const last = twice.length - 22;
    view.setUint16(last + 10, 2, true);
    view.setUint32(last + 12, 2 * (second - directory), true);
    expect(() => readZip(twice, "w")).toThrow("entry archive/data.pkl is there twice");
  });
});

describe("crc32", () => {
  // Bit by bit, as the polynomial says.
  const naive = (bytes: Uint8Array): number => {
    let c = 0xffffffff;
    for (const byte of bytes) {
      c ^= byte;
      for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    }
    return ~c >>> 0;
  };
  it("is that of the polynomial, at every length and beginning", () => {
    const bytes = Uint8Array.from({ length: 100 }, (_, i) => (i * 89) ^ (i >> 2));
    for (let begin = 0; begin < 9; begin++)
      for (let end = begin; end < 100; end += 3)
        expect(crc32(bytes.subarray(begin, end))).toBe(naive(bytes.subarray(begin, end)));
    expect(crc32(bytesOf("123456789"))).toBe(0xcbf43926);
  });
});
