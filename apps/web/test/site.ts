// The built page, served below a sub-path as a static host would, and a Chromium that opens it.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { chromium } from "playwright-core";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { findChromium } from "../../../tools/setup/chromium.mjs";

export const { path: executablePath, reason } = findChromium();

const app = join(import.meta.dirname, "..");
const types: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".webp": "image/webp",
  ".wasm": "application/wasm",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
};

/** Builds the page into a folder of its own. */
export async function buildSite(): Promise<{ root: string; remove(): void }> {
  const root = mkdtempSync(join(tmpdir(), "mrcnn-web-"));
  const run = promisify(execFile);
  // In a process of its own: vitest's environment is that of a test, not of production.
  const vite = join(app, "node_modules", "vite", "bin", "vite.js");
  await run(process.execPath, [vite, "build", "--outDir", root, "--emptyOutDir"], {
    cwd: app,
    env: { ...process.env, NODE_ENV: "production" },
  });
  return { root, remove: () => rmSync(root, { recursive: true, force: true }) };
}

/** A static host. */
export interface Host {
  readonly url: string;
  /** Of what was sent: the path below the site, and the bytes of the body as it went over the wire. */
  readonly sent: { readonly path: string; readonly bytes: number }[];
  /** Files beside the site's own. */
  readonly extra: Map<string, Uint8Array>;
  /** Bytes per second of `extra` files; unlimited by default. */
  rate: number;
  close(): Promise<void>;
}

/** Serves a folder below /some/where/; without `isIsolated` no headers of cross-origin isolation are sent, with `policy` one of content security. */
export async function host(
  root: string,
  { isIsolated = true, policy }: { isIsolated?: boolean; policy?: string } = {},
): Promise<Host> {
  const prefix = "/some/where/";
  const sent: { path: string; bytes: number }[] = [];
  const extra = new Map<string, Uint8Array>();
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://host");
    const path = pathname.startsWith(prefix) ? pathname.slice(prefix.length) || "index.html" : undefined;
    let body: Uint8Array | undefined;
    try {
      body = path === undefined ? undefined : (extra.get(path) ?? readFileSync(join(root, path)));
    } catch {
      body = undefined;
    }
    if (isIsolated) {
      response.setHeader("cross-origin-opener-policy", "same-origin");
      response.setHeader("cross-origin-embedder-policy", "require-corp");
    }
    if (policy !== undefined) response.setHeader("content-security-policy", policy);
    if (path === undefined || body === undefined) {
      response.writeHead(404).end();
      return;
    }
    const type = types[extname(path)];
    if (type === undefined || extra.has(path)) {
      const bytes = sendRange(request.headers.range, body, {
        response,
        rate: extra.has(path) ? api.rate : Infinity,
      });
      sent.push({ path, bytes });
      return;
    }
    const packed = gzipSync(body);
    sent.push({ path, bytes: packed.length });
    response
      .writeHead(200, { "content-type": type, "content-encoding": "gzip", "content-length": packed.length })
      .end(packed);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const api: Host = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${prefix}`,
    sent,
    extra,
    rate: Infinity,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return api;
}

/** Answers with a file, or with the rest of it. @returns how much that is. */
function sendRange(
  range: string | undefined,
  content: Uint8Array,
  { response, rate }: { response: import("node:http").ServerResponse; rate: number },
): number {
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
  const body = content.subarray(from);
  response.writeHead(from > 0 ? 206 : 200, {
    "content-type": "application/octet-stream",
    "content-length": body.length,
    etag: '"one"',
    ...(from > 0 && { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` }),
  });
  if (rate === Infinity) {
    response.end(body);
    return body.length;
  }
  let at = 0;
  const step = Math.ceil(rate / 20);
  const timer = setInterval(() => {
    response.write(body.subarray(at, (at += step)));
    if (at < body.length && !response.destroyed) return;
    clearInterval(timer);
    response.end();
  }, 50);
  return body.length;
}

/** Starts a Chromium with a fake camera. */
export function startBrowser(flags: readonly string[] = []): Promise<Browser> {
  return chromium.launch({
    executablePath: executablePath!,
    args: [
      "--headless=new",
      "--no-sandbox",
      "--disable-background-networking",
      "--disable-component-update",
      "--no-first-run",
      "--use-fake-device-for-media-stream",
      "--use-fake-ui-for-media-stream",
      ...flags,
    ],
  });
}

/** A page that is open and has said nothing bad. */
export interface Opened {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors of scripts, and what the console warned of. */
  readonly complaints: string[];
}

/** Opens the page in a fresh profile and waits for its model. `script` runs before the page's own. */
export async function open(
  browser: Browser,
  url: string,
  { isReady = true, script }: { isReady?: boolean; script?: string } = {},
): Promise<Opened> {
  const context = await browser.newContext({ acceptDownloads: true, viewport: { width: 1100, height: 760 } });
  await context.grantPermissions(["camera", "clipboard-read", "clipboard-write"], {
    origin: new URL(url).origin,
  });
  const page = await context.newPage();
  if (script !== undefined) await page.addInitScript(script);
  const complaints: string[] = [];
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
  if (isReady) await ready(page);
  return { page, context, complaints };
}

/** Waits until a model is there. */
export const ready = (page: Page, on = ""): Promise<unknown> =>
  page.waitForFunction(
    (text) => document.querySelector("#status")!.textContent!.startsWith(`Ready on ${text}`),
    on,
    { timeout: 60_000 },
  );

/** Waits until the shown picture has been looked at. */
export const looked = (page: Page, timeout = 60_000): Promise<unknown> =>
  page.waitForFunction(
    () => ["done", "failed"].includes(document.querySelector<HTMLElement>("#canvas")!.dataset["state"]!),
    undefined,
    { timeout },
  );

/** Drops files onto the page, as a hand would. */
export async function drop(
  page: Page,
  files: readonly { readonly name: string; readonly bytes: Uint8Array; readonly type?: string }[],
): Promise<void> {
  const transfer = await page.evaluateHandle(
    (all) => {
      const data = new DataTransfer();
      for (const { name, base64, type } of all)
        data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name, { type }));
      return data;
    },
    files.map(({ name, bytes, type = "" }) => ({
      name,
      type,
      base64: Buffer.from(bytes).toString("base64"),
    })),
  );
  await page.dispatchEvent("#stage", "drop", { dataTransfer: transfer });
}

/** The text of an element. */
export const textOf = async (page: Page, selector: string): Promise<string> =>
  (await page.textContent(selector)) ?? "";

/** Sets the score threshold. */
export async function setThreshold(page: Page, value: number): Promise<void> {
  await page.locator("#threshold").evaluate((input: HTMLInputElement, to) => {
    input.value = String(to);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }, value);
}

/** Clicks, and gives the bytes of the file that is saved. */
export async function download(page: Page, selector: string): Promise<{ name: string; bytes: Uint8Array }> {
  const [file] = await Promise.all([page.waitForEvent("download"), page.click(selector)]);
  return { name: file.suggestedFilename(), bytes: readFileSync((await file.path())!) };
}
