// A site as a user makes it: the published packages, the README's lines, a bundler, a server.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { extname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { build, createLogger, createServer } from "vite";
import { sendFile, serve } from "../file-server.ts";
import type { FileServer } from "../file-server.ts";
import { installPublished } from "./published.ts";

/** What pages hand to the test: the package, the nuclei model's samples, how many threads run, a worker that detects, what takes the GPU away, and what the README's lines found. */
declare global {
  var mrcnn: typeof import("../../src/index.ts") & {
    readonly nucleiSamples: typeof import("@mrcnn/nuclei").nucleiSamples;
    readonly threads: () => Promise<number>;
    readonly startWorker: () => Worker;
    readonly loseGpu: () => Promise<void>;
  };
  var found: import("../../src/index.ts").Found;
}

const readme = readFileSync(join(import.meta.dirname, "..", "..", "README.md"), "utf8");
/** The example of "In a page". */
const lines = /^## In a page\n[^]*?```typescript\n([^]*?)```/m.exec(readme)?.[1] ?? "";

const files: Readonly<Record<string, string>> = {
  "index.html": `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><img src="photo.png"><canvas width="160" height="120"></canvas><script type="module" src="readme.js"></script>`,
  "readme.js": `${lines}\nglobalThis.found = { objects, width, height };\n`,
  "api.html": `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module" src="api.js"></script>`,
  "api.js": `import * as api from "@mrcnn/mask-rcnn";\nimport { startWasm } from "@mrcnn/backend-wasm";\nimport { nucleiSamples } from "@mrcnn/nuclei";\nglobalThis.mrcnn = { ...api, nucleiSamples, threads: startWasm, startWorker: () => new Worker(new URL("./worker.js", import.meta.url), { type: "module" }), loseGpu: async () => (await import("@mrcnn/backend-webgpu")).webgpuBackend().device.destroy() };\n`,
  "worker.js": `import { loadMaskRcnn } from "@mrcnn/mask-rcnn";\nimport { startWasm } from "@mrcnn/backend-wasm";\nonmessage = async ({ data: { image, ...options } }) => {\n  const model = await loadMaskRcnn(options);\n  postMessage({ found: await model.detect(image), backend: model.backend, threads: model.backend === "wasm" ? await startWasm() : 0 });\n};\n`,
  "package.json": `{ "name": "site", "private": true, "type": "module" }\n`,
};

/** Builds the site below `folder`. */
export async function buildSite(folder: string): Promise<{ root: string; warnings: string[] }> {
  installPublished(folder, "mask-rcnn");
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const warnings: string[] = [];
  const customLogger = {
    ...createLogger("silent"),
    warn: (text: string) => void warnings.push(text),
    warnOnce: (text: string) => void warnings.push(text),
  };
  const root = join(folder, "built");
  const input = ["index.html", "api.html"].map((page) => join(folder, page));
  const bundle = {
    outDir: root,
    reportCompressedSize: false,
    rolldownOptions: { input, checks: { bundlerTimings: false } },
  };
  await build({
    root: folder,
    configFile: false,
    logLevel: "silent",
    customLogger,
    worker: { format: "es" },
    build: bundle,
  });
  mkdirSync(root, { recursive: true });
  return { root, warnings };
}

/** vite's server, as one has it while developing. */
export async function develop(folder: string): Promise<{ url: string; close: () => Promise<void> }> {
  const server = await createServer({
    root: folder,
    configFile: false,
    logLevel: "silent",
    // Installed packages of others are links here.
    server: { host: "127.0.0.1", port: 0, fs: { strict: false } },
  });
  await server.listen();
  return { url: server.resolvedUrls!.local[0]!, close: () => server.close() };
}

const types: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".wasm": "application/wasm",
  ".png": "image/png",
  ".jpg": "image/jpeg",
};

/** A server of a site. */
export interface SiteServer extends FileServer {
  /** Bytes of scripts and binaries that were sent, compressed. */
  readonly sent: { js: number; wasm: number };
}

/** Serves a built site and `extra` files until the test file ends. Unknown paths get a page, as of many servers. */
export async function serveSite(
  root: string,
  extra: ReadonlyMap<string, Uint8Array>,
  { isIsolated }: { isIsolated: boolean },
): Promise<SiteServer> {
  const sent = { js: 0, wasm: 0 };
  const isolation =
    isIsolated ?
      { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" }
    : {};
  const send = (response: ServerResponse, body: Uint8Array, type: string): void => {
    const packed = gzipSync(body);
    if (type === types[".js"]) sent.js += packed.length;
    if (type === types[".wasm"]) sent.wasm += packed.length;
    response
      .writeHead(200, { "content-type": type, "content-encoding": "gzip", "content-length": packed.length })
      .end(packed);
  };
  const server = await serve((request, response) => {
    for (const [name, value] of Object.entries(isolation)) response.setHeader(name, value);
    const path = new URL(request.url ?? "/", "http://site").pathname;
    const content = extra.get(path);
    if (content !== undefined && path.endsWith(".safetensors")) return sendFile(request, response, content);
    if (content !== undefined)
      return send(response, content, types[extname(path)] ?? "application/octet-stream");
    const name = path === "/" ? "index.html" : path.slice(1);
    try {
      send(response, readFileSync(join(root, name)), types[extname(name)] ?? "application/octet-stream");
    } catch {
      send(response, readFileSync(join(root, "index.html")), "text/html");
    }
  });
  return { ...server, sent };
}
