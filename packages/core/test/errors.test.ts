import { expect, test } from "vitest";
import {
  BackendError,
  ConfigError,
  DatasetError,
  isMrcnnError,
  MemoryError,
  MrcnnError,
  ShapeError,
  TrainingError,
  WeightsError,
} from "../src/index.ts";

const kinds = [
  ["shape", ShapeError],
  ["config", ConfigError],
  ["backend", BackendError],
  ["weights", WeightsError],
  ["dataset", DatasetError],
  ["training", TrainingError],
] as const;

test.each(kinds)("%s errors carry their code, name, text and cause", (code, Kind) => {
  const cause = new Error("the disk is full");
  const error = new Kind("where: what.", { cause });
  expect(error).toBeInstanceOf(MrcnnError);
  expect(error).toMatchObject({ code, name: Kind.name, message: "where: what.", cause });
  expect(isMrcnnError(error)).toBe(true);
  expect(isMrcnnError(error, code)).toBe(true);
  expect(isMrcnnError(error, code === "shape" ? "config" : "shape")).toBe(false);
});

test("an error of another copy of this package is recognised by its code", () => {
  const foreign = Object.assign(new Error("x"), { code: "weights" });
  expect(isMrcnnError(foreign)).toBe(true);
  expect(isMrcnnError(foreign, "weights")).toBe(true);
});

test("other values are not ours", () => {
  const system = Object.assign(new Error("no such file"), { code: "ENOENT" });
  for (const value of [new Error("x"), system, { code: "shape" }, "shape", undefined, null])
    expect(isMrcnnError(value)).toBe(false);
});

test("an error of memory tells what was short from what to do", () => {
  const error = new MemoryError("2 GB are needed, and there is 1.", "Use less.");
  expect(error).toMatchObject({
    code: "memory",
    shortage: "2 GB are needed, and there is 1.",
    message: "2 GB are needed, and there is 1. Use less.",
  });
  expect(isMrcnnError(error, "memory")).toBe(true);
});
