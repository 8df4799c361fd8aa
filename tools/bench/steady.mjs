// @ts-check
/**
 * Trains a small network for a long time, as users do, and tells whether memory and speed stay constant:
 *
 *   node tools/bench/steady.mjs [--steps 2000] [--warmup 800] [--backend tensorflow]
 *     [--sizes varied|fixed] [--window 200] [--out FOLDER]
 *
 * It runs `mrcnn train` with a data thread and checkpoints and reads metrics.jsonl. `--sizes varied` rotates
 * and resizes, so that batches have many shapes; TensorFlow keeps a kernel for each shape, up to a limit,
 * which is reached during the warm-up. After it the number of tensors must not change, the medians of
 * resident memory and of its peak must stay within 2 % in every window, and seconds per step must not end
 * more than 2 % above how they began. Exit code 1 when they do not. Run it on an otherwise idle machine.
 * FOLDER keeps the run.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { root } from "../workspace.mjs";

const { values } = parseArgs({
  options: {
    steps: { type: "string", default: "2000" },
    warmup: { type: "string" },
    backend: { type: "string", default: "tensorflow" },
    sizes: { type: "string", default: "varied" },
    window: { type: "string", default: "200" },
    out: { type: "string" },
  },
});
const [steps, width] = [Number(values.steps), Number(values.window)];
const warmup = Number(values.warmup ?? 0.4 * steps);

const folder = values.out ?? mkdtempSync(join(tmpdir(), "mrcnn-steady-"));
mkdirSync(folder, { recursive: true });
const start = JSON.parse(readFileSync(join(root, "configs", "start.json"), "utf8"));
const shapes = { count: 10000, seed: 1, size: { height: 128, width: 192 }, objects: [2, 12] };
const config = {
  ...start,
  model: { ...start.model, backbone: { ...start.model.backbone, width: 16 } },
  data: { train: { format: "shapes", shapes } },
  augment:
    values.sizes === "varied" ?
      { flip: 0.5, rotate90: 0.5, minSizes: [64, 96, 112, 128, 144, 160] }
    : { flip: 0.5 },
  training: { steps, batchSize: 2, checkpointEvery: 500, workers: 1 },
};
writeFileSync(join(folder, "steady.json"), JSON.stringify(config));
const command = [
  join(root, "apps/trainer/bin/mrcnn.mjs"),
  "train",
  join(folder, "steady.json"),
  "--out",
  join(folder, "run"),
  "--backend",
  values.backend,
];
const { status } = spawnSync(process.execPath, command, { stdio: "inherit" });
if (status !== 0) process.exit(1);
/** @type {Record<string, number>[]} */
const lines = readFileSync(join(folder, "run", "metrics.jsonl"), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line));
if (values.out === undefined) rmSync(folder, { recursive: true });

/** @param {readonly number[]} numbers */
const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? NaN;
const windows = Array.from({ length: Math.floor(lines.length / width) }, (_, k) =>
  lines.slice(k * width, (k + 1) * width),
);
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
console.log(
  `\n${values.sizes} sizes on ${values.backend}, ${cpus().length} x ${cpus()[0]?.model}, Node ${process.version}\n`,
);
console.log(
  "| steps | tensors | memory, MB | peak, MB | s per step | waiting for data |\n|---|---|---|---|---|---|",
);
for (const [k, row] of rows.entries()) {
  console.log(
    `| ${k * width + 1} to ${(k + 1) * width} | ${row.tensors} | ${row.memoryMb} | ${row.peakMemoryMb} | ${row.secondsPerStep.toFixed(4)} | ${(100 * row.waiting).toFixed(1)} % |`,
  );
}

const [first, ...rest] = rows.slice(Math.ceil(warmup / width));
const last = rest.at(-1);
if (first === undefined || last === undefined) {
  console.error("Too few steps: two windows at least must follow the warm-up.");
  process.exit(1);
}
/** @param {string} what @param {number[]} changes @param {number} judged */
const judge = (what, changes, judged) => {
  const within = judged <= 0.02;
  console.log(
    `${what}: ${within ? "" : "NOT "}within 2 %, window by window ${changes.map((change) => `${(100 * change).toFixed(1)} %`).join(", ")}`,
  );
  return within;
};
const tensors = rest.every((row) => row.tensors === first.tensors);
console.log(`\nAfter ${warmup} steps\ntensors: ${tensors ? "the same" : "NOT the same"}`);
const verdicts = /** @type {const} */ (["memoryMb", "peakMemoryMb", "secondsPerStep"]).map((key) => {
  const changes = rest.map((row) => row[key] / first[key] - 1);
  return judge(
    key,
    changes,
    key === "secondsPerStep" ? last[key] / first[key] - 1 : Math.max(...changes.map(Math.abs)),
  );
});
process.exit(tensors && verdicts.every(Boolean) ? 0 : 1);
