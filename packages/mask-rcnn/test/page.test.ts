// The package as it is published, bundled by vite, in a Chromium.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { startWasm } from "@mrcnn/backend-wasm";
import type { RawImage } from "@mrcnn/core";
import { chromium } from "playwright-core";
import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { build } from "../../../tools/bootstrap.mjs";
import { findChromium } from "../../../tools/setup/chromium.mjs";
import { maskToBitmap } from "../src/found.ts";
import type { Found } from "../src/found.ts";
import { loadMaskRcnn } from "../src/load-node.ts";
import { catalogEntry } from "../src/catalog.ts";
import { narrowFile, narrowModel, noise } from "./narrow.ts";
import { png } from "./page/png.ts";
import { buildSite, develop, serveSite } from "./page/site.ts";
import type { SiteServer } from "./page/site.ts";

interface Decoded {
  readonly file: string;
  readonly width: number;
  readonly height: number;
  readonly rgb: string;
}
const pillow = JSON.parse(
  readFileSync(new URL("../../datasets/test/golden/images.json", import.meta.url), "utf8"),
) as Record<"exact" | "lossy", Record<string, Decoded>>;

const { path: executablePath, reason } = findChromium();
if (executablePath === undefined) console.log(`skipped: the tests in a browser: ${reason}.`);

const WEIGHTS = "models/maskrcnn.safetensors";
const NAME = "maskrcnn_resnet50_fpn";
const image = noise(160, 120);
const photo = png(Uint8Array.from(image.data), image);
let expected: Found;
/** Of a size that a software adapter computes in seconds; it takes longer to compile the shaders. */
const SMALL = { minSize: 64, maxSize: 96, maxDetections: 12 };
const PATIENCE = { timeout: 300_000 };
/** By plain JavaScript in Node. */
let expectedSmall: Found;
let folder: string;
let weights: Uint8Array;
let root: string;
let files: Map<string, Uint8Array>;
let warnings: string[];
let isolated: SiteServer;
let plain: SiteServer;
let browser: BrowserContext;
/** What no page should say. */
const complaints: string[] = [];

function expectSame(found: Found, expected: Found): void {
  expect(found.objects.map(({ label, name, categoryId }) => ({ label, name, categoryId }))).toEqual(
    expected.objects.map(({ label, name, categoryId }) => ({ label, name, categoryId })),
  );
  for (const [i, { box, score, mask }] of found.objects.entries()) {
    const other = expected.objects[i]!;
    for (const side of ["x", "y", "width", "height"] as const)
      expect(Math.abs(box[side] - other.box[side])).toBeLessThan(0.01);
    expect(Math.abs(score - other.score)).toBeLessThan(1e-4);
    const [ours, theirs] = [maskToBitmap(mask!), maskToBitmap(other.mask!)];
    expect(ours.length).toBe(theirs.length);
    expect(ours.reduce((count, inside, at) => count + Number(inside !== theirs[at]), 0)).toBeLessThanOrEqual(
      0.001 * ours.length,
    );
  }
  expect([found.width, found.height]).toEqual([expected.width, expected.height]);
}

/** CMYK is multiplied by others, with another rounding; bitmaps of elements are made of 16 bits otherwise. */
const isRounded = (name: string, kind: string): boolean =>
  name.startsWith("cmyk") || (name.startsWith("16-bit") && kind === "an <img>");

const scripts = ({ requests }: SiteServer): number =>
  requests.filter(({ url }) => url.endsWith(".js")).length;
const requested = ({ requests }: SiteServer): number =>
  requests.filter(({ url }) => url === `/${WEIGHTS}`).length;

async function open(url: string): Promise<Page> {
  const page = await browser.newPage();
  page.on(
    "console",
    (message) =>
      void (
        ["error", "warning"].includes(message.type()) &&
        complaints.push(`${message.type()}: ${message.text()}`)
      ),
  );
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
    folder = mkdtempSync(join(tmpdir(), "mrcnn-page-"));
    build();
    ({ root, warnings } = await buildSite(folder));
    await startWasm();
    const model = narrowModel(90, { backbone: { eps: 0 } });
    weights = await narrowFile(model, {
      source: "torchvision",
      categories: JSON.stringify(catalogEntry(NAME).categories),
    });
    model.dispose();
    const detector = await loadMaskRcnn({ weights, model: NAME, backend: "wasm" });
    expected = await detector.detect(image);
    detector.dispose();
    const slow = await loadMaskRcnn({ weights, model: NAME, backend: "cpu", ...SMALL });
    expectedSmall = await slow.detect(image);
    slow.dispose();
    files = new Map<string, Uint8Array>([
      ["/photo.png", photo],
      [`/${WEIGHTS}`, weights],
      ["/models/typed.safetensors", Buffer.from("<!doctype html><title>Not here</title>")],
    ]);
    isolated = await serveSite(root, files, { isIsolated: true });
    plain = await serveSite(root, files, { isIsolated: false });
    browser = await chromium.launchPersistentContext(join(folder, "profile"), {
      executablePath: executablePath!,
      args: [
        "--headless=new",
        "--no-sandbox",
        "--disable-background-networking",
        "--enable-unsafe-webgpu",
        "--use-webgpu-adapter=swiftshader",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
      ],
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
    expectSame(await page.evaluate(() => found), expected);
    const drawn = await page.evaluate(() =>
      [...document.querySelector("canvas")!.getContext("2d")!.getImageData(0, 0, 160, 120).data].filter(
        (_, i) => i % 4 === 3,
      ),
    );
    const inside = expected.objects.map(({ mask }) => maskToBitmap(mask!));
    expect(drawn.map((alpha) => alpha > 0)).toEqual(
      drawn.map((_, at) => inside.some((mask) => mask[at] === 1)),
    );
    await page.close();
  });

  it("runs them from vite's server too", async () => {
    for (const [path, content] of files) {
      mkdirSync(dirname(join(folder, "public", path)), { recursive: true });
      writeFileSync(join(folder, "public", path), content);
    }
    const server = await develop(folder);
    const page = await open(server.url);
    await page.waitForFunction(() => "found" in globalThis);
    expectSame(await page.evaluate(() => found), expected);
    await page.close();
    await server.close();
  });

  it.each(["isolated", "plain"] as const)(
    "finds what Node finds in images of every kind, %s",
    async (kind) => {
      const page = await openApi(kind === "isolated" ? isolated : plain);
      expect(await page.evaluate(() => crossOriginIsolated)).toBe(kind === "isolated");
      const all = await page.evaluate(
        async ({ weights, name }) => {
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
          for (const one of [
            blob,
            "photo.png",
            element,
            context.getImageData(0, 0, canvas.width, canvas.height),
            canvas,
            await createImageBitmap(blob),
          ]) {
            const before = performance.now();
            found.push(await model.detect(one));
            times.push(performance.now() - before);
          }
          model.dispose();
          return {
            found,
            times,
            backend: model.backend,
            threads: await mrcnn.threads(),
            processors: navigator.hardwareConcurrency,
          };
        },
        { weights: WEIGHTS, name: NAME },
      );
      for (const found of all.found) expectSame(found, expected);
      expect(all.backend).toBe("wasm");
      expect(all.threads).toBe(kind === "isolated" ? Math.min(8, all.processors) : 1);
      await page.close();
    },
  );

  it("loads several models at once, and leaves the page's own workers alone", async () => {
    const page = await openApi(isolated);
    const { answers, isRestored, found } = await page.evaluate(async (url) => {
      const own = globalThis.Worker;
      const script = URL.createObjectURL(new Blob(["onmessage = ({ data }) => postMessage(data.cmd)"]));
      let isLoading = true;
      const loading = Promise.all([1, 2].map(() => mrcnn.loadMaskRcnn({ weights: url }))).finally(
        () => void (isLoading = false),
      );
      const answers: string[] = [];
      while (isLoading) {
        const worker = new Worker(script);
        answers.push(
          await new Promise((resolve) => {
            worker.onmessage = ({ data }) => resolve(data);
            worker.postMessage({ cmd: "load" });
          }),
        );
        worker.terminate();
      }
      const models = await loading;
      const found = await Promise.all(models.map((model) => model.detect("photo.png")));
      for (const model of models) model.dispose();
      return { answers, isRestored: globalThis.Worker === own, found };
    }, WEIGHTS);
    expect(answers.length).toBeGreaterThan(1);
    expect(new Set(answers)).toEqual(new Set(["load"]));
    expect(isRestored).toBe(true);
    for (const one of found) expectSame(one, expected);
    await page.close();
  });

  it.each(["isolated", "plain"] as const)("detects in a worker, %s", async (kind) => {
    const page = await openApi(kind === "isolated" ? isolated : plain);
    const { found, threads, processors } = await page.evaluate(async (url) => {
      const worker = mrcnn.startWorker();
      const image = await createImageBitmap(await (await fetch("photo.png")).blob());
      const answer = await new Promise<{ found: Found; threads: number }>((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = ({ message }) => reject(new Error(message));
        worker.postMessage({ weights: new URL(url, location.href).href, image }, [image]);
      });
      worker.terminate();
      return { ...answer, processors: navigator.hardwareConcurrency };
    }, WEIGHTS);
    expectSame(found, expected);
    expect(threads).toBe(kind === "isolated" ? Math.min(8, processors) : 1);
    await page.close();
  });

  it.each(["a Blob", "an <img>"] as const)("reads the pixels that Pillow reads from %s", async (kind) => {
    const page = await openApi(plain);
    const files = Object.entries({ ...pillow.exact, ...pillow.lossy }).filter(
      ([name]) => !/tiff|^webp of orientation/.test(name),
    ); // Chromium has no TIFF, and leaves WebP as it lies
    const all = await page.evaluate(
      async ({ files, weights, isBlob }) => {
        const detector = await mrcnn.loadMaskRcnn({ weights });
        let seen: RawImage | undefined;
        detector.model.detect = async (images) => {
          seen = images[0];
          throw new Error("enough");
        };
        const read: Record<string, { width: number; height: number; data: number[] } | string> = {};
        for (const [name, { file }] of files) {
          seen = undefined;
          const blob = await (await fetch(`data:;base64,${file}`)).blob();
          const url = URL.createObjectURL(blob);
          const refused = await detector
            .detect(isBlob ? blob : Object.assign(new Image(), { src: url }))
            .catch((error: Error) => error.message);
          URL.revokeObjectURL(url);
          read[name] =
            seen === undefined ?
              String(refused)
            : { ...(seen as RawImage), data: [...(seen as RawImage).data] };
        }
        detector.dispose();
        return read;
      },
      { files, weights: WEIGHTS, isBlob: kind === "a Blob" },
    );
    for (const [name, { width, height, rgb }] of files) {
      const got = all[name]!;
      if (typeof got === "string") throw new Error(`${name}: ${got}`);
      const want = Buffer.from(rgb, "base64");
      expect([name, got.width, got.height]).toEqual([name, width, height]);
      const furthest = Math.max(...got.data.map((value, i) => Math.abs(value - want[i]!)));
      expect([name, furthest]).toEqual([
        name,
        expect.toSatisfy((one: number) => one <= (isRounded(name, kind) ? 1 : 0)),
      ]);
    }
    await page.close();
  });

  it("finds on webgpu, in a worker, what plain JavaScript finds in Node", PATIENCE, async () => {
    const page = await openApi(plain);
    const before = scripts(plain);
    const { found, backend } = await page.evaluate(
      async ({ weights, name, options }) => {
        const worker = mrcnn.startWorker();
        const image = await createImageBitmap(await (await fetch("photo.png")).blob());
        const answer = await new Promise<{ found: Found; backend: string }>((resolve, reject) => {
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = ({ message }) => reject(new Error(message));
          worker.postMessage(
            {
              weights: new URL(weights, location.href).href,
              model: name,
              backend: "webgpu",
              ...options,
              image,
            },
            [image],
          );
        });
        worker.terminate();
        return answer;
      },
      { weights: WEIGHTS, name: NAME, options: SMALL },
    );
    expect(backend).toBe("webgpu");
    expect(expectedSmall.objects.length).toBeGreaterThan(10);
    expectSame(found, expectedSmall);
    // Only now is it fetched.
    expect(scripts(plain)).toBeGreaterThan(before);
    await page.close();
  });

  it(
    "rejects when the GPU is lost, and finds the same again once the model is loaded again",
    PATIENCE,
    async () => {
      const page = await openApi(plain);
      const { errors, found } = await page.evaluate(
        async ({ weights, name, options }) => {
          const load = { weights, model: name, backend: "webgpu", ...options } as const;
          const lost = await mrcnn.loadMaskRcnn(load);
          const found = [await lost.detect("photo.png")];
          const refusal = (): Promise<unknown> =>
            lost.detect("photo.png").then(
              () => "an answer",
              ({ code, message }) => ({ code, message }),
            );
          const running = refusal();
          await mrcnn.loseGpu();
          const errors = [await running, await refusal()];
          const [one, other] = await Promise.all([mrcnn.loadMaskRcnn(load), mrcnn.loadMaskRcnn(load)]);
          errors.push(await refusal());
          lost.dispose();
          // The other did not take this one's device away, nor does it on leaving.
          found.push(await one.detect("photo.png"));
          other.dispose();
          found.push(await one.detect("photo.png"));
          one.dispose();
          return { errors, found };
        },
        { weights: WEIGHTS, name: NAME, options: SMALL },
      );
      for (const error of errors)
        expect(error).toEqual({
          code: "backend",
          message: expect.stringMatching(/^webgpu: .*[Ll]oad (the|that) model again/),
        });
      for (const one of found) expectSame(one, expectedSmall);
      await page.close();
    },
  );

  it("tells of a download's progress, and keeps what came", async () => {
    const page = await openApi(isolated);
    const before = requested(isolated);
    const { first, again, offline } = await page.evaluate(async (url) => {
      const load = async (options: object): Promise<{ bytes: number; total?: number | undefined }[]> => {
        const seen: { bytes: number; total?: number | undefined }[] = [];
        const model = await mrcnn.loadMaskRcnn({
          weights: url,
          onProgress: ({ bytes, total }) => void seen.push({ bytes, total }),
          ...options,
        });
        model.dispose();
        return seen;
      };
      return {
        first: await load({ redownload: true }),
        again: await load({}),
        offline: await load({ offline: true }),
      };
    }, WEIGHTS);
    expect(first.length).toBeGreaterThan(0);
    expect(first.at(-1)).toEqual({ bytes: weights.length, total: weights.length });
    expect([again, offline]).toEqual([[], []]);
    expect(requested(isolated) - before).toBe(1);
    await page.reload();
    await page.waitForFunction(() => "mrcnn" in globalThis);
    const found = await page.evaluate(
      async (url) => (await mrcnn.loadMaskRcnn({ weights: url })).detect("photo.png"),
      WEIGHTS,
    );
    expect(found.objects.length).toBe(expected.objects.length);
    expect(requested(isolated) - before).toBe(1);
    await page.close();
  });

  it.each(["built", "from vite's server"] as const)(
    "has the nuclei model at hand, %s, and fetches it only when it is asked for",
    async (kind) => {
      const site = kind === "built" ? undefined : await develop(folder);
      const page = await open(`${site?.url.replace(/\/$/, "") ?? plain.url}/api.html`);
      const asked: string[] = [];
      page.on(
        "request",
        (request) =>
          void (
            request.url().includes("nuclei") &&
            /\.(safetensors|webp)/.test(request.url()) &&
            asked.push(request.url())
          ),
      );
      await page.waitForFunction(() => "mrcnn" in globalThis);
      expect(asked).toEqual([]);
      const { seen, decoded } = await page.evaluate(async () => {
        const { url } = mrcnn.nucleiSamples().find(({ name }) => name === "fluorescence")!;
        const bitmap = await createImageBitmap(await (await fetch(url)).blob());
        const model = await mrcnn.loadMaskRcnn({ weights: "nuclei" });
        const seen = (await model.detect(bitmap, { minSize: 256 })).objects.map(({ name }) => name);
        model.dispose();
        return { seen, decoded: [bitmap.width, bitmap.height] };
      });
      expect(decoded).toEqual([640, 512]);
      expect(seen.length).toBeGreaterThan(20);
      expect(new Set(seen)).toEqual(new Set(["nucleus"]));
      expect(asked.filter((url) => url.includes(".safetensors"))).toHaveLength(1);
      await page.close();
      await site?.close();
    },
  );

  it("says what is wrong with a page in place of weights, and does not keep it", async () => {
    const page = await openApi(plain);
    // The server says so, or calls it a file of bytes.
    for (const file of ["none", "typed"]) {
      const { message, isKept } = await page.evaluate(async (file) => {
        const url = new URL(`models/${file}.safetensors`, location.href).href;
        const message = await mrcnn.loadMaskRcnn({ weights: url }).then(
          () => "none",
          (error: Error) => error.message,
        );
        return { message, isKept: await mrcnn.isCachedInPage(url) };
      }, file);
      expect(message).toContain(
        `${plain.url}/models/${file}.safetensors: the server sent a web page instead of weights.`,
      );
      expect(isKept).toBe(false);
    }
    await page.close();
  });

  it("says what to do when the binaries are not where wasmPath says", async () => {
    const page = await openApi(plain);
    const before = complaints.length;
    const message = await page.evaluate(
      (url) =>
        mrcnn.loadMaskRcnn({ weights: url, wasmPath: "/nowhere" }).then(
          () => "none",
          (error: Error) => error.message,
        ),
      WEIGHTS,
    );
    expect(message).toMatch(/serve the three \.wasm files .* give their folder as wasmPath/);
    expect(plain.requests.some(({ url }) => url === "/nowhere/tfjs-backend-wasm-simd.wasm")).toBe(true);
    expect(complaints.splice(before).join()).toContain("wasm"); // TensorFlow.js warns too
    await page.close();
  });

  it("fetches no more than it needs", async () => {
    const server = await serveSite(root, files, { isIsolated: true });
    const page = await open(server.url);
    await page.waitForFunction(() => "found" in globalThis);
    expect(server.sent.js).toBeGreaterThan(50_000);
    expect(server.sent.js).toBeLessThan(200_000);
    expect(server.sent.wasm).toBeLessThan(200_000);
    expect(server.requests.map(({ url }) => url).filter((url) => url.endsWith(".wasm"))).toEqual([
      expect.stringContaining("threaded-simd"),
    ]);
    await page.close();
  });

  it("complains of nothing", () => {
    expect(complaints).toEqual([]);
  });
});
