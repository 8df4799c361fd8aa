import { inflateSync } from "node:zlib";
import type { HostArray } from "@mrcnn/core";
import { golden } from "@mrcnn/testing";
import { expect } from "vitest";

/** An array as a fixture has it: infinities as strings. */
export interface Expected {
  readonly shape: readonly number[];
  readonly values: readonly (number | string)[];
}

export const decode = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, "base64"));
export const inflate = (base64: string): Uint8Array =>
  new Uint8Array(inflateSync(Buffer.from(base64, "base64")));

interface TorchFixture {
  readonly origin: string;
  readonly files: Readonly<Record<string, string>>;
  readonly tensors: Readonly<Record<string, Expected>>;
  readonly legacyTraining: string;
  readonly module: Readonly<Record<string, Expected>>;
}
interface NumpyFixture {
  readonly origin: string;
  readonly files: Readonly<Record<string, string>>;
  readonly arrays: Readonly<Record<string, Expected>>;
}
interface KerasFixture {
  readonly files: Readonly<Record<string, string>>;
  readonly dtypes: Readonly<Record<string, Expected>>;
}
interface MatterportFixture {
  readonly file: string;
  readonly sums: Readonly<Record<string, { readonly shape: readonly number[]; readonly sum: number }>>;
}

interface NamesFixture {
  readonly torchvision: Readonly<Record<string, string>>;
  readonly detectron2: Readonly<Record<string, string>>;
  readonly detectron1: Readonly<Record<string, string>>;
}

export const torchFixtures: readonly TorchFixture[] = ["torch-1", "torch-2"].map((name) =>
  golden<TorchFixture>(import.meta.url, name),
);
export const numpyFixtures: readonly NumpyFixture[] = ["numpy-1", "numpy-2"].map((name) =>
  golden<NumpyFixture>(import.meta.url, name),
);
export const kerasFixture: KerasFixture = golden<KerasFixture>(import.meta.url, "keras");
export const matterportFixture: MatterportFixture = golden<MatterportFixture>(import.meta.url, "matterport");
const names = golden<NamesFixture>(import.meta.url, "names");

/** Detectron's blobs, and detectron2's names for them, without what its models put before those. */
export const detectron1Names: Readonly<Record<string, string>> = names.detectron1;

/** Weights of a library's model by its names, in torch's layout and few channels: each value is its position. */
export function modelWeights(library: "torchvision" | "detectron2", model: string): Map<string, HostArray> {
  const list = JSON.parse(new TextDecoder().decode(inflate(names[library][model]!))) as [string, number[]][];
  return new Map(list.map(([name, shape]) => [name, counted(...shape)]));
}

/** An array whose values are their positions. */
export const counted = (...shape: number[]): HostArray => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i),
});

/** The value at an index. */
export const at = ({ shape, data }: HostArray, ...index: number[]): number =>
  data[index.reduce((flat, i, axis) => flat * shape[axis]! + i, 0)]!;

export const safetensorsFile: Uint8Array = decode(
  golden<{ base64: string }>(import.meta.url, "safetensors").base64,
);

/** That an array is what Python says. */
export function expectArrays(
  arrays: ReadonlyMap<string, HostArray>,
  expected: Readonly<Record<string, Expected>>,
): void {
  expect([...arrays.keys()].toSorted()).toEqual(Object.keys(expected).toSorted());
  for (const [name, { shape, values }] of Object.entries(expected)) {
    const array = arrays.get(name)!;
    expect(array.shape, name).toEqual(shape);
    expect([...array.data], name).toEqual(values.map(Number));
  }
}

/** A file with some bytes put in the place of others of the same number. */
export function patched(bytes: Uint8Array, at: number, ...values: number[]): Uint8Array {
  const out = bytes.slice();
  out.set(values, at);
  return out;
}

/** Bytes of text, 8 bits each. */
export const bytesOf = (...parts: (string | readonly number[] | Uint8Array)[]): Uint8Array =>
  new Uint8Array(
    Buffer.concat(
      parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.from(part))),
    ),
  );

/** Where text first stands in a file. */
export const find = (bytes: Uint8Array, text: string | readonly number[]): number => {
  const at = Buffer.from(bytes).indexOf(
    typeof text === "string" ? Buffer.from(text, "latin1") : Buffer.from(text),
  );
  if (at < 0) throw new Error(`${JSON.stringify(text)} is not in the file`);
  return at;
};

const uint32 = (value: number): number[] => [...new Uint8Array(new Uint32Array([value]).buffer)];
const text = (value: string): Uint8Array =>
  bytesOf("X", uint32(new TextEncoder().encode(value).length), value);

/** A pickle of protocol 2 of {holder: {name: ndarray}}, as numpy lays it out. */
export function pickled(holder: string, arrays: ReadonlyMap<string, HostArray>): Uint8Array {
  const entries = [...arrays].flatMap(([name, { shape, data }]) => [
    text(name),
    "cnumpy.core.multiarray\n_reconstruct\n)R(K\x01(",
    ...shape.map((size) => bytesOf("J", uint32(size))),
    "tcnumpy\ndtype\nX\x02\0\0\0f4\x85R\x89",
    bytesOf("B", uint32(data.byteLength), new Uint8Array(data.buffer as ArrayBuffer)),
    "tb",
  ]);
  return bytesOf("\x80\x02}", text(holder), "}(", ...entries, "us.");
}
