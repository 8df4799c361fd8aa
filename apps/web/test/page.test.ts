// The built page in a Chromium: what people do with it, and what goes wrong for them.
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { catalogEntry } from "@mrcnn/mask-rcnn/catalog";
import { decodeRle, rleFromString, toFullBitmap } from "@mrcnn/masks";
import type { CocoAnnotation, CocoResult, CocoRle } from "@mrcnn/masks";
import axe from "axe-core";
import type { Browser, Page, Worker } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWasm } from "@mrcnn/backend-wasm";
import { contentSecurityPolicy } from "../src/content-security-policy.ts";
import type { ScoredCoco } from "../src/export.ts";
import { namedFile, pictureOf, pngFile, runFiles, torchvisionFile, withMetadata } from "./models.ts";
import {
  buildSite,
  download,
  drop,
  executablePath,
  host,
  looked,
  open,
  ready,
  reason,
  setThreshold,
  startBrowser,
  textOf,
} from "./site.ts";
import type { Host } from "./site.ts";

if (executablePath === undefined) console.log(`skipped: the tests of the page in a browser: ${reason}.`);

const cocoKeypoints = catalogEntry("keypointrcnn_resnet50_fpn").keypoints!.names;
let site: Awaited<ReturnType<typeof buildSite>>;
let isolated: Host;
let plain: Host;
let browser: Browser;
let folder: string;

/** The objects that the page lists. */
const listed = (page: Page): Promise<number> => page.locator("#objects li").count();
const saveCoco = async (page: Page): Promise<ScoredCoco> =>
  JSON.parse(Buffer.from((await download(page, "#save-coco")).bytes).toString("utf8")) as ScoredCoco;

/** The pixels of a PNG: RGBA. */
function pixelsOf(page: Page, bytes: Uint8Array): Promise<{ width: number; height: number; data: number[] }> {
  return page.evaluate(async (base64) => {
    const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${base64}`)).blob(), {
      premultiplyAlpha: "none",
    });
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext("2d")!;
    context.drawImage(bitmap, 0, 0);
    return {
      width: bitmap.width,
      height: bitmap.height,
      data: [...context.getImageData(0, 0, bitmap.width, bitmap.height).data],
    };
  }, Buffer.from(bytes).toString("base64"));
}

const maskOf = ({ segmentation }: CocoAnnotation | CocoResult): Uint8Array => {
  const { size, counts } = segmentation as CocoRle;
  return toFullBitmap(rleFromString(counts as string, { height: size[0], width: size[1] }, "test"));
};

describe.skipIf(executablePath === undefined)("the page", () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "mrcnn-web-test-"));
    await startWasm();
    site = await buildSite();
    isolated = await host(site.root);
    plain = await host(site.root, { isIsolated: false });
    browser = await startBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await Promise.all([isolated?.close(), plain?.close()]);
    site?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  it("detects with the model that comes with it, on wasm, with all threads where it may", async () => {
    const { page, context, complaints } = await open(browser, isolated.url);
    const threads = await page.evaluate(() => Math.min(8, navigator.hardwareConcurrency));
    expect(await textOf(page, "#status")).toBe(
      `Ready on WebAssembly, ${threads === 1 ? "one thread" : `${threads} threads`}.`,
    );
    await page.click("#samples button");
    await looked(page);
    await setThreshold(page, 0.01);
    expect(await listed(page)).toBeGreaterThan(0);
    expect(await textOf(page, "#timing")).toMatch(/^\d+ × \d+, .* on WebAssembly/);
    expect(complaints.filter((text) => !/No available adapters/.test(text))).toEqual([]);
    await context.close();
  });

  it("adds the headers of isolation itself where the host sends none", async () => {
    const { page, context } = await open(browser, plain.url, { isReady: false });
    await page.waitForFunction(() => globalThis.crossOriginIsolated, undefined, { timeout: 20_000 });
    await ready(page, "WebAssembly");
    expect(await textOf(page, "#status")).toMatch(/threads|one thread/);
    await context.close();
  });

  it("works on one thread where there is no isolation at all", async () => {
    const context = await browser.newContext({ serviceWorkers: "block" });
    const page = await context.newPage();
    await page.goto(plain.url);
    await ready(page, "WebAssembly, one thread");
    await page.click("#samples button");
    await looked(page);
    expect(await page.locator("#canvas").getAttribute("data-state")).toBe("done");
    await context.close();
  });

  it("finds with dropped weights what the command finds", async () => {
    const weights = await torchvisionFile();
    const png = pngFile(pictureOf(200, 140));
    const [weightsPath, imagePath, jsonPath] = ["w.safetensors", "picture.png", "found.json"].map((name) =>
      join(folder, name),
    ) as [string, string, string];
    writeFileSync(weightsPath, weights);
    writeFileSync(imagePath, png);
    const command = join(import.meta.dirname, "..", "..", "trainer", "bin", "mrcnn.mjs");
    await promisify(execFile)(process.execPath, [
      command,
      "detect",
      imagePath,
      "--model",
      "maskrcnn_resnet50_fpn",
      "--weights",
      weightsPath,
      "--score-threshold",
      "0.05",
      "--backend",
      "wasm",
      "--json",
      jsonPath,
    ]);
    const expected = JSON.parse(readFileSync(jsonPath, "utf8")) as CocoResult[];
    expect(expected.length).toBeGreaterThan(10);

    const { page, context } = await open(browser, isolated.url);
    await drop(page, [{ name: "picture.png", bytes: png, type: "image/png" }]);
    await looked(page);
    await drop(page, [{ name: "w.safetensors", bytes: weights }]);
    await page.waitForFunction(
      () => document.querySelector("#model-name")!.textContent === "w.safetensors",
      undefined,
      { timeout: 60_000 },
    );
    await looked(page);
    // What the file can't tell is said, as by the command.
    expect(await textOf(page, "#status")).toMatch(
      /^Ready on .*, with \d+ settings assumed: listed beside the picture\.$/,
    );
    expect(await textOf(page, "#assumed-title")).toMatch(/^\d+ settings assumed$/);
    expect(await textOf(page, "#assumed-text")).toMatch(
      /^w\.safetensors does not say, so this is assumed: .*anchors\.sizes=\[\[32\].*`mrcnn convert --set path=value` writes weights that say it\.$/,
    );
    await page.click("#assumed-title");
    expect(await page.locator("#assumed").isVisible()).toBe(true);
    await setThreshold(page, 0.05);
    const { annotations } = await saveCoco(page);
    expect(annotations.map(({ category_id }) => category_id)).toEqual(
      expected.map(({ category_id }) => category_id),
    );
    for (const [i, { bbox, score, ...rest }] of annotations.entries()) {
      const other = expected[i]!;
      for (const side of [0, 1, 2, 3]) expect(Math.abs(bbox[side]! - other.bbox![side]!)).toBeLessThan(0.01);
      expect(Math.abs(score - other.score)).toBeLessThan(1e-4);
      const [ours, theirs] = [maskOf({ bbox, ...rest }), maskOf(other)];
      expect(
        ours.reduce((count, inside, at) => count + Number(inside !== theirs[at]), 0),
      ).toBeLessThanOrEqual(0.001 * ours.length);
    }
    await context.close();
  });

  it("applies threshold and classes at once, without the worker", async () => {
    const { page, context } = await open(browser, isolated.url);
    await page.click("#samples button");
    await looked(page);
    await setThreshold(page, 0.01);
    const all = await saveCoco(page);
    const scores = all.annotations.map(({ score }) => score).toSorted((a, b) => b - a);
    const middle = scores[scores.length >> 1]!;
    const timing = await textOf(page, "#timing");
    const posted = await page.evaluate(() => {
      const own = Worker.prototype.postMessage;
      const seen: unknown[] = [];
      Worker.prototype.postMessage = function (this: Worker, ...args: unknown[]) {
        seen.push(args[0]);
        return own.apply(this, args as never);
      };
      return Object.assign(globalThis, { seen }) && seen.length;
    });
    expect(posted).toBe(0);
    const at = Math.ceil(middle * 100) / 100;
    await setThreshold(page, at);
    expect(await listed(page)).toBe(scores.filter((score) => score >= at).length);
    await setThreshold(page, 0.01);
    const [first] = await page.locator("#class-list label").all();
    const label = Number(await first!.getAttribute("data-label"));
    await first!.locator("input").uncheck();
    expect(await listed(page)).toBe(
      all.annotations.filter(({ category_id }) => category_id !== all.categories[label - 1]!.id).length,
    );
    expect(await page.evaluate(() => (globalThis as unknown as { seen: unknown[] }).seen)).toEqual([]);
    expect(await textOf(page, "#timing")).toBe(timing);
    await context.close();
  });

  it("saves the picture, a cut-out and COCO JSON, and copies", async () => {
    const { page, context } = await open(browser, isolated.url);
    const png = pngFile(pictureOf(120, 90));
    await drop(page, [{ name: "photo.png", bytes: png, type: "image/png" }]);
    await looked(page);
    await setThreshold(page, 0.01);
    const { images, annotations, categories } = await saveCoco(page);
    expect(images).toEqual([{ id: 1, width: 120, height: 90, file_name: "photo.png" }]);
    expect(annotations.length).toBeGreaterThan(0);
    for (const annotation of annotations) {
      expect(annotation.area).toBe(maskOf(annotation).reduce((sum, value) => sum + value, 0));
      expect(categories.map(({ id }) => id)).toContain(annotation.category_id);
    }
    // The first object that has pixels, alone.
    const at = annotations.findIndex(({ area }) => area! > 0);
    const chosen = annotations[at]!;
    await page.locator("#objects li").nth(at).click();
    const cut = await download(page, "#save-cutout");
    expect(cut.name).toBe("photo-cutout.png");
    const pixels = await pixelsOf(page, cut.bytes);
    const mask = maskOf(chosen);
    const tight = decodeRle(
      rleFromString((chosen.segmentation as CocoRle).counts as string, { height: 90, width: 120 }, "test"),
    );
    expect([pixels.width, pixels.height]).toEqual([tight.width, tight.height]);
    const original = await pixelsOf(page, png);
    const wrong: string[] = [];
    for (let y = 0; y < tight.height; y++) {
      for (let x = 0; x < tight.width; x++) {
        const from = 4 * (y * tight.width + x);
        const to = (tight.top + y) * 120 + tight.left + x;
        const alpha = mask[to] === 1 ? 255 : 0;
        const isSame =
          alpha === 0 || [0, 1, 2].every((c) => pixels.data[from + c] === original.data[4 * to + c]);
        if (pixels.data[from + 3] !== alpha || !isSame) wrong.push(`${x}, ${y}`);
      }
    }
    expect(wrong).toEqual([]);
    const picture = await download(page, "#save-png");
    expect(picture.name).toBe("photo-objects.png");
    const header = Buffer.from(picture.bytes);
    expect([header.readUInt32BE(16), header.readUInt32BE(20)]).toEqual([120 * 8, 90 * 8]);
    await page.click("#copy");
    await page.waitForFunction(() => document.querySelector("#status")!.textContent === "Copied.");
    const copied = await page.evaluate(async () => {
      const [item] = await navigator.clipboard.read();
      const bitmap = await createImageBitmap(await item!.getType("image/png"));
      return [bitmap.width, bitmap.height];
    });
    expect(copied).toEqual([120 * 8, 90 * 8]);
    await context.close();
  });

  it("selects by click and by keyboard, in the picture and in the list", async () => {
    const { page, context } = await open(browser, isolated.url);
    await drop(page, [{ name: "photo.png", bytes: pngFile(pictureOf(120, 90)), type: "image/png" }]);
    await looked(page);
    await setThreshold(page, 0.01);
    const count = await listed(page);
    expect(count).toBeGreaterThan(1);
    const selected = (): Promise<number[]> =>
      page
        .locator("#objects li")
        .evaluateAll((items) => items.flatMap((item, i) => (item.ariaSelected === "true" ? [i] : [])));
    await page.focus("#canvas");
    await page.keyboard.press("ArrowRight");
    expect(await selected()).toEqual([0]);
    await page.keyboard.press("ArrowRight");
    expect(await selected()).toEqual([1]);
    await page.keyboard.press("Escape");
    expect(await selected()).toEqual([]);
    await page.focus("#objects");
    await page.keyboard.press("End");
    expect(await selected()).toEqual([count - 1]);
    expect(await page.getAttribute("#objects", "aria-activedescendant")).toMatch(/^object-\d+$/);
    await context.close();
  });

  it("shows the pipeline from inside", async () => {
    const { page, context } = await open(browser, isolated.url);
    await page.click("#samples button");
    await looked(page);
    await setThreshold(page, 0.05);
    const found = await saveCoco(page);
    await page.click("#look-inside");
    await page.waitForSelector("#inside:not([hidden])");
    const factsOf = async (step: string): Promise<string> => {
      await page.click(`#tab-${step}`);
      return textOf(page, "#step-facts");
    };
    const { width, height } = found.images[0]!;
    expect(await factsOf("input")).toBe(
      `${width} × ${height} pixels become ${width} × ${height}, padded to ${width} × ${height}.`,
    );
    expect(await factsOf("features")).toBe(
      `p2: ${width / 4} × ${height / 4} features, each 4 × 4 pixels of the input.`,
    );
    await page.click("#step-controls button:nth-child(4)");
    expect(await textOf(page, "#step-facts")).toBe(
      `p5: ${width / 32} × ${height / 32} features, each 32 × 32 pixels of the input.`,
    );
    expect(await factsOf("anchors")).toMatch(
      /^p5: 3 anchors at each of .* places: 13\d × 6\d, 9\d × 9\d, 6\d × 13\d pixels\.$/,
    );
    expect(await factsOf("proposals")).toMatch(/^1000 proposals: \d+ from p2/);
    expect(await factsOf("roi")).toContain("7 × 7 bins on p2");
    expect(await page.locator("#step-controls option").count()).toBe(found.annotations.length);
    await page.getByText("mask head").click();
    expect(await textOf(page, "#step-facts")).toContain(
      "14 × 14 bins on p2, whose features are 4 pixels wide; 784 points",
    );
    expect(await factsOf("mask")).toMatch(/^28 × 28 probabilities, \d+ of them/);
    await factsOf("times");
    const stages = await page.locator("#inside-times span:nth-child(3n + 1)").allTextContents();
    expect(stages).toEqual([
      "resize",
      "stem",
      "layer1",
      "layer2",
      "layer3",
      "layer4",
      "fpn",
      "rpn head",
      "proposals",
      "box pooling",
      "box head",
      "selection",
      "mask pooling",
      "mask head",
      "paste",
    ]);
    await page.keyboard.press("Escape");
    await page.waitForSelector("#inside", { state: "hidden" });
    expect(await page.isVisible("#canvas")).toBe(true);
    await context.close();
  });

  it.each(["light", "dark"] as const)("is accessible as far as axe can tell, %s", async (colorScheme) => {
    const { page, context } = await open(browser, isolated.url);
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const violations = async (): Promise<string[]> => {
      const { violations: all } = await page.evaluate(() =>
        (
          globalThis as unknown as {
            axe: {
              run(): Promise<{
                violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[];
              }>;
            };
          }
        ).axe.run(),
      );
      return all.flatMap(({ id, nodes }) =>
        nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
      );
    };
    await page.evaluate(axe.source);
    expect(await violations()).toEqual([]);
    await page.click("#samples button");
    await looked(page);
    await page.focus("#canvas");
    await page.keyboard.press("ArrowRight");
    expect(await violations()).toEqual([]);
    await page.click("#choose-model");
    await page.waitForFunction(() => document.querySelector("#kept")!.children.length > 0);
    expect(await violations()).toEqual([]);
    await page.keyboard.press("Escape");
    await page.click("#look-inside");
    await page.waitForSelector("#inside:not([hidden])");
    for (const step of ["anchors", "roi", "times"]) {
      await page.click(`#tab-${step}`);
      expect(await violations()).toEqual([]);
    }
    await context.close();
  });

  it("shows keypoints with their skeleton", async () => {
    const weights = await namedFile({ classes: ["person"], mask: false, keypoints: cocoKeypoints });
    const { page, context, complaints } = await open(browser, isolated.url);
    await drop(page, [{ name: "photo.png", bytes: pngFile(pictureOf(90, 90)), type: "image/png" }]);
    await looked(page);
    await page.selectOption("#detail", "128");
    await looked(page);
    await drop(page, [{ name: "keypoints.safetensors", bytes: weights }]);
    await page.waitForFunction(
      () => document.querySelector("#model-name")!.textContent === "keypoints.safetensors",
      undefined,
      { timeout: 60_000 },
    );
    await looked(page);
    await setThreshold(page, 0.05);
    const { annotations, categories } = await saveCoco(page);
    expect(categories).toEqual([{ id: 1, name: "person" }]);
    expect(annotations.length).toBeGreaterThan(0);
    for (const { keypoints, num_keypoints } of annotations)
      expect([keypoints!.length, num_keypoints]).toEqual([51, 17]);
    // Limbs of the three kinds are drawn in colours that no picture of ours and no object has.
    await page.locator("#objects li").first().click();
    const picture = await download(page, "#save-png");
    const colours = await page.evaluate(async (base64) => {
      const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${base64}`)).blob());
      const drawing = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d")!;
      drawing.drawImage(bitmap, 0, 0);
      const { data } = drawing.getImageData(0, 0, bitmap.width, bitmap.height);
      const wanted = ["70,224,106", "255,154,46", "74,168,255"];
      const seen = new Set<string>();
      for (let i = 0; i < data.length; i += 4) seen.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
      return wanted.filter((colour) => seen.has(colour));
    }, Buffer.from(picture.bytes).toString("base64"));
    expect(colours.length).toBeGreaterThan(0);
    expect(complaints.filter((text) => !/No available adapters/.test(text))).toEqual([]);
    await context.close();
  });

  it("looks at a video until its end, and takes what is pasted", async () => {
    const { page, context } = await open(browser, isolated.url);
    const video = await page.evaluate(async () => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 96, height: 64 });
      const drawing = canvas.getContext("2d")!;
      const recorder = new MediaRecorder(canvas.captureStream(20), { mimeType: "video/webm" });
      const parts: Blob[] = [];
      recorder.ondataavailable = ({ data }) => parts.push(data);
      recorder.start();
      for (let i = 0; i < 20; i++) {
        drawing.fillStyle = `hsl(${i * 18} 80% 50%)`;
        drawing.fillRect(0, 0, 96, 64);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await new Promise((resolve) => {
        recorder.onstop = resolve;
        recorder.stop();
      });
      return [...new Uint8Array(await new Blob(parts).arrayBuffer())];
    });
    await drop(page, [{ name: "film.webm", bytes: Uint8Array.from(video), type: "video/webm" }]);
    await page.waitForFunction(
      () => document.querySelector<HTMLElement>("#canvas")!.dataset["state"] === "live",
      undefined,
      { timeout: 30_000 },
    );
    await page.waitForFunction(
      () => document.querySelector<HTMLElement>("#canvas")!.dataset["state"] !== "live",
      undefined,
      { timeout: 30_000 },
    );
    await page.evaluate(
      (bytes) => {
        const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(bytes)], "pasted.png", { type: "image/png" }));
        document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
      },
      [...pngFile(pictureOf(70, 50))],
    );
    await looked(page);
    expect(await textOf(page, "#timing")).toMatch(/^70 × 50/);
    await context.close();
  });

  it("looks at the camera, always at the newest frame", async () => {
    const { page, context } = await open(browser, isolated.url, {
      // Hears each answer before the page does.
      script: `
        globalThis.counts = { open: 0, most: 0, frames: 0 };
        globalThis.Worker = class extends Worker {
          constructor(...args) {
            super(...args);
            this.addEventListener("message", ({ data }) => data.type === "found" && counts.open--);
          }
          postMessage(message, transfer) {
            if (message.type === "detect") {
              counts.most = Math.max(counts.most, ++counts.open);
              counts.frames++;
            }
            super.postMessage(message, transfer);
          }
        };`,
    });
    await page.click("#camera");
    await page.waitForFunction(
      () => /^Live: \d+\.\d frames per second$/.test(document.querySelector("#status")!.textContent!),
      undefined,
      { timeout: 30_000 },
    );
    await page.waitForFunction(
      () =>
        document.querySelector<HTMLElement>("#canvas")!.dataset["state"] === "live" &&
        !document.querySelector<HTMLElement>("#canvas")!.hidden,
    );
    await page.waitForFunction(
      () => (globalThis as unknown as { counts: { frames: number } }).counts.frames >= 5,
      undefined,
      { timeout: 60_000 },
    );
    expect(
      await page.evaluate(() => (globalThis as unknown as { counts: { most: number } }).counts.most),
    ).toBe(1);
    await page.click("#camera");
    await page.waitForFunction(() => document.querySelector("#status")!.textContent!.startsWith("Ready"));
    expect(await page.isVisible("#welcome")).toBe(true);
    await context.close();
  });

  it("says what is wrong with a broken picture, broken weights, and other files, and goes on", async () => {
    const { page, context } = await open(browser, isolated.url);
    await drop(page, [
      { name: "broken.png", bytes: pngFile(pictureOf(60, 60)).subarray(0, 60), type: "image/png" },
    ]);
    await page.waitForSelector("#problem:not([hidden])");
    expect(await textOf(page, "#problem-title")).toBe("This image can't be read");
    expect(await textOf(page, "#problem-detail")).toContain("broken.png");
    await page.click("#dismiss");
    await drop(page, [{ name: "broken.pth", bytes: Buffer.from("PK\u0003\u0004 and then nothing") }]);
    await page.waitForSelector("#problem:not([hidden])");
    expect(await textOf(page, "#problem-title")).toBe("These weights can't be used");
    expect(await textOf(page, "#problem-advice")).toContain(".pth of torchvision");
    await page.click("#dismiss");
    await drop(page, [{ name: "notes.txt", bytes: Buffer.from("text"), type: "text/plain" }]);
    await page.waitForSelector("#problem:not([hidden])");
    expect(await textOf(page, "#problem-title")).toBe("This file can't be used");
    await page.click("#dismiss");
    // The model that was there still works.
    await page.click("#samples button");
    await looked(page);
    expect(await page.getAttribute("#canvas", "data-state")).toBe("done");
    await context.close();
  });

  it("takes a second picture while the first is looked at", async () => {
    const { page, context } = await open(browser, isolated.url);
    await drop(page, [{ name: "one.png", bytes: pngFile(pictureOf(400, 300, 5)), type: "image/png" }]);
    await drop(page, [{ name: "two.png", bytes: pngFile(pictureOf(90, 120, 6)), type: "image/png" }]);
    await page.waitForFunction(() => document.querySelectorAll("#strip button").length === 2);
    await looked(page);
    expect(await textOf(page, "#timing")).toMatch(/^90 × 120/);
    await page.waitForFunction(
      () =>
        [...document.querySelectorAll("#strip small")].every(({ textContent }) => /^\d+$/.test(textContent!)),
      undefined,
      { timeout: 30_000 },
    );
    await page.locator("#strip button").first().click();
    await page.waitForFunction(() => document.querySelector("#timing")!.textContent!.startsWith("400 × 300"));
    await context.close();
  });

  it("goes on with a download where it was stopped", async () => {
    const weights = await torchvisionFile();
    isolated.extra.set("models/far.safetensors", weights);
    isolated.rate = weights.length / 4;
    const { page, context } = await open(browser, isolated.url);
    const ask = async (): Promise<void> => {
      await page.click("#choose-model");
      await page.fill("#weights-url", `${isolated.url}models/far.safetensors`);
      await page.click("#url-form button");
    };
    await ask();
    await page.waitForFunction(
      () =>
        !document.querySelector<HTMLElement>("#progress")!.hidden &&
        document.querySelector("progress")!.value > 0.2 &&
        document.querySelector("progress")!.value < 0.9,
      undefined,
      { timeout: 20_000 },
    );
    await page.click("#cancel");
    await page.waitForSelector("#progress", { state: "hidden" });
    await page.reload();
    await ready(page);
    isolated.rate = Infinity;
    await ask();
    await page.waitForFunction(
      () => document.querySelector("#model-name")!.textContent === "far.safetensors",
      undefined,
      { timeout: 60_000 },
    );
    const bodies = isolated.sent
      .filter(({ path }) => path === "models/far.safetensors")
      .map(({ bytes }) => bytes);
    expect(bodies).toHaveLength(2);
    expect(bodies[0]).toBe(weights.length);
    expect(bodies[1]).toBeLessThan(0.85 * weights.length);
    // What is kept is shown, and can be cleared.
    await page.click("#choose-model");
    await page.waitForFunction(() =>
      document.querySelector("#kept")!.textContent!.includes("far.safetensors"),
    );
    expect(await textOf(page, "#kept-size")).toMatch(/^\d+(\.\d)? [kM]B together$/);
    await page.click("#clear");
    await page.waitForFunction(() => document.querySelector("#kept-size")!.textContent === "Nothing yet.");
    await context.close();
  });

  it("takes the folder of a training", async () => {
    const { page, context } = await open(browser, isolated.url);
    const run = join(folder, "run");
    mkdirSync(join(run, "checkpoints", "step-00000003"), { recursive: true });
    const { config, weights } = await runFiles();
    writeFileSync(join(run, "config.json"), config);
    writeFileSync(join(run, "checkpoints", "step-00000003", "weights.safetensors"), weights);
    await page.setInputFiles("#run-folder", run);
    await page.waitForFunction(
      () => document.querySelector("#model-name")!.textContent === "run",
      undefined,
      { timeout: 60_000 },
    );
    await drop(page, [{ name: "photo.png", bytes: pngFile(pictureOf(96, 80)), type: "image/png" }]);
    await looked(page);
    await setThreshold(page, 0);
    const { categories } = await saveCoco(page);
    expect(categories).toEqual([
      { id: 7, name: "left" },
      { id: 9, name: "right" },
    ]);
    await context.close();
  });

  it("refuses a training or weights whose metadata is wrong, and keeps the model that works", async () => {
    const { page, context, complaints } = await open(browser, isolated.url);
    const before = await textOf(page, "#model-name");
    const { config, weights } = await runFiles();
    const whole = JSON.parse(config) as {
      model: { classes: string[] };
      data: { categories: object[] };
      evaluation: object;
    };
    const named = async (
      name: string,
      metadata: Record<string, string>,
    ): Promise<{ name: string; bytes: Uint8Array }> => ({
      name,
      bytes: withMetadata(weights, { format: "mrcnn", ...metadata }),
    });
    const runs: Record<string, string> = {
      "categories of text": JSON.stringify({ ...whole, data: { categories: "left" } }),
      "null for a category": JSON.stringify({
        ...whole,
        data: { categories: [null, { id: 9, name: "right" }] },
      }),
      "a name that is a number": JSON.stringify({
        ...whole,
        data: {
          categories: [
            { id: 7, name: 7 },
            { id: 9, name: "right" },
          ],
        },
      }),
      "one category of two": JSON.stringify({ ...whole, data: { categories: [{ id: 7, name: "left" }] } }),
      "a threshold of text": JSON.stringify({ ...whole, evaluation: { scoreThreshold: "0.5" } }),
      "wild detections": JSON.stringify({ ...whole, evaluation: { maxDetections: { a: [[[{}]]] } } }),
      "text for a model": JSON.stringify({ ...whole, model: "maskrcnn" }),
      "cut JSON": config.slice(0, -40),
      null: "null",
      "deep nesting": "[".repeat(100_000),
    };
    for (const [name, text] of Object.entries(runs)) {
      const run = join(folder, name);
      mkdirSync(join(run, "checkpoints", "step-00000003"), { recursive: true });
      writeFileSync(join(run, "config.json"), text);
      writeFileSync(join(run, "checkpoints", "step-00000003", "weights.safetensors"), weights);
      await page.setInputFiles("#run-folder", run);
      await page.waitForSelector("#problem:not([hidden])");
      expect(await textOf(page, "#problem-detail"), name).toContain(`${name}/config.json: `);
      expect(await textOf(page, "#problem-detail"), name).not.toMatch(/TypeError|undefined|reading/);
      expect(await textOf(page, "#status")).toBe(`Still ${before}.`);
      await page.click("#dismiss");
    }
    for (const file of [
      await named("a.safetensors", { categories: '"left"' }),
      await named("b.safetensors", { categories: "[null, null]" }),
      await named("c.safetensors", { config: '"text"' }),
      await named("d.safetensors", { config: config.slice(0, 50) }),
    ]) {
      await drop(page, [file]);
      await page.waitForSelector("#problem:not([hidden])");
      expect(await textOf(page, "#problem-detail")).toContain(`${file.name}: its metadata's c`);
      await page.click("#dismiss");
    }
    expect(await textOf(page, "#model-name")).toBe(before);
    await page.click("#samples button");
    await looked(page);
    expect(await page.getAttribute("#canvas", "data-state")).toBe("done");
    // Another backend loads the model that works, not the one that was refused.
    await page.selectOption("#backend", "cpu");
    await ready(page, "JavaScript");
    expect(await textOf(page, "#model-name")).toBe(before);
    expect(complaints.filter((text) => !/No available adapters/.test(text))).toEqual([]);
    await context.close();
  }, 120_000);

  describe("where memory or patience ends", () => {
    /** Starts a worker whose memory ends `room` MB after it has loaded its model; those after it are as ever. */
    async function openShort(
      room: number,
    ): Promise<Awaited<ReturnType<typeof open>> & { readonly workers: Worker[] }> {
      const opened = await open(browser, isolated.url);
      const workers = opened.page
        .workers()
        .filter((worker) => /worker/.test(worker.url()) && !worker.url().startsWith("blob:"));
      opened.page.on("worker", (worker) => void (worker.url().startsWith("blob:") || workers.push(worker)));
      expect(workers).toHaveLength(1);
      await workers[0]!.evaluate((more) => {
        const { grow } = WebAssembly.Memory.prototype;
        let limit = Infinity;
        WebAssembly.Memory.prototype.grow = function (pages) {
          if (limit === Infinity) limit = this.buffer.byteLength + more * 2 ** 20;
          if (this.buffer.byteLength + pages * 2 ** 16 > limit)
            throw new RangeError("the limit of this test");
          return grow.call(this, pages);
        };
      }, room);
      return { ...opened, workers };
    }
    const photo = (width: number, height: number): Parameters<typeof drop>[1] => [
      { name: `${width}.png`, bytes: pngFile(pictureOf(width, height)), type: "image/png" },
    ];

    it.each([20, 60])(
      "says that memory is short and what helps, and the same model goes on in another worker: %i MB",
      async (room) => {
        const { page, context, complaints, workers } = await openShort(room);
        await drop(page, photo(640, 512));
        await page.waitForSelector("#problem:not([hidden])", { timeout: 60_000 });
        expect(await textOf(page, "#problem-title")).toBe("Not enough memory");
        expect(await textOf(page, "#problem")).toContain(
          "Choose a smaller network input beside the picture, a smaller picture, or a smaller model.",
        );
        expect(await textOf(page, "#problem-detail")).toMatch(
          /^Backend wasm is out of memory: [\d,]+ MB more were needed/,
        );
        expect(await page.getAttribute("#canvas", "data-state")).toBe("failed");
        await page.click("#dismiss");
        await drop(page, photo(320, 256));
        await page.waitForFunction(
          () => document.querySelector<HTMLElement>("#canvas")!.dataset["state"] === "done",
          undefined,
          { timeout: 60_000 },
        );
        expect(workers).toHaveLength(2);
        expect(await textOf(page, "#problem-title")).not.toBe("No model is loaded");
        expect(await textOf(page, "#status")).toMatch(/^Ready on WebAssembly/);
        expect(complaints.filter((text) => !/No available adapters/.test(text))).toEqual([]);
        await context.close();
      },
      180_000,
    );

    it("refuses at once what can't fit, and the model that comes with the page works afterwards", async () => {
      const { page, context } = await open(browser, isolated.url);
      const { config, weights } = await runFiles({
        image: { minSize: 4096, maxSize: 4096 },
        fpn: { channels: 288 },
      });
      const run = join(folder, "vast");
      mkdirSync(join(run, "checkpoints", "step-00000003"), { recursive: true });
      writeFileSync(join(run, "config.json"), config);
      writeFileSync(join(run, "checkpoints", "step-00000003", "weights.safetensors"), weights);
      await page.setInputFiles("#run-folder", run);
      await page.waitForFunction(
        () => document.querySelector("#model-name")!.textContent === "vast",
        undefined,
        { timeout: 60_000 },
      );
      await drop(page, photo(64, 64));
      await page.waitForSelector("#problem:not([hidden])", { timeout: 20_000 });
      expect(await textOf(page, "#problem-title")).toBe("Not enough memory");
      expect(await textOf(page, "#problem-detail")).toContain(
        "an image of 4096 x 4096 pixels at the network's input needs at least",
      );
      await page.click("#dismiss");
      await page.click("#choose-model");
      await page.click("#use-bundled");
      await page.waitForFunction(
        () => document.querySelector("#model-name")!.textContent !== "vast",
        undefined,
        { timeout: 60_000 },
      );
      await ready(page, "WebAssembly");
      await page.waitForFunction(
        () => document.querySelector<HTMLElement>("#canvas")!.dataset["state"] === "done",
        undefined,
        { timeout: 60_000 },
      );
      await context.close();
    }, 180_000);

    it("stops a worker that does not answer when another model is chosen, and goes back to the one that worked when that fails", async () => {
      const { page, context, workers } = await openShort(4000);
      const busy = workers[0]!.evaluate(() => {
        // The next picture is computed without end.
        globalThis.createImageBitmap = () => {
          for (;;);
        };
      });
      await busy;
      const before = await textOf(page, "#model-name");
      await drop(page, photo(320, 256));
      await page.waitForFunction(
        () => document.querySelector<HTMLElement>("#canvas")!.dataset["state"] === "running",
        undefined,
        { timeout: 20_000 },
      );
      await drop(page, [{ name: "none.safetensors", bytes: new Uint8Array(100) }]);
      await page.waitForFunction(
        () => document.querySelector("#problem-title")!.textContent === "These weights can't be used",
        undefined,
        { timeout: 60_000 },
      );
      await ready(page, "WebAssembly");
      expect(await textOf(page, "#model-name")).toBe(before);
      await page.waitForFunction(
        () => document.querySelector<HTMLElement>("#canvas")!.dataset["state"] === "done",
        undefined,
        { timeout: 60_000 },
      );
      await context.close();
    }, 180_000);
  });

  describe("the content security policy", () => {
    /** Collects what the policy blocks, in the page and, as the console says, in its workers. */
    const watch = `globalThis.blocked = []; document.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) => blocked.push(effectiveDirective + " " + blockedURI));`;
    const blockedIn = (page: Page): Promise<string[]> =>
      page.evaluate(() => (globalThis as unknown as { blocked: string[] }).blocked);

    it("lets the page and its workers do what they do", async () => {
      // As `npm run web` and the service worker send it, so that it holds in the model's worker too.
      const own = await host(site.root, { policy: contentSecurityPolicy });
      const elsewhere = await host(site.root);
      const { page, context, complaints } = await open(browser, own.url, { script: watch });
      expect(await textOf(page, "#status")).toMatch(/^Ready on WebAssembly/);
      await page.click("#samples button");
      await looked(page);
      await page.click("#look-inside");
      await page.waitForSelector("#inside:not([hidden])");
      await page.click("#inside-close");
      await drop(page, [{ name: "photo.png", bytes: pngFile(pictureOf(120, 90)), type: "image/png" }]);
      await looked(page);
      expect((await download(page, "#save-png")).bytes.length).toBeGreaterThan(100);
      expect((await saveCoco(page)).images.length).toBeGreaterThan(0);
      await page.click("#camera");
      await page.waitForFunction(
        () => document.querySelector("#status")!.textContent!.startsWith("Live: "),
        undefined,
        { timeout: 60_000 },
      );
      await page.click("#camera");
      // Weights of whatever address is given: here of the page's own host; then another backend, in a worker of its own.
      own.extra.set("mine.safetensors", await torchvisionFile());
      await page.click("#choose-model");
      await page.fill("#weights-url", `${own.url}mine.safetensors`);
      await page.click("#url-form button");
      await page.waitForFunction(
        () => document.querySelector("#model-name")!.textContent === "mine.safetensors",
        undefined,
        { timeout: 60_000 },
      );
      await page.selectOption("#backend", "cpu");
      await ready(page, "JavaScript");
      expect(complaints.filter((text) => !/No available adapters/.test(text))).toEqual([]);
      // What another site answers is up to it; the request itself is let go.
      await page.evaluate((url) => fetch(url).catch(() => {}), `${elsewhere.url}icon.svg`);
      expect(elsewhere.sent.map(({ path }) => path)).toEqual(["icon.svg"]);
      expect(await blockedIn(page)).toEqual([]);
      // The next visit is the service worker's.
      await page.evaluate(async () => navigator.serviceWorker.ready);
      await page.reload();
      await ready(page, "WebAssembly");
      expect(await blockedIn(page)).toEqual([]);
      await Promise.all([context.close(), own.close(), elsewhere.close()]);
    }, 180_000);

    it("lets nothing run that is written into the page, on a host that sends no headers", async () => {
      const foreign = await host(site.root, { isIsolated: false });
      foreign.extra.set("evil.js", Buffer.from("globalThis.ran = 'foreign';"));
      const context = await browser.newContext({ serviceWorkers: "block" });
      const page = await context.newPage();
      await page.addInitScript(watch);
      await page.goto(plain.url);
      await ready(page, "WebAssembly");
      await page.evaluate((url) => {
        const script = (set: (one: HTMLScriptElement) => void): void => {
          const one = document.createElement("script");
          set(one);
          document.body.append(one);
        };
        script((one) => (one.textContent = "globalThis.ran = 'inline'"));
        script((one) => (one.src = url));
        script(
          (one) =>
            (one.src = URL.createObjectURL(
              new Blob(["globalThis.ran = 'blob'"], { type: "text/javascript" }),
            )),
        );
        script((one) => (one.src = "data:text/javascript,globalThis.ran='data'"));
        document.body.insertAdjacentHTML(
          "beforeend",
          `<img src="missing:" onerror="globalThis.ran = 'handler'"><a id="trap" href="javascript:globalThis.ran='link'">x</a><iframe srcdoc="<script>parent.ran = 'frame'</script>"></iframe><form id="away" action="${url}"></form>`,
        );
        document.querySelector<HTMLAnchorElement>("#trap")!.click();
        document.querySelector<HTMLFormElement>("#away")!.submit();
        // Later: what the debugger itself evaluates may.
        setTimeout(() => void Reflect.construct(Function, ["globalThis.ran = 'eval'"])());
      }, `${foreign.url}evil.js`);
      await page.waitForFunction(() => (globalThis as unknown as { blocked: string[] }).blocked.length >= 8);
      expect(await page.evaluate(() => (globalThis as { ran?: string }).ran)).toBeUndefined();
      expect(page.url()).toBe(plain.url);
      const blocked = await blockedIn(page);
      for (const directive of [
        "script-src-elem inline",
        "script-src-elem blob",
        "script-src-elem data",
        "script-src-attr inline",
        "script-src eval",
        "form-action",
      ])
        expect(
          blocked.some((one) => one.startsWith(directive)),
          `${directive} in ${blocked.join(", ")}`,
        ).toBe(true);
      await Promise.all([context.close(), foreign.close()]);
    });
  });

  it("fetches little, and nothing of the model for its own thread", async () => {
    const own = await host(site.root);
    const context = await browser.newContext({ serviceWorkers: "block" });
    const page = await context.newPage();
    await page.goto(own.url);
    await ready(page, "WebAssembly");
    await page.click("#samples button");
    await looked(page);
    const scripts = own.sent.filter(({ path }) => path.endsWith(".js"));
    const [first, ...others] = await page
      .locator("script[src], link[rel=modulepreload]")
      .evaluateAll((all) =>
        all.map((one) => (one.getAttribute("src") ?? one.getAttribute("href"))!.replace("./", "")),
      );
    expect(others).toEqual([]);
    expect(scripts.find(({ path }) => path === first)!.bytes).toBeLessThan(100_000);
    expect(scripts.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(600_000);
    expect(own.sent.filter(({ path }) => path.endsWith(".wasm")).map(({ path }) => path)).toEqual([
      expect.stringContaining("threaded-simd"),
    ]);
    // TensorFlow.js leaves its engine in the global scope of whoever runs it.
    expect(await page.evaluate(() => "_tfengine" in globalThis)).toBe(false);
    expect(await page.workers()[0]!.evaluate(() => "_tfengine" in globalThis)).toBe(true);
    await Promise.all([context.close(), own.close()]);
  });

  it("works without a network once it has been opened", async () => {
    const own = await host(site.root);
    const { page, context } = await open(browser, own.url);
    await page.evaluate(async () => navigator.serviceWorker.ready);
    await own.close();
    await page.reload();
    await ready(page, "WebAssembly");
    await page.click("#samples button");
    await looked(page);
    expect(await page.getAttribute("#canvas", "data-state")).toBe("done");
    await context.close();
  });

  describe("on WebGPU", () => {
    let withGpu: Browser;
    beforeAll(async () => {
      withGpu = await startBrowser(["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]);
    });
    afterAll(() => withGpu?.close());

    it("finds what wasm finds, and goes on with wasm when the device is lost", async () => {
      const { page, context } = await open(withGpu, isolated.url);
      // A software adapter is not chosen by itself.
      expect(await textOf(page, "#status")).toMatch(/^Ready on WebAssembly/);
      await drop(page, [{ name: "photo.png", bytes: pngFile(pictureOf(64, 64)), type: "image/png" }]);
      await looked(page);
      await page.selectOption("#detail", "128");
      await looked(page);
      await setThreshold(page, 0);
      const onWasm = await saveCoco(page);
      await page.selectOption("#backend", "webgpu");
      await ready(page, "WebGPU");
      await looked(page, 300_000); // in software, its shaders are compiled at the first picture
      expect(await textOf(page, "#timing")).toContain("on WebGPU");
      await setThreshold(page, 0);
      const onGpu = await saveCoco(page);
      expect(onGpu.annotations.length).toBeGreaterThan(0);
      expect(onGpu.annotations.map(({ category_id }) => category_id)).toEqual(
        onWasm.annotations.map(({ category_id }) => category_id),
      );
      for (const [i, { bbox, score }] of onGpu.annotations.entries()) {
        const other = onWasm.annotations[i]!;
        for (const side of [0, 1, 2, 3]) expect(Math.abs(bbox[side]! - other.bbox[side]!)).toBeLessThan(0.01);
        expect(Math.abs(score - other.score)).toBeLessThan(1e-4);
      }
      const session = await withGpu.newBrowserCDPSession();
      await session.send("Browser.crashGpuProcess" as never).catch(() => {});
      await ready(page, "WebAssembly");
      expect(await textOf(page, "#problem-title")).toBe("The graphics device was lost");
      await looked(page);
      expect(await textOf(page, "#timing")).toContain("on WebAssembly");
      await context.close();
    }, 400_000);
  });

  it("says that there is no WebGPU", async () => {
    const { page, context } = await open(browser, isolated.url);
    await page.selectOption("#backend", "webgpu");
    await page.waitForSelector("#problem:not([hidden])");
    expect(await textOf(page, "#problem-title")).toBe("This backend does not start here");
    await page.selectOption("#backend", "wasm");
    await ready(page, "WebAssembly");
    await context.close();
  });
});
