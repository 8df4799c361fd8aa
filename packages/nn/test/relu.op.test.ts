import { tensor1d } from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { notFiniteOnDevice, relu } from "../src/index.ts";

// A NaN whose sign is set, as x86 makes of inf - inf, and one whose sign is not.
const negativeNaN = new Float32Array(Uint32Array.of(0xffc00000).buffer)[0]!;
const values = (length: number): Float32Array => {
  const x = Float32Array.from({ length }, (_, i) => (i % 3) - 1);
  const bits = new Uint32Array(x.buffer);
  bits[2] = 0xffc00000;
  bits[length - 1] = 0x7fc00000;
  x[4] = Infinity;
  x[5] = -Infinity;
  return x;
};

describe("relu", () => {
  // Within a vector, behind the last whole one, and enough for several threads.
  it.each([8, 11, 900_001])("is torch's of %d values: NaN stays, -infinity is 0", async (length) => {
    expect(negativeNaN).toBeNaN();
    const x = tensor1d(values(length));
    const y = relu(x);
    const got = await y.data();
    const wrong = [...values(length).entries()].find(
      ([i, value]) => !Object.is(Number.isNaN(value) ? NaN : Math.max(value, 0) + 0, got[i]! + 0),
    );
    expect(wrong).toBeUndefined();
    x.dispose();
    y.dispose();
  });
});

describe("notFiniteOnDevice", () => {
  it.each<[string, number, (x: Float32Array) => void, number]>([
    ["finite values", 100_003, () => {}, 0],
    ["the largest and least", 5, (x) => x.set([3.4028234e38, -3.4028234e38, 1e-45, 0, -0]), 0],
    ["NaN at the end", 100_003, (x) => void (x[100_002] = NaN), 1],
    ["NaN whose sign is set", 7, (x) => void (new Uint32Array(x.buffer)[3] = 0xffc00000), 1],
    ["infinity", 1, (x) => void (x[0] = Infinity), 1],
    ["-infinity in the middle", 70_000, (x) => void (x[35_001] = -Infinity), 1],
  ])("tells %s, where the backend has the kernel", async (_, length, change, expected) => {
    const data = Float32Array.from({ length }, (__, i) => Math.sin(i));
    change(data);
    const x = tensor1d(data);
    const flag = notFiniteOnDevice(x);
    if (flag !== undefined) expect([...(await flag.data())]).toEqual([expected]);
    flag?.dispose();
    x.dispose();
  });
});
