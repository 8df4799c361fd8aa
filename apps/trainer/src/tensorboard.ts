/** TensorBoard event files: TFRecord framing around hand-written protobuf, scalars only. */
import { hostname } from "node:os";
import { join } from "node:path";
import { appendWhole } from "./files.ts";

const crcTable: Uint32Array = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  return c >>> 0;
});

/** CRC-32C (Castagnoli). */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = crcTable[(crc ^ byte) & 255]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

// TFRecord stores checksums "masked", so that a checksum of a checksum is not degenerate.
const masked = (bytes: Uint8Array): number => {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
};

/** One TFRecord: length, its checksum, data, its checksum. */
export function tfRecord(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(16 + data.length);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, masked(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, masked(data), true);
  return record;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  return [...bytes, rest];
}
const field = (number: number, wire: number): number[] => varint(number * 8 + wire);
const bytesField = (number: number, bytes: ArrayLike<number>): number[] => [
  ...field(number, 2),
  ...varint(bytes.length),
  ...Array.from(bytes),
];
const textField = (number: number, text: string): number[] =>
  bytesField(number, new TextEncoder().encode(text));
const integerField = (number: number, value: number): number[] => [...field(number, 0), ...varint(value)];
const doubleField = (number: number, value: number): number[] => [
  ...field(number, 1),
  ...new Uint8Array(Float64Array.of(value).buffer),
];
const floatField = (number: number, value: number): number[] => [
  ...field(number, 5),
  ...new Uint8Array(Float32Array.of(value).buffer),
];

// tensorflow/core/util/event.proto: Event { 1: wall_time, 2: step, 3: file_version, 5: summary, 7:
// session_log } tensorflow/core/framework/summary.proto: Summary { 1: value { 1: tag, 2: simple_value } }
const event = (step: number, rest: readonly number[]): Uint8Array =>
  tfRecord(Uint8Array.from([...doubleField(1, Date.now() / 1000), ...integerField(2, step), ...rest]));
const SESSION_START = [...integerField(1, 1)];

/** Adds scalars to an event file. */
export interface EventWriter {
  readonly file: string;
  scalars(step: number, values: Readonly<Record<string, number>>): void;
}

/**
 * Starts a new event file in `folder`, which must exist. `step` is where a resumed run goes on: TensorBoard
 * then forgets what older files say of later steps.
 */
export function createEventWriter(
  folder: string,
  { step = 0 }: { readonly step?: number } = {},
): EventWriter {
  const stamp = (Date.now() / 1000).toFixed(3).replace(".", "");
  const file = join(folder, `events.out.tfevents.${stamp}.${hostname()}.${process.pid}.mrcnn`);
  appendWhole(file, event(0, textField(3, "brain.Event:2")));
  if (step > 0) appendWhole(file, event(step, bytesField(7, SESSION_START)));
  return {
    file,
    scalars(at, values) {
      const summary = Object.entries(values).flatMap(([tag, value]) =>
        bytesField(1, [...textField(1, tag), ...floatField(2, value)]),
      );
      appendWhole(file, event(at, bytesField(5, summary)));
    },
  };
}
