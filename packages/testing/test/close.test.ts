import { expect, test } from "vitest";
import { expectClose } from "../src/index.ts";

test("values within atol + rtol · |expected| pass, one beyond fails and is named", async () => {
  await expectClose([1, 200], [1.0009, 200.1], { atol: 1e-3, rtol: 1e-3 });
  await expect(expectClose([1, 200, 3], [1, 201, 3], { atol: 1e-3, rtol: 1e-3 })).rejects.toThrow(
    "value 1: got 200, expected 201",
  );
  await expect(expectClose([1, 200], [1.0009, 200.01], { atol: 0, rtol: 1e-4 })).rejects.toThrow("value 0");
});

test("the worst of several is named", async () => {
  await expect(expectClose([0, 0, 0], [1, 5, 2])).rejects.toThrow("value 1: got 0, expected 5");
});

test("NaN is close to NaN only, infinity to itself only", async () => {
  await expectClose([NaN, Infinity], [NaN, Infinity]);
  await expect(expectClose([NaN], [0])).rejects.toThrow("value 0: got NaN");
  await expect(expectClose([0], [NaN])).rejects.toThrow("expected NaN");
  await expect(expectClose([1, NaN], [9, 0], { atol: 10 })).rejects.toThrow("value 1: got NaN");
  await expect(expectClose([Infinity], [-Infinity])).rejects.toThrow("value 0");
  await expect(expectClose([1e30], [Infinity])).rejects.toThrow("value 0");
});

test("another number of values fails", async () => {
  await expect(expectClose([1, 2], [1])).rejects.toThrow("number of values");
});
