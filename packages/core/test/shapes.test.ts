import { expect, test } from "vitest";
import { assertLength, assertShape, ShapeError } from "../src/index.ts";

test("a shape fits itself and null any size", () => {
  assertShape({ shape: [2, 3] }, [2, 3], "f", "x");
  assertShape({ shape: [0, 3] }, [null, 3], "f", "x");
  assertShape({ shape: [] }, [], "f", "x");
});

test("another size or rank is refused, naming function, argument and both shapes", () => {
  expect(() => assertShape({ shape: [2, 4] }, [null, 3], "decodeBoxes", "deltas")).toThrow(
    new ShapeError("decodeBoxes: deltas must have shape [*, 3], got [2, 4]."),
  );
  expect(() => assertShape({ shape: [2, 3, 1] }, [2, 3], "f", "x")).toThrow(
    "must have shape [2, 3], got [2, 3, 1]",
  );
  expect(() => assertShape({ shape: [2] }, [2, null], "f", "x")).toThrow("must have shape [2, *], got [2]");
});

test("a flat array must hold exactly as many values", () => {
  assertLength(new Float32Array(8), 8, "f", "boxes");
  expect(() => assertLength(new Float32Array(7), 8, "f", "boxes")).toThrow(
    new ShapeError("f: boxes must hold 8 values, got 7."),
  );
});
