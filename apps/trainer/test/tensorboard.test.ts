import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { crc32c, createEventWriter } from "../src/tensorboard.ts";
import { temporaryFolder } from "./command.ts";

const folder = temporaryFolder();

// A reader written from the formats' descriptions, apart from the writer: TFRecord, then protobuf's wire format.
type Fields = Map<number, (number | Uint8Array)[]>;
function fields(bytes: Uint8Array): Fields {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Fields = new Map();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    let value: number | Uint8Array;
    if (key % 8 === 0) value = varint();
    else if (key % 8 === 1) [value, at] = [view.getFloat64(at, true), at + 8];
    else if (key % 8 === 5) [value, at] = [view.getFloat32(at, true), at + 4];
    else {
      const length = varint();
      [value, at] = [bytes.subarray(at, at + length), at + length];
    }
    const number = Math.floor(key / 8);
    found.set(number, [...(found.get(number) ?? []), value]);
  }
  return found;
}
const unmask = (crc: number): number => {
  const rotated = (crc - 0xa282ead8) >>> 0;
  return ((rotated << 15) | (rotated >>> 17)) >>> 0;
};
function records(bytes: Uint8Array): Fields[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Fields[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = Number(view.getBigUint64(at, true));
    expect(unmask(view.getUint32(at + 8, true))).toBe(crc32c(bytes.subarray(at, at + 8)));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(unmask(view.getUint32(at + 12 + length, true))).toBe(crc32c(data));
    found.push(fields(data));
    at += 16 + length;
  }
  return found;
}
const text = (value: unknown): string => new TextDecoder().decode(value as Uint8Array);

describe("crc32c", () => {
  // Check values of RFC 3720, B.4, and of the catalogue's "123456789".
  it.each<[string, Uint8Array, number]>([
    ["123456789", new TextEncoder().encode("123456789"), 0xe3069283],
    ["32 zeros", new Uint8Array(32), 0x8a9136aa],
    ["32 ones", new Uint8Array(32).fill(255), 0x62a8ab43],
    ["0..31", Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
  ])("of %s", (_, bytes, expected) => expect(crc32c(bytes)).toBe(expected));
});

describe("createEventWriter", () => {
  it("writes the version, then scalars with their steps", () => {
    const writer = createEventWriter(folder);
    writer.scalars(1, { loss: 0.5, lr: 0.25 });
    writer.scalars(300, { loss: -2 });
    const [version, first, second, ...rest] = records(readFileSync(writer.file));
    expect(rest).toEqual([]);
    expect(text(version!.get(3)![0])).toBe("brain.Event:2");
    expect(first!.get(2)).toEqual([1]);
    expect(Math.abs((first!.get(1)![0] as number) - Date.now() / 1000)).toBeLessThan(60);
    const values = fields(first!.get(5)![0] as Uint8Array)
      .get(1)!
      .map((value) => fields(value as Uint8Array));
    expect(values.map((value) => [text(value.get(1)![0]), value.get(2)![0]])).toEqual([
      ["loss", 0.5],
      ["lr", 0.25],
    ]);
    expect(second!.get(2)).toEqual([300]);
  });

  it("tells a reader where a resumed run goes on", () => {
    const resumed = join(folder, "resumed");
    mkdirSync(resumed);
    const [, start] = records(readFileSync(createEventWriter(resumed, { step: 70 }).file));
    expect(start!.get(2)).toEqual([70]);
    expect(fields(start!.get(7)![0] as Uint8Array).get(1)).toEqual([1]); // SessionLog.START
  });
});
