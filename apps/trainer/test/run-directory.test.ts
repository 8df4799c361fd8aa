// Where a run's files lie, which config is read of it, and what is said of classes that its model lacks.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { changedConfig } from "../src/read-config.ts";
import {
  assertClassesKnown,
  configMadeWith,
  isRun,
  readRunConfig,
  runDirectory,
  writeRunConfig,
} from "../src/run-directory.ts";
import { temporaryFolder, tinyConfig } from "./command.ts";

const folder = temporaryFolder();
const config = (steps: number) => changedConfig(tinyConfig, [`training.steps=${steps}`], "tiny.json");

describe("a run's folder", () => {
  it("holds the files that the guide names", () => {
    expect(runDirectory("runs/a")).toEqual({
      path: "runs/a",
      config: join("runs/a", "config.json"),
      metrics: join("runs/a", "metrics.jsonl"),
      evaluations: join("runs/a", "eval.jsonl"),
      checkpoints: join("runs/a", "checkpoints"),
      madeWith: join("runs/a", "checkpoints", "config.json"),
      report: join("runs/a", "report.html"),
    });
  });

  it("is a run's once it holds a config, which is written beside the checkpoints too, for people to read", () => {
    const path = join(folder, "new", "run");
    expect(isRun(path)).toBe(false);
    writeRunConfig(runDirectory(path), config(7));
    expect(isRun(path)).toBe(true);
    expect(readdirSync(path).toSorted()).toEqual(["checkpoints", "config.json"]);
    const text = readFileSync(join(path, "config.json"), "utf8");
    expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(config(7))));
    expect(text.startsWith('{\n  "model": {\n')).toBe(true);
    expect(text.endsWith("}\n")).toBe(true);
    expect(readFileSync(join(path, "checkpoints", "config.json"), "utf8")).toBe(text);
    expect(readRunConfig(path)).toEqual(config(7));
  });

  it("tells the config that its checkpoints were made with from the one that was edited", () => {
    const run = runDirectory(join(folder, "edited"));
    writeRunConfig(run, config(7));
    writeFileSync(run.config, JSON.stringify(config(8)));
    expect(configMadeWith(run).training.steps).toBe(7);
    expect(readRunConfig(run.path).training.steps).toBe(8);
    // Earlier versions kept none beside the checkpoints.
    const old = { ...run, madeWith: join(run.checkpoints, "none.json") };
    expect(configMadeWith(old).training.steps).toBe(8);
  });

  it("whose config is a folder, is missing, or is none, is an error that names the file", () => {
    const run = runDirectory(join(folder, "wrong"));
    mkdirSync(run.config, { recursive: true });
    expect(() => readRunConfig(run.path)).toThrow(`${run.config}: the run's config must be a file.`);
    expect(() => readRunConfig(join(folder, "none"))).toThrow(
      `The run's config ${join(folder, "none", "config.json")} does not exist.`,
    );
    const other = join(folder, "other");
    mkdirSync(other);
    writeFileSync(join(other, "config.json"), "[]");
    expect(() => readRunConfig(other)).toThrow(`${join(other, "config.json")}: `);
  });
});

describe("classes that a model lacks", () => {
  const said = (names: readonly string[], classes: readonly string[]): string | undefined => {
    try {
      assertClassesKnown(names, classes, "a.json");
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  };
  const letters = [..."abcdefghijk"];
  const numbered = (count: number): string[] => Array.from({ length: count }, (_, i) => `class ${i + 1}`);

  it("are none when it knows them all, named or not", () => {
    expect(said(["dog", "cat"], ["cat", "cow", "dog"])).toBe(undefined);
    expect(said([], ["cat"])).toBe(undefined);
    expect(said(["class 2"], numbered(2))).toBe(undefined);
  });

  it("are named, with what it knows, and the one that may be meant", () => {
    expect(said(["giraffe", "hrose", "cat"], ["cat", "horse"])).toBe(
      'a.json: the model has no class "giraffe", "hrose"; it knows cat, horse. Use annotations of the model\'s classes.',
    );
    expect(said(["hrose", "giraffe"], ["cat", "horse"])).toBe(
      'a.json: the model has no class "hrose", "giraffe"; it knows cat, horse. Did you mean "horse"?',
    );
  });

  it("are held against ten classes at most", () => {
    const start = `a.json: the model has no class "zebra"; it knows a, b, c, d, e, f, g, h, i, j`;
    const end = " Use annotations of the model's classes.";
    expect(said(["zebra"], letters.slice(0, 10))).toBe(`${start}.${end}`);
    expect(said(["zebra"], letters)).toBe(`${start}, ….${end}`);
  });

  it("can't be told where the model's have no names", () => {
    const end = "can't be told. Name them with --classes, label 1 first.";
    expect(said(["cat"], numbered(1))).toBe(
      `a.json: the model's 1 class have no names, so which are "cat" ${end}`,
    );
    expect(said(["cat", "class 2"], numbered(2))).toBe(
      `a.json: the model's 2 classes have no names, so which are "cat", "class 2" ${end}`,
    );
    const ten = '"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"';
    expect(said(letters.slice(0, 10), numbered(2))).toBe(
      `a.json: the model's 2 classes have no names, so which are ${ten} ${end}`,
    );
    expect(said(letters, numbered(2))).toBe(
      `a.json: the model's 2 classes have no names, so which are ${ten} … ${end}`,
    );
  });
});
