// @ts-check
// What the benches share: the built page and files beside it, served isolated, in a headless Chromium.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { chromium } from "playwright-core";
import { findChromium } from "../../../tools/setup/chromium.mjs";

const app = join(import.meta.dirname, "..");
/** @type {Record<string, string>} */
const types = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".webp": "image/webp",
  ".png": "image/png",
  ".wasm": "application/wasm",
};

/**
 * Builds the page where that was not done, serves it with `folders` beside it, and opens a browser.
 *
 * @param {{ folders?: Record<string, string>, flags?: string[] }} [options] `folders`: by the path under which each is served.
 */
export async function openSite({ folders = {}, flags = [] } = {}) {
  const { path: executablePath, reason } = findChromium();
  if (executablePath === undefined) {
    console.log(`skipped: the page: ${reason}.`);
    process.exit(0);
  }
  if (!existsSync(join(app, "dist", "index.html")))
    spawnSync("npm", ["run", "-s", "web:build"], { cwd: join(app, "..", ".."), stdio: "inherit" });
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://host").pathname.slice(1) || "index.html";
    const [folder = "", ...rest] = path.split("/");
    const file = folder in folders ? join(folders[folder] ?? "", ...rest) : join(app, "dist", path);
    for (const [name, value] of [
      ["opener-policy", "same-origin"],
      ["embedder-policy", "require-corp"],
    ])
      response.setHeader(`cross-origin-${name}`, value ?? "");
    if (!existsSync(file)) response.writeHead(404).end();
    else
      response
        .writeHead(200, { "content-type": types[extname(file)] ?? "application/octet-stream" })
        .end(readFileSync(file));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const url = `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}/`;
  const browser = await chromium.launch({
    executablePath,
    args: ["--headless=new", "--no-sandbox", "--disable-background-networking", ...flags],
  });
  return {
    url,
    browser,
    async close() {
      await browser.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Waits until the shown picture has been looked at. @param {import("playwright-core").Page} page */
export async function looked(page) {
  await page.waitForFunction(
    () => /** @type {HTMLElement} */ (document.querySelector("#canvas")).dataset["state"] === "done",
    undefined,
    { timeout: 300_000 },
  );
}

/** Waits until a model is there. @param {import("playwright-core").Page} page */
export async function ready(page) {
  await page.waitForFunction(
    () => document.querySelector("#status")?.textContent?.startsWith("Ready"),
    undefined,
    { timeout: 300_000 },
  );
}

/** @param {readonly number[]} values */
export const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
