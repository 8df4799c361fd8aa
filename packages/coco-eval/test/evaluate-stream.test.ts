import { evaluateCoco, evaluateCocoStream } from "../src/index.ts";
import { isMrcnnError } from "@mrcnn/core";
import type { CocoJson, CocoResult } from "@mrcnn/masks";
import { golden } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";

interface Golden {
  groundTruth: CocoJson;
  results: Record<"bbox" | "segm", CocoResult[]>;
}
const { groundTruth, results } = golden<Golden>(import.meta.url, "crowds");

async function* pieces(text: string | Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size);
}
const read = (text: string | Uint8Array, size = 7) =>
  evaluateCocoStream(groundTruth, pieces(text, size), { iouType: "bbox", name: "found.json" });

describe("evaluateCocoStream", () => {
  it.each([1, 2, 13, 1000, 1e9])("equals evaluateCoco, in pieces of %d bytes", async (size) => {
    for (const iouType of ["bbox", "segm"] as const) {
      const whole = evaluateCoco(groundTruth, results[iouType], { iouType });
      const text = JSON.stringify(results[iouType], null, size % 2);
      expect((await evaluateCocoStream(groundTruth, pieces(text, size), { iouType })).accumulated).toEqual(
        whole.accumulated,
      );
    }
  });

  it("reads lists that are longer than what it parses at once", async () => {
    // What looks like the end of an entry within one.
    const strange = {
      ...results.bbox[0]!,
      note: '{} },{ brackets ]}" and \\ and ü in a text',
      more: [{}, { deep: [{}, {}] }],
    };
    const many = Array.from({ length: 20_000 }, () => strange);
    const few = evaluateCoco(groundTruth, many.slice(0, 200), { iouType: "bbox" });
    // More than count per image change nothing.
    expect((await read(JSON.stringify(many), 60_000)).stats).toEqual(few.stats);
    expect((await read(JSON.stringify(many), 2 ** 30)).stats).toEqual(few.stats);
  });

  it("takes an empty list", async () => {
    expect((await read(" [ \n ] ")).stats).toEqual(evaluateCoco(groundTruth, [], { iouType: "bbox" }).stats);
  });

  const entry = JSON.stringify(results.bbox[0]);
  it.each([
    ["line 1, column 1: it is empty", ""],
    ["line 2, column 1: it is empty", "  \n"],
    ['it is {"annotation":[]}', `{"annotation":[]}`],
    ["it is an object with annotations, not a list of results", `{"annotations":[]}`],
    [
      "it is an annotation file. Give it with --annotations",
      `{"images":[],"annotations":[],"categories":[]}`,
    ],
    ["it is a file of LabelMe", `{"shapes":[],"imagePath":"a.jpg"}`],
    ["it is a web page", `<!DOCTYPE html><title>Sign in</title>`],
    ["it is compressed with gzip. Unpack it", Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0)],
    ["([1]): the file ends here, in the middle: it was cut short", `[${entry}`],
    ["([1].image_id): the file ends here, in the middle", `[${entry},{"image_id":"]`],
    ['([1]): a comma stands before "]"', `[${entry},]`],
    ['([1]): after a value must come a comma or "]"', `[${entry} ${entry}]`],
    ["([1].score): nan is no word of JSON", `[${entry}, {"score":nan}, ${entry}]`],
    ["line 2, column 10 ([2].score): None is no word of JSON", `[${entry}, ${entry} ,\n{"score":None}\n]\n`],
    ['([1]): after a value must come a comma or "]", not "}"', `[${entry}}`],
    ["the value has ended, and more follows", `[${entry}] [`],
    ["([0]): here stand bytes that are no UTF-8", Uint8Array.of(0x5b, 0x22, 0xff, 0x22, 0x5d)],
  ])("says that %s", async (reason, text) => {
    const error: unknown = await read(text).catch((thrown: unknown) => thrown);
    expect(isMrcnnError(error, "dataset")).toBe(true);
    expect(String(error)).toMatch(/^DatasetError: found\.json must be a JSON list of COCO results: /);
    expect(String(error)).toContain(reason);
  });

  it("names the entry, far into the file too", async () => {
    const many = Array.from({ length: 20_000 }, () => results.bbox[0]!);
    const bad = { ...results.bbox[0]!, score: null };
    await expect(read(JSON.stringify([...many, bad]), 100_000)).rejects.toThrow(
      "found.json[20000]: score must be a finite number, got null",
    );
    const text = JSON.stringify(many);
    await expect(read(`${text.slice(0, -1)},]`, 100_000)).rejects.toThrow("([20000]): a comma stands before");
    await expect(read(`${text.slice(0, 50)}"${text.slice(50)}`, 100_000)).rejects.toThrow(
      "([0]): after a key must come",
    );
    await expect(read(text.slice(0, -20), 100_000)).rejects.toThrow("([19999].bbox[1]): the file ends here");
  });

  // pycocotools takes Python's NaN as a number; as a score it has no order.
  it("hands over NaN, and names its entry", async () => {
    const one = { ...results.bbox[0]!, note: 1 };
    expect(
      (await read(JSON.stringify([one]).replace('"note":1', '"note":NaN,"more":[-Infinity]'))).stats,
    ).toEqual(evaluateCoco(groundTruth, [one], { iouType: "bbox" }).stats);
    await expect(
      read(JSON.stringify([one, one]).replace(/"score":[^,}]*(?=[^{]*$)/, '"score":NaN')),
    ).rejects.toThrow("found.json[1]: score must be a finite number, got NaN");
    await expect(read(JSON.stringify([one]).replace(/"bbox":\[[^,]*/, '"bbox":[Infinity'))).rejects.toThrow(
      /found\.json\[0\]: bbox must be .* got \[Infinity/,
    );
  });

  it("takes UTF-8 with a byte order mark, and UTF-16", async () => {
    const text = JSON.stringify(results.bbox);
    const whole = evaluateCoco(groundTruth, results.bbox, { iouType: "bbox" }).stats;
    expect((await read(`\ufeff${text}`)).stats).toEqual(whole);
    const wide = new Uint16Array(Array.from(`\ufeff${text}`, (c) => c.charCodeAt(0)));
    expect((await read(new Uint8Array(wide.buffer))).stats).toEqual(whole);
  });
});
