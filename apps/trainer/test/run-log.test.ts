import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readEvaluations, readMetrics, truncateLogs } from "../src/run-log.ts";
import { temporaryFolder } from "./command.ts";

const folder = temporaryFolder();
const line = (step: number): string =>
  JSON.stringify({ step, lr: 0.01, loss: 1.5, loss_mask: 0.5, secondsPerStep: 1, memoryMb: 3 });
const score = (step: number): string =>
  JSON.stringify({
    step,
    images: 2,
    seconds: 1,
    bbox: { stats: { AP: 0.5, APl: -1 }, perCategory: [{ id: 3, name: "a", AP: -1 }] },
  });
const write = (name: string, text: string): string => {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
};

describe("a run's logs", () => {
  it("are read; there may be none", () => {
    expect(
      readMetrics(write("m.jsonl", `${line(1)}\n${line(2)}\n`)).map((one) => [one.step, one["loss_mask"]]),
    ).toEqual([
      [1, 0.5],
      [2, 0.5],
    ]);
    expect(readEvaluations(write("e.jsonl", `${score(4)}\n`))[0]).toMatchObject({
      step: 4,
      bbox: { perCategory: [{ id: 3, name: "a" }] },
    });
    expect(readMetrics(join(folder, "none.jsonl"))).toEqual([]);
  });

  it.each<[string, string]>([
    ["in the middle of a number", `${line(1)}\n${line(2)}\n{"step":3,"lr":0.0`],
    ["before its end of line", `${line(1)}\n${line(2)}\n{`],
    ["by a power cut, to NULs", `${line(1)}\n${line(2)}\n\0\0\0\0`],
  ])("a last line that was cut %s is left out, and that is said", (_, text) => {
    const notes: string[] = [];
    const file = write("cut.jsonl", text);
    expect(readMetrics(file, { onNote: (note) => notes.push(note) }).map((one) => one.step)).toEqual([1, 2]);
    expect(notes).toEqual([`${file}: line 3 was cut when the training was stopped, and is left out.`]);
  });

  it.each<[string, string, RegExp]>([
    [
      "null",
      `${line(1)}\nnull\n${line(3)}\n`,
      /bad\.jsonl: line 2: .*got null.*Correct the line or remove it\.$/,
    ],
    ["a list", `[]\n${line(3)}\n`, /bad\.jsonl: line 1: step\b/],
    [
      "text for a number",
      `${line(1)}\n${line(2).replace("1.5", '"1.5"')}\n`,
      /bad\.jsonl: line 2: loss: .*got "1\.5"/,
    ],
    [
      "a step that is none",
      `${line(1).replace('"step":1', '"step":-1')}\n`,
      /bad\.jsonl: line 1: step: .*got -1/,
    ],
    ["a line without a step", `{"lr":1,"loss":1}\n`, /bad\.jsonl: line 1: step\b/],
    ["a whole line that is no JSON", `${line(1)}\n{"step":2\n${line(3)}\n`, /bad\.jsonl: line 2 is not JSON/],
    [
      "the last line, with its end, that is no JSON",
      `${line(1)}\n{"step":2\n`,
      /bad\.jsonl: line 2 is not JSON/,
    ],
    ["an empty line between", `${line(1)}\n\n${line(2)}\n`, /bad\.jsonl: line 2 is not JSON/],
    ["NULs between", `${line(1)}\n\0\0\n${line(2)}\n`, /bad\.jsonl: line 2 is not JSON/],
  ])("%s is an error that names file and line, and nothing is changed", (_, text, message) => {
    const file = write("bad.jsonl", text);
    expect(() => readMetrics(file)).toThrow(message);
    const evaluations = write("good.jsonl", `${score(1)}\n${score(9)}\n`);
    expect(() => truncateLogs({ metrics: file, evaluations }, 1)).toThrow(message);
    expect(readFileSync(file, "utf8")).toBe(text);
    expect(readFileSync(evaluations, "utf8")).toBe(`${score(1)}\n${score(9)}\n`);
  });

  it.each([
    ["null"],
    ['{"step":1,"images":2,"seconds":1,"bbox":null}'],
    ['{"step":1,"images":2,"seconds":1,"segm":{"stats":{"AP":"high"},"perCategory":[]}}'],
    ['{"step":1,"images":2,"seconds":1,"segm":{"stats":{},"perCategory":[null]}}'],
  ])("eval.jsonl with %s is an error that names file and line", (text) => {
    const file = write("scores.jsonl", `${score(1)}\n${text}\n`);
    expect(() => readEvaluations(file)).toThrow(`${file}: line 2: `);
  });

  it("a folder in a log's place is an error", () => {
    mkdirSync(join(folder, "dir.jsonl"));
    expect(() => readMetrics(join(folder, "dir.jsonl"))).toThrow("dir.jsonl: the run's log must be a file");
  });

  it("forget later steps, and the line that was cut; what is kept stays as it was written", () => {
    const metrics = write("t.jsonl", `${line(1)}\n${line(2).replace("0.01", "1e-2")}\n${line(3)}\n{"st`);
    const evaluations = write("u.jsonl", `${score(2)}\n${score(3)}\n`);
    truncateLogs({ metrics, evaluations }, 2);
    expect(readFileSync(metrics, "utf8")).toBe(`${line(1)}\n${line(2).replace("0.01", "1e-2")}\n`);
    expect(readFileSync(evaluations, "utf8")).toBe(`${score(2)}\n`);
  });
});
