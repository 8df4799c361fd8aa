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
const read = (text: string | Uint8Array, size = 7) => evaluateCocoStream(groundTruth, pieces(text, size), { iouType: "bbox", name: "found.json" });

describe("evaluateCocoStream", () => {
  it.each([1, 2, 13, 1000, 1e9])("equals evaluateCoco, in pieces of %d bytes", async (size) => {
    for (const iouType of ["bbox", "segm"] as const) {
      const whole = evaluateCoco(groundTruth, results[iouType], { iouType });
      const text = JSON.stringify(results[iouType], null, size % 2);
      expect((await evaluateCocoStream(groundTruth, pieces(text, size), { iouType })).accumulated).toEqual(whole.accumulated);
    }
  });

  it("reads lists that are longer than what it parses at once", async () => {
    // What looks like the end of an entry within one.
    const strange = { ...results.bbox[0]!, note: '{} },{ brackets ]}" and \\ and ü in a text', more: [{}, { deep: [{}, {}] }] };
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
    ["it is empty", ""],
    ["it is empty", "  \n"],
    ["it does not begin as one", `{"annotations":[]}`],
    ["from entry 0 on", `[${entry}`],
    ["from entry 0 on", `[${entry},{"image_id":"]`],
    ["from entry 0 on", `[${entry},]`],
    ["entry 0 is no JSON, ", `[${entry} ${entry}]`],
    ["entry 1 is no JSON, Unexpected token 'N'", `[${entry}, {"score":NaN}, ${entry}]`],
    ["entry 2 is no JSON, Unexpected token 'N'", `[${entry}, ${entry} ,\n{"score":NaN}\n]\n`],
    ["from entry 0 on", `[${entry}}`],
    ["from entry 0 on", `[${entry}] [`],
    ["from entry 0 on", Uint8Array.of(0x5b, 0x22, 0xff, 0x22, 0x5d)],
  ])("says that %s", async (reason, text) => {
    const error: unknown = await read(text).catch((thrown: unknown) => thrown);
    expect(isMrcnnError(error, "dataset")).toBe(true);
    expect(String(error)).toContain(`found.json must be a JSON list of COCO results: ${reason}`);
  });

  it("names the entry, far into the file too", async () => {
    const many = Array.from({ length: 20_000 }, () => results.bbox[0]!);
    const bad = { ...results.bbox[0]!, score: null };
    await expect(read(JSON.stringify([...many, bad]), 100_000)).rejects.toThrow("found.json[20000]: score must be a finite number, got null");
    const text = JSON.stringify(many);
    await expect(read(`${text.slice(0, -1)},]`, 100_000)).rejects.toThrow(/from entry \d{4,} on/);
    await expect(read(`${text.slice(0, 50)}"${text.slice(50)}`, 100_000)).rejects.toThrow("entry 0 is no JSON");
    await expect(read(`${text.slice(0, -1)},${text.replace(/"score":[^,]*/, '"score":Infinity').slice(1)}`, 100_000)).rejects.toThrow("entry 20000 is no JSON, Unexpected token 'I'");
    await expect(read(text.slice(0, -20), 100_000)).rejects.toThrow(/from entry \d{4,} on/);
  });
});
