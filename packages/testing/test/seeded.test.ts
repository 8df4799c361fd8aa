import { expect, test } from "vitest";
import { golden, seededUniform } from "../src/index.ts";

test("seededUniform equals its Python twin, value for value", () => {
  const { values } = golden<{ values: Record<string, number[]> }>(import.meta.url, "seeded");
  for (const [name, expected] of Object.entries(values))
    expect([...seededUniform(name, expected.length)], name).toEqual(expected);
});

test("a fixture without an origin is refused", () => {
  expect(() => golden(import.meta.url, "no-origin")).toThrow("golden/no-origin.json must say its origin");
});
