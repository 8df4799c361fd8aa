// The package bundled by vite, in a Chromium.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CocoJson, CocoResult } from "@mrcnn/masks";
import { golden } from "@mrcnn/testing";
import { chromium } from "playwright-core";
import type { Browser } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findChromium } from "../../../tools/setup/chromium.mjs";
import { createCocoEvaluator, evaluateCoco } from "../src/index.ts";
import type { EvaluateCocoOptions } from "../src/index.ts";

declare global {
  var cocoEval: typeof import("../src/index.ts");
}
interface Case {
  options: EvaluateCocoOptions;
  groundTruth: CocoJson;
  results: CocoResult[];
  stats: Record<string, number>;
}

const { path: executablePath, reason } = findChromium();
if (executablePath === undefined) console.log(`skipped: the tests in a browser: ${reason}.`);
let folder: string;
let code: string;
let browser: Browser;

describe.skipIf(executablePath === undefined)("a page", () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "mrcnn-coco-eval-page-"));
    const entry = join(folder, "entry.js");
    writeFileSync(
      entry,
      `import * as cocoEval from ${JSON.stringify(join(import.meta.dirname, "../src/index.ts"))};\nglobalThis.cocoEval = cocoEval;\n`,
    );
    const bundled = await build({
      root: folder,
      configFile: false,
      logLevel: "silent",
      resolve: { conditions: ["@mrcnn/source", "browser", "import", "module", "default"] },
      build: { write: false, lib: { entry, formats: ["es"], fileName: "bundle" } },
    });
    const outputs = (Array.isArray(bundled) ? bundled : [bundled]).flatMap((one) =>
      "output" in one ? one.output : [],
    );
    code = outputs.map((one) => (one.type === "chunk" ? one.code : "")).join("");
    browser = await chromium.launch({
      executablePath: executablePath!,
      args: ["--headless=new", "--no-sandbox", "--disable-gpu"],
    });
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("gives pycocotools' numbers, from entries, bytes and shards, without tensors or Node", async () => {
    expect(code).not.toMatch(/tensorflow|tfjs|node:/);
    const cases = ["bbox", "segm", "keypoints"].map(
      (type) => golden<{ cases: Case[] }>(import.meta.url, `random-${type}`).cases[0]!,
    );
    const params = { iouType: "bbox", categories: [{ id: 1, name: "a" }] } as const;
    const shard = createCocoEvaluator(params);
    shard.add(
      1,
      [{ categoryId: 1, score: 0.5, bbox: [0, 0, 8, 9] }],
      [{ categoryId: 1, bbox: [0, 0, 9, 9] }],
    );
    const page = await browser.newPage();
    await page.addScriptTag({ content: code, type: "module" });
    await page.waitForFunction(() => "cocoEval" in globalThis);
    const [whole, streamed, merged] = await page.evaluate(
      async ({ cases, params, partial }) => {
        const { createCocoEvaluator, evaluateCoco, evaluateCocoStream } = cocoEval;
        const stats = cases.map(
          ({ groundTruth, results, options }) => evaluateCoco(groundTruth, results, options).stats,
        );
        const { groundTruth, results, options } = cases[1]!;
        const body = new Response(JSON.stringify(results)).body as unknown as AsyncIterable<Uint8Array>;
        const { stats: streamed } = await evaluateCocoStream(groundTruth, body, options);
        const evaluator = createCocoEvaluator(params);
        evaluator.merge(Uint8Array.from(partial));
        return [stats, streamed, evaluator.summarize()] as const;
      },
      { cases, params, partial: [...shard.partial()] },
    );
    expect(whole).toEqual(
      cases.map(({ groundTruth, results, options }) => evaluateCoco(groundTruth, results, options).stats),
    );
    whole.forEach((stats, i) => {
      for (const [name, value] of Object.entries(cases[i]!.stats))
        expect(Math.abs(stats[name]! - value)).toBeLessThanOrEqual(1e-12);
    });
    expect(streamed).toEqual(whole[1]);
    expect(merged).toEqual(shard.summarize());
    await page.close();
  });
});
