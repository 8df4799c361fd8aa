import { createRandom } from "@mrcnn/core";
import type { HostArray } from "@mrcnn/core";
import { golden } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";
import { fromHalf, toHalf } from "../src/half.ts";
import {
  dequantize,
  quantizationErrors,
  quantize,
  readSafetensors,
  readWeights,
  writeSafetensors,
} from "../src/index.ts";
import type { StoredArrays, WeightsDtype } from "../src/index.ts";

const bytesOf = (base64: string): ArrayBuffer => new Uint8Array(Buffer.from(base64, "base64")).buffer;
const numpy = golden<{ float32: string; float16: string }>(import.meta.url, "halves");

const random = createRandom(3);
/** Weights whose channels differ in size by up to a thousand. */
const weights = (...shape: number[]): HostArray => {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  const channels = shape.at(-1)!;
  for (let i = 0; i < data.length; i++) data[i] = random.normal() * 10 ** (((i % channels) % 4) - 3);
  return { shape, data };
};
const onDisk = (stored: StoredArrays): ReturnType<typeof readSafetensors> =>
  readSafetensors(writeSafetensors(stored), "file");

describe("toHalf", () => {
  it("equals numpy's astype(float16), ties, subnormals, infinities and NaNs included", () => {
    expect([...toHalf(new Float32Array(bytesOf(numpy.float32)))]).toEqual([
      ...new Uint16Array(bytesOf(numpy.float16)),
    ]);
  });
  it("keeps every float16 and rounds the middle of two to the even one", () => {
    const finite = Uint16Array.from({ length: 0x7c00 }, (_, i) => i);
    const values = fromHalf(finite);
    expect(toHalf(values)).toEqual(finite);
    expect(toHalf(values.map((v) => -v))).toEqual(finite.map((v) => v | 0x8000));
    const middles = values.subarray(0, -1).map((v, i) => (v + values[i + 1]!) / 2); // exact in float32
    expect(toHalf(middles)).toEqual(finite.subarray(0, -1).map((v) => v + (v % 2)));
  });
});

describe("quantize", () => {
  const arrays = new Map<string, HostArray>([
    ["backbone.body.layer1.0.conv1.weight", weights(3, 3, 24, 20)],
    ["roi_heads.box_head.fc7.weight", weights(80, 64)],
    ["roi_heads.mask_predictor.conv5_mask.weight", weights(2, 2, 32, 48)],
    ["small.weight", weights(1, 1, 63, 65)],
    ["long.bias", weights(5000)],
    ["count", { shape: [5000, 1], data: new Int32Array(5000).fill(7) }],
  ]);

  it("stores float16 as numpy has it, and reads it back as float32", () => {
    const stored = quantize(arrays, "float16");
    const back = dequantize(onDisk(stored));
    expect([...back.keys()].toSorted()).toEqual([...arrays.keys()].toSorted());
    for (const [name, { shape, data }] of arrays) {
      const isHalf = shape.length > 1 && data.length >= 4096 && data instanceof Float32Array;
      expect(stored.get(name)!.data, name).toBeInstanceOf(isHalf ? Uint16Array : data.constructor);
      expect(back.get(name), name).toEqual({ shape, data: isHalf ? fromHalf(toHalf(data)) : data });
    }
  });

  it("gives each output channel of int8 a scale: what a naive loop gives", () => {
    const stored = quantize(arrays, "int8");
    const back = dequantize(onDisk(stored));
    expect([...back.keys()].toSorted()).toEqual([...arrays.keys()].toSorted());
    const channelAxis = new Map([
      ["backbone.body.layer1.0.conv1.weight", 3],
      ["roi_heads.box_head.fc7.weight", 1],
      ["roi_heads.mask_predictor.conv5_mask.weight", 2],
    ]);
    for (const [name, { shape, data }] of arrays) {
      const axis = channelAxis.get(name);
      if (axis === undefined) {
        expect(stored.get(name)!.data, name).toBe(data);
        expect(back.get(name), name).toEqual({ shape, data });
        continue;
      }
      // The channel of a flat index, by taking the index apart.
      const channelOf = (flat: number): number => {
        const index: number[] = [];
        for (const size of shape.toReversed()) {
          index.unshift(flat % size);
          flat = (flat - (flat % size)) / size;
        }
        return index[axis]!;
      };
      const scales = Array.from({ length: shape[axis]! }, (_, c) =>
        Math.fround(Math.max(...[...data].filter((_, i) => channelOf(i) === c).map(Math.abs)) / 127),
      );
      const { data: steps, shape: stepShape } = stored.get(`${name}.scale`)!;
      expect([...steps], name).toEqual(scales);
      expect(stepShape).toEqual(shape.map((size, i) => (i === axis ? size : 1)));
      const values = stored.get(name)!.data;
      expect(values).toBeInstanceOf(Int8Array);
      data.forEach((value, i) => {
        const scale = scales[channelOf(i)]!;
        if (Math.abs(values[i]! - value / scale) > 0.5 + 1e-5)
          expect.fail(`${name} ${i}: ${value} became ${values[i]} times ${scale}`);
        if (back.get(name)!.data[i] !== Math.fround(values[i]! * scale))
          expect.fail(`${name} ${i} came back as ${back.get(name)!.data[i]}`);
      });
    }
  });

  it("makes channels of zeros zeros, and reaches 127 on both sides", () => {
    const data = new Float32Array(2 * 4096).map((_, i) =>
      i % 2 === 0 ? 0
      : i === 1 ? -1e-44
      : i === 3 ? 1e-44
      : 0,
    );
    const stored = quantize(new Map([["w", { shape: [4096, 2], data }]]), "int8");
    expect([...stored.get("w")!.data.subarray(0, 4)].map((v) => v + 0)).toEqual([0, 0, 0, 0]); // a scale below float32's smallest is 0
    const wide = quantize(
      new Map([
        ["w", { shape: [4096, 1], data: new Float32Array(4096).map((_, i) => [-3, 3, 0.01][i % 3]!) }],
      ]),
      "int8",
    );
    expect([...wide.get("w")!.data.subarray(0, 3)]).toEqual([-127, 127, 0]);
  });

  it("keeps float32 bit for bit", () => {
    expect(dequantize(onDisk(quantize(arrays, "float32")))).toEqual(onDisk(arrays));
  });

  it("says which tensor does not fit", () => {
    const of = (value: number): Map<string, HostArray> =>
      new Map([["a.weight", { shape: [64, 64], data: new Float32Array(4096).fill(value) }]]);
    expect(() => quantize(of(65520), "float16")).toThrow(
      "quantize: tensor a.weight: float16 holds values up to 65504, got 65520.",
    );
    expect(() => quantize(of(65519), "float16")).not.toThrow();
    expect(() => quantize(of(NaN), "int8")).toThrow(
      "quantize: tensor a.weight: weights must be finite for int8, got NaN.",
    );
    expect(() => quantize(of(65520), "float16")).toThrow(expect.objectContaining({ code: "weights" }));
  });

  it("measures its errors as a naive loop does", () => {
    for (const dtype of ["float16", "int8"] as const) {
      const stored = quantize(arrays, dtype);
      const back = dequantize(onDisk(stored));
      const errors = quantizationErrors(arrays, stored);
      expect(errors.map(({ name }) => name)).toEqual([...arrays.keys()].slice(0, 3));
      for (const { name, max, rms } of errors) {
        const [from, to] = [[...arrays.get(name)!.data], [...back.get(name)!.data]];
        const differences = from.map((v, i) => Math.abs(to[i]! - v));
        expect(max).toBeCloseTo(Math.max(...differences) / Math.max(...from.map(Math.abs)), 10);
        expect(rms).toBeCloseTo(Math.hypot(...differences) / Math.hypot(...from), 10);
        expect(max).toBeLessThan(dtype === "int8" ? 0.5 / 127 + 1e-6 : 2 ** -11);
      }
    }
    expect(quantizationErrors(arrays, quantize(arrays, "float32"))).toEqual([]);
  });
});

describe("dequantize", () => {
  const f32 = (shape: number[]): HostArray => ({
    shape,
    data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
  });
  const i32 = (shape: number[]): HostArray => ({
    shape,
    data: new Int32Array(shape.reduce((a, b) => a * b, 1)),
  });
  it.each<[string, HostArray, HostArray]>([
    ["of another rank", i32([2, 3]), f32([3])],
    ["of another length", i32([2, 3]), f32([1, 2])],
    ["along two axes", i32([2, 3]), f32([2, 3])],
    ["beside floats", f32([2, 3]), f32([1, 3])],
    ["that are whole numbers", i32([2, 3]), i32([1, 3])],
  ])("refuses scales %s", (_, array, scale) => {
    expect(() =>
      dequantize(
        new Map([
          ["a.weight", array],
          ["a.weight.scale", scale],
        ]),
      ),
    ).toThrow("tensor a.weight: must be int8 with float32 scales along one axis, got");
  });
  it("leaves a scale alone that is nobody's", () => {
    const arrays = new Map([["norm.scale", f32([3])]]);
    expect(dequantize(arrays)).toEqual(arrays);
  });
});

describe("readWeights of a converted file", () => {
  it.each<WeightsDtype>(["float32", "float16", "int8"])("reads %s as this project's", async (dtype) => {
    const arrays = new Map<string, HostArray>([
      ["backbone.body.conv1.weight", weights(7, 7, 3, 64)],
      ["backbone.body.bn1.weight", weights(64)],
      ["backbone.body.bn1.running_mean", weights(64)],
      ["rpn.head.cls_logits.weight", weights(1, 1, 256, 3)],
    ]);
    const metadata = { format: "mrcnn", source: "detectron2", numerics: "detectron2", norm: "batch_norm" };
    const stored = quantize(arrays, dtype);
    const read = await readWeights(writeSafetensors(stored, metadata), "converted.safetensors");
    expect(read).toMatchObject({ format: "safetensors", source: "mrcnn", norm: "batch_norm", metadata });
    expect([...read.arrays].map(([name, { shape }]) => [name, [...shape]]).toSorted()).toEqual(
      [...arrays].map(([name, { shape }]) => [name, shape]).toSorted(),
    );
    for (const [name, { data }] of dequantize(onDisk(stored)))
      expect(read.arrays.get(name)!.data, name).toEqual(data);
  });
});
