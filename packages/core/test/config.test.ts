import * as v from "valibot";
import { expect, test } from "vitest";
import { ConfigError, didYouMean, parseConfig } from "../src/index.ts";

const schema = v.strictObject({
  steps: v.number(),
  optimizer: v.optional(
    v.strictObject({ rate: v.optional(v.number(), 0.02), momentum: v.optional(v.number(), 0.9) }),
    {},
  ),
});
const parse = (value: unknown): unknown => parseConfig(schema, value, "run.json");

test("defaults are filled in, also of what is absent", () => {
  expect(parse({ steps: 3 })).toEqual({ steps: 3, optimizer: { rate: 0.02, momentum: 0.9 } });
  expect(parse({ steps: 3, optimizer: { rate: 1 } })).toEqual({
    steps: 3,
    optimizer: { rate: 1, momentum: 0.9 },
  });
});

test("an unknown key suggests the nearest known one of its place", () => {
  expect(() => parse({ steps: 3, optimiser: {} })).toThrow(
    'run.json: optimiser is not a known key. Did you mean "optimizer"?',
  );
  expect(() => parse({ steps: 3, optimizer: { momentun: 1 } })).toThrow(
    'optimizer.momentun is not a known key. Did you mean "momentum"?',
  );
});

test("without a near one the known keys are listed", () => {
  expect(() => parse({ steps: 3, optimizer: { beta: 1 } })).toThrow(
    "optimizer.beta is not a known key. Known keys: rate, momentum.",
  );
});

test("every problem is named at once, with its path", () => {
  const text =
    /run\.json: .*steps: expected number, got "many"\..*optimizer\.rate: expected number, got "fast"\./;
  expect(() => parse({ steps: "many", optimizer: { rate: "fast" } })).toThrow(text);
  expect(() => parse({})).toThrow(/steps/);
  expect(() => parse(7)).toThrow("run.json: (top level): expected Object, got 7.");
  expect(() => parse({ steps: "many" })).toThrow(ConfigError);
});

test("didYouMean finds transposed, missing and wrong-case letters, and nothing far away", () => {
  const known = ["minSize", "maxSize", "divisor"];
  expect(didYouMean("minsize", known)).toBe("minSize");
  expect(didYouMean("mniSize", known)).toBe("minSize");
  expect(didYouMean("divisr", known)).toBe("divisor");
  expect(didYouMean("maxSizes", known)).toBe("maxSize");
  expect(didYouMean("colour", known)).toBeUndefined();
  expect(didYouMean("x", [])).toBeUndefined();
});
