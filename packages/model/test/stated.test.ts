import { describe, expect, it } from "vitest";
import { isMrcnnError } from "@mrcnn/core";
import { parseCategories, parseRun } from "../src/index.ts";

const categories = [
  { id: 7, name: "left" },
  { id: 9, name: "right" },
];
const run = {
  model: { classes: ["left", "right"] },
  data: { train: { format: "shapes" }, categories },
  evaluation: { maxDetections: 20, scoreThreshold: 0.001, limit: 5 },
};

/** What JSON can hold, beside what is right. */
const wild: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e308,
  "",
  "text",
  [],
  [null],
  [[[[]]]],
  {},
  { a: { b: [1] } },
  [1, 2],
  ["left", "right"],
  Array.from({ length: 5000 }, () => null),
  JSON.parse('{"__proto__": 1, "length": 2}'),
];

function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    expect(isMrcnnError(error, "config"), String(error)).toBe(true);
    return (error as Error).message;
  }
  return "";
}

describe("the config of a run", () => {
  it("gives the model, what its labels mean, and how it is used", () => {
    const { config, categories: stated, settings } = parseRun(run, "config.json");
    expect(config.classes).toEqual(["left", "right"]);
    expect(stated).toEqual(categories);
    expect(settings).toEqual({ maxDetections: 20, scoreThreshold: 0.001 });
    expect(parseRun({ model: run.model }, "config.json")).toMatchObject({
      categories: undefined,
      settings: {},
    });
  });

  it.each([
    ["the whole", [(value: unknown) => value], []],
    ["model", [(value: unknown) => ({ ...run, model: value })], []],
    [
      "data",
      [(value: unknown) => ({ ...run, data: value })],
      [{}, { a: { b: [1] } }, JSON.parse('{"__proto__": 1, "length": 2}')],
    ],
    [
      "evaluation",
      [(value: unknown) => ({ ...run, evaluation: value })],
      [{}, { a: { b: [1] } }, JSON.parse('{"__proto__": 1, "length": 2}')],
    ],
    ["data.categories", [(value: unknown) => ({ ...run, data: { categories: value } })], []],
    ["a category", [(value: unknown) => ({ ...run, data: { categories: [categories[0], value] } })], []],
    [
      "a category's id",
      [(value: unknown) => ({ ...run, data: { categories: [categories[0], { id: value, name: "right" }] } })],
      [0, -1, "", "text"],
    ],
    [
      "a category's name",
      [(value: unknown) => ({ ...run, data: { categories: [categories[0], { id: 9, name: value }] } })],
      ["text"],
    ],
    ["the threshold", [(value: unknown) => ({ ...run, evaluation: { scoreThreshold: value } })], [0]],
    ["maxDetections", [(value: unknown) => ({ ...run, evaluation: { maxDetections: value } })], []],
    ["minSize", [(value: unknown) => ({ ...run, evaluation: { minSize: value } })], []],
    ["nativeSize", [(value: unknown) => ({ ...run, evaluation: { nativeSize: value } })], [true]],
  ] as readonly (readonly [string, readonly [(value: unknown) => unknown], readonly unknown[]])[])(
    "names the file, in one short message, when %s is of another type",
    (_, [make], right) => {
      for (const value of wild) {
        if (right.some((one) => JSON.stringify(one) === JSON.stringify(value))) continue;
        const message = refusal(() => parseRun(make(JSON.parse(JSON.stringify(value))), "run/config.json"));
        expect(message, JSON.stringify(value).slice(0, 80)).toMatch(/^run\/config\.json(: |:)/);
        expect(message.length).toBeLessThan(1000);
      }
    },
  );
});

describe("categories", () => {
  it("are one for each class, every id once", () => {
    expect(parseCategories(categories, "file")).toEqual(categories);
    expect(refusal(() => parseCategories([categories[0], { ...categories[1], id: 7 }], "file"))).toMatch(
      /every id once/,
    );
    expect(refusal(() => parseCategories([{ id: 2 ** 53, name: "a" }], "file"))).toMatch(/0\.id/);
    expect(refusal(() => parseRun({ ...run, data: { categories: categories.slice(1) } }, "file"))).toBe(
      "file: data.categories must name the model's 2 classes, got 1 names.",
    );
    expect(
      refusal(() =>
        parseCategories(
          Array.from({ length: 20 }, () => null),
          "file",
        ),
      ),
    ).toMatch(/And 12 more\.$/);
  });
});
