// A reader of TensorBoard event files, written from the descriptions of their formats, apart from the writer: TFRecord, then protobuf.
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { crc32c } from "../src/tensorboard.ts";

/** A message's values by their numbers. */
export type Fields = Map<number, (number | Uint8Array)[]>;
export function fields(bytes: Uint8Array): Fields {
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
export function records(bytes: Uint8Array): Fields[] {
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
export const text = (value: unknown): string => new TextDecoder().decode(value as Uint8Array);

/** The scalars of an event file: step and values by tag, an event each. */
export const scalarsIn = (file: string): [step: number, values: Record<string, number>][] =>
  records(readFileSync(file)).flatMap((event): [number, Record<string, number>][] => {
    const [summary] = event.get(5) ?? [];
    if (summary === undefined) return [];
    const values = fields(summary as Uint8Array)
      .get(1)!
      .map((value) => fields(value as Uint8Array))
      .map((value) => [text(value.get(1)![0]), value.get(2)![0] as number]);
    return [[event.get(2)![0] as number, Object.fromEntries(values) as Record<string, number>]];
  });
