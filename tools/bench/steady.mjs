// @ts-check
// Trains a small network for long, as users do, and says whether it stays as it began:
//   node tools/bench/steady.mjs [--steps 2000] [--backend tensorflow] [--sizes varied|fixed] [--window 200] [--out FOLDER]
// It runs `mrcnn train` with a data thread and checkpoints and reads metrics.jsonl. `--sizes varied` turns and resizes, so that
// batches come in many shapes. The first window is warm-up; after it the number of tensors must not change, and the medians
// of resident memory, of its peak and of seconds per step must stay within 2 % of the next window's.
// Exit code 1 when they do not. Run it on a machine that does nothing else. FOLDER keeps the run.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { root } from "../workspace.mjs";

const { values } = parseArgs({
  options: {
    steps: { type: "string", default: "2000" },
    backend: { type: "string", default: "tensorflow" },
    sizes: { type: "string", default: "varied" },
    window: { type: "string", default: "200" },
    out: { type: "string" },
  },
});
const [steps, width] = [Number(values.steps), Number(values.window)];

const folder = values.out ?? mkdtempSync(join(tmpdir(), "mrcnn-steady-"));
mkdirSync(folder, { recursive: true });
const start = JSON.parse(readFileSync(join(root, "configs", "start.json"), "utf8"));
const shapes = { count: 10000, seed: 1, size: { height: 128, width: 192 }, objects: [2, 12] };
const config = {
  ...start,
  model: { ...start.model, backbone: { ...start.model.backbone, width: 16 } },
  data: { train: { format: "shapes", shapes } },
  augment: values.sizes === "varied" ? { flip: 0.5, rotate90: 0.5, minSizes: [64, 96, 112, 128, 144, 160] } : { flip: 0.5 },
  training: { steps, batchSize: 2, checkpointEvery: 500, workers: 1 },
};
writeFileSync(join(folder, "steady.json"), JSON.stringify(config));
const command = [join(root, "apps/trainer/bin/mrcnn.mjs"), "train", join(folder, "steady.json"), "--out", join(folder, "run"), "--backend", values.backend];
const { status } = spawnSync(process.execPath, command, { stdio: "inherit" });
if (status !== 0) process.exit(1);
/** @type {Record<string, number>[]} */
const lines = readFileSync(join(folder, "run", "metrics.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line));
if (values.out === undefined) rmSync(folder, { recursive: true });

/** @param {readonly number[]} numbers */
const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? NaN;
const windows = Array.from({ length: Math.floor(lines.length / width) }, (_, k) => lines.slice(k * width, (k + 1) * width));
const rows = windows.map((window) => {
  const of = (/** @type {string} */ key) => median(window.map((line) => line[key] ?? NaN));
  return {
    tensors: [...new Set(window.map((line) => line["tensors"]))].join(", "),
    memoryMb: of("memoryMb"),
    peakMemoryMb: of("peakMemoryMb"),
    secondsPerStep: of("secondsPerStep"),
    waiting: of("waitingShare"),
  };
});
console.log(`\n${values.sizes} sizes on ${values.backend}, ${cpus().length} x ${cpus()[0]?.model}, Node ${process.version}\n`);
console.log("| steps | tensors | memory, MB | peak, MB | s per step | waiting for data |\n|---|---|---|---|---|---|");
for (const [k, row] of rows.entries()) {
  console.log(`| ${k * width + 1} to ${(k + 1) * width} | ${row.tensors} | ${row.memoryMb} | ${row.peakMemoryMb} | ${row.secondsPerStep.toFixed(4)} | ${(100 * row.waiting).toFixed(1)} % |`);
}

const [, first, ...rest] = rows;
if (first === undefined || rest.length === 0) {
  console.error(`Too few steps: at least ${3 * width}, or a smaller --window.`);
  process.exit(1);
}
let flat = rest.every(({ tensors }) => tensors === first.tensors);
console.log(`\ntensors: ${flat ? "the same" : "NOT the same"}`);
for (const key of /** @type {const} */ (["memoryMb", "peakMemoryMb", "secondsPerStep"])) {
  const changes = rest.map((row) => row[key] / first[key] - 1);
  const worst = changes.toSorted((a, b) => Math.abs(b) - Math.abs(a))[0] ?? NaN;
  const within = Math.abs(worst) <= 0.02;
  flat &&= within;
  console.log(`${key}: ${within ? "" : "NOT "}within 2 %: at most ${(100 * worst).toFixed(1)} %, at the end ${(100 * (changes.at(-1) ?? NaN)).toFixed(1)} %`);
}
process.exit(flat ? 0 : 1);
