// The package as it is published, bundled by vite, in a Chromium.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startWasm } from "@mrcnn/backend-wasm";
import { chromium } from "playwright-core";
import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { build } from "../../../tools/bootstrap.mjs";
import { findChromium } from "../../../tools/setup/chromium.mjs";
import { maskToBitmap } from "../src/found.ts";
import type { Found } from "../src/found.ts";
import { loadMaskRcnn } from "../src/load-node.ts";
import { narrowFile, narrowModel, noise } from "./narrow.ts";
import { png } from "./page/png.ts";
import { buildSite, serveSite } from "./page/site.ts";
import type { SiteServer } from "./page/site.ts";

const { path: executablePath, reason } = findChromium();
if (executablePath === undefined) console.log(`skipped: the tests of pages: ${reason}.`);

const WEIGHTS = "models/maskrcnn.safetensors";
const NAME = "maskrcnn_resnet50_fpn";
const folder = mkdtempSync(join(tmpdir(), "mrcnn-page-"));
const image = noise(160, 120);
const photo = png(Uint8Array.from(image.data), image);
let expected: Found;
let warnings: string[];
let isolated: SiteServer;
let plain: SiteServer;
let browser: BrowserContext;
/** What no page should say. */
const complaints: string[] = [];

function expectSame(found: Found): void {
  expect(found.objects.map(({ label, name, categoryId }) => ({ label, name, categoryId }))).toEqual(expected.objects.map(({ label, name, categoryId }) => ({ label, name, categoryId })));
  for (const [i, { box, score, mask }] of found.objects.entries()) {
    const other = expected.objects[i]!;
    for (const side of ["x", "y", "width", "height"] as const) expect(Math.abs(box[side] - other.box[side])).toBeLessThan(0.01);
    expect(Math.abs(score - other.score)).toBeLessThan(1e-4);
    const [ours, theirs] = [maskToBitmap(mask!), maskToBitmap(other.mask!)];
    expect(ours.length).toBe(theirs.length);
    expect(ours.reduce((count, inside, at) => count + Number(inside !== theirs[at]), 0)).toBeLessThanOrEqual(0.001 * ours.length);
  }
  expect([found.width, found.height]).toEqual([expected.width, expected.height]);
}

async function open(url: string): Promise<Page> {
  const page = await browser.newPage();
  page.on("console", (message) => void (["error", "warning"].includes(message.type()) && complaints.push(`${message.type()}: ${message.text()}`)));
  page.on("pageerror", (error) => void complaints.push(String(error)));
  await page.goto(url);
  return page;
}
async function openApi(server: SiteServer): Promise<Page> {
  const page = await open(`${server.url}/api.html`);
  await page.waitForFunction(() => "mrcnn" in globalThis);
  return page;
}

describe.skipIf(executablePath === undefined)("a page", () => {
  beforeAll(async () => {
    build();
    const site = await buildSite(folder);
    warnings = site.warnings;
    await startWasm();
    const model = narrowModel(90, { backbone: { eps: 0 } });
    const weights = await narrowFile(model, { source: "torchvision" });
    model.dispose();
    const detector = await loadMaskRcnn({ weights, model: NAME, backend: "wasm" });
    expected = await detector.detect(image);
    detector.dispose();
    const files = new Map([["/photo.png", photo], [`/${WEIGHTS}`, weights]]);
    isolated = await serveSite(site.root, files, { isIsolated: true });
    plain = await serveSite(site.root, files, { isIsolated: false });
    browser = await chromium.launchPersistentContext(join(folder, "profile"), {
      executablePath: executablePath!,
      args: ["--headless=new", "--no-sandbox", "--disable-background-networking", "--disable-gpu", "--disable-component-update", "--disable-sync", "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
    });
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("is bundled without a warning", () => {
    expect(warnings).toEqual([]);
    expect(expected.objects.length).toBeGreaterThan(10);
  });

  it("runs the README's lines as they stand there", async () => {
    const page = await open(plain.url);
    await page.waitForFunction(() => "found" in globalThis);
    expectSame(await page.evaluate(() => found));
    const drawn = await page.evaluate(() => [...document.querySelector("canvas")!.getContext("2d")!.getImageData(0, 0, 160, 120).data].filter((_, i) => i % 4 === 3));
    const inside = expected.objects.map(({ mask }) => maskToBitmap(mask!));
    expect(drawn.map((alpha) => alpha > 0)).toEqual(drawn.map((_, at) => inside.some((mask) => mask[at] === 1)));
    await page.close();
  });

  it.each(["isolated", "plain"] as const)("finds what Node finds in images of every kind, %s", async (kind) => {
    const page = await openApi(kind === "isolated" ? isolated : plain);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(kind === "isolated");
    const all = await page.evaluate(async ({ weights, name }) => {
      const model = await mrcnn.loadMaskRcnn({ weights, model: name });
      const blob = await (await fetch("photo.png")).blob();
      const element = Object.assign(new Image(), { src: "photo.png" });
      const canvas = document.createElement("canvas");
      await element.decode();
      Object.assign(canvas, { width: element.naturalWidth, height: element.naturalHeight });
      const context = canvas.getContext("2d")!;
      context.drawImage(element, 0, 0);
      const times: number[] = [];
      const found = [];
      for (const one of [blob, "photo.png", element, context.getImageData(0, 0, canvas.width, canvas.height), canvas, await createImageBitmap(blob)]) {
        const before = performance.now();
        found.push(await model.detect(one));
        times.push(performance.now() - before);
      }
      model.dispose();
      return { found, times, backend: model.backend, threads: await mrcnn.threads(), processors: navigator.hardwareConcurrency };
    }, { weights: WEIGHTS, name: NAME });
    for (const found of all.found) expectSame(found);
    expect(all.backend).toBe("wasm");
    expect(all.threads).toBe(kind === "isolated" ? Math.min(8, all.processors) : 1);
    await page.close();
  });

  it("complains of nothing", () => {
    expect(complaints).toEqual([]);
  });
});
