// @ts-check
// Times Mask R-CNN R50-FPN on the same seeded weights and image, ours beside its peers, in one run:
//   node tools/bench/r50.mjs [--size 512] [--rounds 3] [--only NAME,NAME]
// Needs Debian's python3-torch and python3-torchvision; fetches onnxruntime from npm into .cache/bench.
// Every contender runs in a process of its own, in turn, `rounds` times; the table gives medians.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { root } from "../workspace.mjs";

const { values } = parseArgs({
  options: { size: { type: "string", default: "512" }, rounds: { type: "string", default: "3" }, only: { type: "string" }, json: { type: "string" } },
});
const size = Number(values.size);
const folder = join(root, ".cache", "bench", `r50-${size}`);
const python = process.env["PYTHON"] ?? "/usr/bin/python3";
const here = join(root, "tools", "bench");

mkdirSync(folder, { recursive: true });
if (!existsSync(join(root, ".cache", "bench", "node_modules", "onnxruntime-web"))) {
  writeFileSync(join(root, ".cache", "bench", "package.json"), '{ "private": true }\n');
  execFileSync("npm", ["i", "--ignore-scripts", "--no-audit", "onnxruntime-node@1.30.0", "onnxruntime-web@1.30.0"], { cwd: join(root, ".cache", "bench"), stdio: "inherit" });
}
if (!existsSync(join(folder, "model.onnx"))) execFileSync(python, [join(here, "r50.py"), "make", folder, String(size)], { stdio: "inherit" });

/** @typedef {{ title: string, command: (action: string, n: number) => [string, string[]], train?: boolean, n?: number }} Contender */
/** @param {string} name @param {number} threads */
const node = (name, threads) => (/** @type {string} */ action, /** @type {number} */ n) =>
  /** @type {[string, string[]]} */ ([process.execPath, [join(here, "r50-contender.mjs"), name, action, folder, String(threads), String(n)]]);
/** @param {number} threads */
const torch = (threads) => (/** @type {string} */ action, /** @type {number} */ n) =>
  /** @type {[string, string[]]} */ ([python, [join(here, "r50.py"), action, folder, String(threads), String(n)]]);

/** @type {Contender[]} */
const contenders = [
  { title: "@mrcnn on tensorflow, 2 threads", command: node("tensorflow", 2), train: true, n: 3 },
  { title: "onnxruntime-node, 2 threads", command: node("onnxruntime-node", 2), n: 3 },
  { title: "torchvision, 2 threads", command: torch(2), train: true, n: 3 },
  { title: "@mrcnn on wasm, 1 thread", command: node("wasm", 1), n: 1 },
  { title: "onnxruntime-web, 1 thread", command: node("onnxruntime-web", 1), n: 1 },
  { title: "@mrcnn on wasm, 2 threads", command: node("wasm", 2), train: true, n: 1 },
  { title: "onnxruntime-web, 2 threads", command: node("onnxruntime-web", 2), n: 1 },
];
const chosen = contenders.filter(({ title }) => values.only === undefined || values.only.split(",").some((part) => title.includes(part)));

/** @type {Map<string, { seconds: number[], detections?: number, memoryMb?: number }>} */
const results = new Map();
for (let round = 0; round < Number(values.rounds); round++) {
  for (const action of ["detect", "train"]) {
    for (const { title, command, train, n = 1 } of chosen) {
      if (action === "train" && train !== true) continue;
      const [file, args] = command(action, action === "train" ? 1 : n);
      const { stdout, status, stderr } = spawnSync(file, args, { encoding: "utf8", maxBuffer: 2 ** 26 });
      const line = stdout.trim().split("\n").at(-1) ?? "";
      if (status !== 0 || !line.startsWith("{")) {
        console.error(`${title} (${action}) failed:\n${stderr.slice(-2000)}`);
        continue;
      }
      const found = JSON.parse(line);
      const key = `${action}: ${title}`;
      const sofar = results.get(key);
      results.set(key, { ...found, seconds: [...(sofar?.seconds ?? []), ...found.seconds] });
      console.error(`${key}: ${found.seconds.map((/** @type {number} */ s) => s.toFixed(2)).join(" ")} s`);
    }
  }
}

/** @param {number[]} values */
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
console.log(`R50-FPN, ${size}x${size}, ${cpus().length} x ${cpus()[0]?.model}, Node ${process.version}\n`);
console.log("| | median s | min s | runs | detections |\n|---|---|---|---|---|");
for (const [key, { seconds, detections }] of results) {
  console.log(`| ${key} | ${median(seconds).toFixed(2)} | ${Math.min(...seconds).toFixed(2)} | ${seconds.length} | ${detections ?? ""} |`);
}
if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(Object.fromEntries(results), null, 2));
