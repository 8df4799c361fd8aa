// @ts-check
// node apps/web/bench/peers.mjs [--size 320] [--rounds 5]: the page beside onnxruntime-web, in the same
// Chromium on wasm with the same number of threads: Mask R-CNN R50-FPN with the same seeded weights (torchvision's) on
// the same image, from the image's file to boxes, scores and masks. They take turns; medians and the fastest are told.
// Needs torchvision (see tools/bench/README.md) and `npm install --prefix .cache/bench onnxruntime-web@1.30.0`.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { deflateSync, gzipSync } from "node:zlib";
import { root } from "../../../tools/workspace.mjs";
import { looked, median, openSite, ready } from "./chromium.mjs";

const { values } = parseArgs({
  options: {
    size: { type: "string", default: "320" },
    rounds: { type: "string", default: "5" },
    python: { type: "string", default: "python3" },
  },
});
const size = Number(values.size);
const rounds = Number(values.rounds);
const cache = join(root, ".cache", "bench");
const folder = join(cache, `web-${size}`);
const ort = join(cache, "node_modules", "onnxruntime-web", "dist");

if (!existsSync(ort)) {
  console.error(
    "error: onnxruntime-web is not here. Run npm install --prefix .cache/bench onnxruntime-web@1.30.0",
  );
  process.exit(1);
}
mkdirSync(folder, { recursive: true });
if (!existsSync(join(folder, "model.onnx"))) {
  for (const job of [
    { action: "make", folder, height: size, width: size },
    { action: "export", folder },
  ]) {
    const { status } = spawnSync(
      values.python,
      [join(root, "tools", "bench", "r50", "torchvision_contender.py"), JSON.stringify(job)],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    if (status !== 0) process.exit(1);
  }
}
writeFileSync(join(folder, "image.png"), png(readFileSync(join(folder, "image.bin"))));
writeFileSync(
  join(folder, "ort.html"),
  `<!doctype html><link rel="icon" href="data:,"><script type="module">globalThis.worker = new Worker("ort.js", { type: "module" });</script>`,
);
writeFileSync(
  join(folder, "ort.js"),
  `
import * as ort from "/ort/ort.wasm.bundle.min.mjs";
let session;
onmessage = async ({ data }) => {
  try {
    if (data.load) {
      ort.env.wasm.wasmPaths = "/ort/";
      ort.env.wasm.numThreads = data.threads;
      session = await ort.InferenceSession.create("/case/model.onnx", { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
      postMessage({ loaded: true });
      return;
    }
    const start = performance.now();
    const bitmap = await createImageBitmap(data.file);
    const { width, height } = bitmap;
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    const { data: rgba } = context.getImageData(0, 0, width, height);
    const plane = width * height;
    const input = new Float32Array(3 * plane);
    for (let i = 0; i < plane; i++) for (let c = 0; c < 3; c++) input[c * plane + i] = rgba[4 * i + c] / 255;
    const found = await session.run({ [session.inputNames[0]]: new ort.Tensor("float32", input, [3, height, width]) });
    const scores = Object.values(found).find(({ type, dims }) => type === "float32" && dims.length === 1).data;
    postMessage({ seconds: (performance.now() - start) / 1000, scores: [...scores] });
  } catch (error) {
    postMessage({ error: String(error) });
  }
};
`,
);

const { url, browser, close } = await openSite({ folders: { case: folder, ort } });
const context = await browser.newContext({ serviceWorkers: "block" });
const ours = await context.newPage();
await ours.goto(url);
await ready(ours);
const threads = await ours.evaluate(() => Math.min(8, navigator.hardwareConcurrency));
await ours.click("#choose-model");
await ours.fill("#weights-url", `${url}case/weights.safetensors`);
await ours.click("#url-form button");
await ours.waitForFunction(
  () => document.querySelector("#model-name")?.textContent === "weights.safetensors",
  undefined,
  { timeout: 300_000 },
);
await ours.selectOption("#backend", "wasm");
await ready(ours);
const device = await ours.textContent("#status");
// The answer's own seconds, not what the page rounds for people; and the input at the image's own size, as it was exported.
await ours.evaluate((side) => {
  const detail = /** @type {HTMLSelectElement} */ (document.querySelector("#detail"));
  detail.add(new Option(String(side), String(side)));
  detail.value = String(side);
}, size);
const peer = await context.newPage();
await peer.goto(`${url}case/ort.html`);
/** @param {object} message @returns {Promise<any>} */
const ask = (message) =>
  peer.evaluate(async (data) => {
    const { worker } = /** @type {any} */ (globalThis);
    const file = await (await fetch("/case/image.png")).blob();
    return new Promise((resolve) => {
      worker.onmessage = (/** @type {MessageEvent} */ event) => resolve(event.data);
      worker.postMessage({ ...data, file });
    });
  }, message);
const loaded = await ask({ load: true, threads });
if (loaded.error !== undefined) throw new Error(loaded.error);

await ours.setInputFiles("#files", join(folder, "image.png"));
await looked(ours);
async function runOurs() {
  // Changing an option looks at the picture anew.
  await ours.evaluate(() => document.querySelector("#detail")?.dispatchEvent(new Event("change")));
  await looked(ours);
  const text = (await ours.textContent("#timing")) ?? "";
  const [, value = "", unit] = /, ([\d.]+) (ms|s) on WebAssembly/.exec(text) ?? [];
  return unit === "ms" ? Number(value) / 1000 : Number(value);
}
/** @type {{ ours: number[], theirs: number[] }} */
const times = { ours: [], theirs: [] };
/** @type {number[]} */
let scores = [];
for (let round = -1; round < rounds; round++) {
  const own = await runOurs();
  const { seconds, error, scores: seen } = await ask({});
  if (error !== undefined) throw new Error(error);
  scores = seen;
  if (round < 0) continue; // to warm up
  times.ours.push(own);
  times.theirs.push(seconds);
  console.error(`page ${own.toFixed(2)} s, onnxruntime-web ${seconds.toFixed(2)} s`);
}
await ours.evaluate(() => {
  const threshold = /** @type {HTMLInputElement} */ (document.querySelector("#threshold"));
  threshold.value = threshold.min;
  threshold.dispatchEvent(new Event("input", { bubbles: true }));
});
const found = await ours.locator("#objects span").allTextContents();
const apart = Math.max(
  ...scores.slice(0, found.length).map((score, i) => Math.abs(score - Number(found[i]))),
);
console.log(
  `Mask R-CNN R50-FPN, ${size} x ${size}, ${device} onnxruntime-web: ${threads} threads. Scores differ by at most ${apart.toFixed(3)} (shown with two digits), ${found.length} objects here, ${scores.length} there.`,
);
for (const [name, all] of [
  ["page", times.ours],
  ["onnxruntime-web", times.theirs],
])
  console.log(
    `${String(name).padEnd(16)} median ${median(/** @type {number[]} */ (all)).toFixed(2)} s, fastest ${Math.min(.../** @type {number[]} */ (all)).toFixed(2)} s`,
  );
console.log(
  `ratio: medians ${(median(times.ours) / median(times.theirs)).toFixed(2)}, fastest ${(Math.min(...times.ours) / Math.min(...times.theirs)).toFixed(2)}`,
);
await close();

/** RGB pixels as PNG. @param {Uint8Array} pixels */
function png(pixels) {
  /** @param {string} type @param {Uint8Array} data */
  const chunk = (type, data) => {
    const whole = Buffer.alloc(data.length + 12);
    whole.writeUInt32BE(data.length);
    whole.write(type, 4, "latin1");
    whole.set(data, 8);
    // gzip's checksum is PNG's.
    whole.writeUInt32BE(
      gzipSync(whole.subarray(4, data.length + 8))
        .subarray(-8)
        .readUInt32LE(),
      data.length + 8,
    );
    return whole;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size);
  header.writeUInt32BE(size, 4);
  header.set([8, 2], 8);
  const rows = Array.from({ length: size }, (_, y) =>
    Buffer.concat([Buffer.of(0), pixels.subarray(3 * y * size, 3 * (y + 1) * size)]),
  );
  return Buffer.concat([
    Buffer.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(Buffer.concat(rows))),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}
