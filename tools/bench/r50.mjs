// @ts-check
/**
 * Times Mask R-CNN R50-FPN with the same seeded weights and image in this project and in other libraries, in
 * one run:
 *
 *   node tools/bench/r50.mjs [--size 512 --size 800x1333] [--rounds 3] [--only NAME --only NAME]
 *     [--out FOLDER]
 *
 * README.md beside it states what is timed and what it needs.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { root } from "../workspace.mjs";
import { contendersOf, lookAt, onnxruntimes } from "./r50/contenders.mjs";
import { layersOf } from "./r50/layers.mjs";
import { plotOf, plotters } from "./r50/plot.mjs";
import { disturbance, toMarkdown } from "./r50/report.mjs";

/** @typedef {import("./r50/report.mjs").Result} Result */

const { values } = parseArgs({
  options: {
    size: { type: "string", multiple: true, default: ["512"] },
    rounds: { type: "string", default: "3" },
    only: { type: "string", multiple: true, default: [""] },
    action: { type: "string", default: "detect,train,stages" },
    threads: { type: "string", default: String(availableParallelism()) },
    python: { type: "string", default: "/usr/bin/python3" },
    torch: { type: "string" },
    out: { type: "string" },
  },
});
const WARMUP = 2;
// A run of 800x1333 on one thread of wasm takes half a minute.
const LONGEST_MS = 30 * 60_000;
const cache = join(root, ".cache", "bench");
const threads = Number(values.threads);
const rounds = Number(values.rounds);
const actions = /** @type {import("./r50/contenders.mjs").Action[]} */ (values.action.split(","));
const venv = join(cache, "torch", "bin", "python");
const newPython = values.torch ?? (existsSync(venv) ? venv : values.python);

/** @param {string} text */
function parseSize(text) {
  const [, height = 0, width = height] =
    /^(\d+)(?:x(\d+))?$/.exec(text)?.map((part) => (part === undefined ? part : Number(part))) ?? [];
  if (!(Number(height) >= 64 && Number(width) >= 64))
    fail(`--size must be a side or HEIGHTxWIDTH in pixels from 64 up, got ${text}.`);
  return { height: Number(height), width: Number(width) };
}

/** @param {string} text @returns {never} */
function fail(text) {
  console.error(`error: ${text}`);
  process.exit(1);
}

if (!(rounds >= 1 && threads >= 1)) fail("--rounds and --threads must be numbers from 1 up.");
if (!existsSync(join(root, "packages", "model", "dist", "index.js")))
  fail("the packages are not built. Run `npm run build` first.");

// What is from npm is brought here, so that the workspace needs none of it.
mkdirSync(cache, { recursive: true });
const missing = [...onnxruntimes, ...plotters].filter(
  (spec) => !existsSync(join(cache, "node_modules", spec.slice(0, spec.lastIndexOf("@")))),
);
if (missing.length > 0) {
  writeFileSync(join(cache, "package.json"), '{ "private": true }\n');
  const { status } = spawnSync(
    "npm",
    ["install", "--ignore-scripts", "--no-audit", "--no-fund", ...onnxruntimes, ...plotters],
    { cwd: cache, stdio: ["ignore", "ignore", "inherit"] },
  );
  if (status !== 0) console.error(`${missing.join(", ")} could not be installed; going on without.`);
}

/** The weights, image and ONNX file of a size, made once. @param {{ height: number, width: number }} size */
function makeCase({ height, width }) {
  const folder = join(cache, `r50-${height}x${width}`);
  const make = (/** @type {"make" | "export"} */ action) => {
    const maker = [values.python, newPython].find((python) => lookAt(python)?.torchvision !== undefined);
    if (maker === undefined) throw new Error("no torchvision");
    execFileSync(
      maker,
      [
        "-W",
        "ignore",
        join(root, "tools", "bench", "r50", "torchvision_contender.py"),
        JSON.stringify({ action, folder, height, width }),
      ],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
  };
  mkdirSync(folder, { recursive: true });
  try {
    if (!existsSync(join(folder, "case.json"))) make("make");
  } catch {
    fail(
      "torchvision makes the weights that all run on. Install it (apt-get install python3-torch python3-torchvision), or name a Python that has it with --python.",
    );
  }
  try {
    if (!existsSync(join(folder, "model.onnx"))) make("export");
  } catch {
    console.error("torchvision's export to ONNX failed; onnxruntime will fail as well.");
  }
  return folder;
}

const { tensorflowAvailable } = await import(join(root, "packages", "backend-cuda", "dist", "index.js"));
const cuda = spawnSync("nvidia-smi", ["-L"]).status === 0;
const wanted = contendersOf({
  threads,
  python: values.python,
  newPython,
  cuda,
  tensorflow: tensorflowAvailable(),
}).filter(({ title }) => values.only.some((part) => title.includes(part)));
const present = wanted.filter(({ absent }) => absent === undefined);
const sizes = values.size
  .flatMap((text) => text.split(","))
  .map(parseSize)
  .map((size) => ({ ...size, name: `${size.height}x${size.width}`, folder: makeCase(size) }));
const smallest = sizes.toSorted((a, b) => a.height * a.width - b.height * b.width)[0]?.name;

/** @type {Map<string, Result>} */
const results = new Map();
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(130);
    console.error("\nStopping; what there is follows.");
    stop.abort();
  });
}

// Seconds that all processors together have worked, of any program.
const busy = () =>
  cpus().reduce((sum, { times: { user, nice, sys, irq } }) => sum + user + nice + sys + irq, 0) / 1000;

/**
 * Runs a contender's program and reads the last line it prints.
 *
 * @param {import("./r50/contenders.mjs").Contender} contender
 * @param {object} job
 * @returns {Promise<import("./r50/child.mjs").Answer>}
 */
function run({ command: [file = "", ...args], env }, job) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, [...args, JSON.stringify(job)], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      signal: stop.signal,
      killSignal: "SIGKILL",
      timeout: LONGEST_MS,
    });
    let [out, err] = ["", ""];
    child.stdout.on("data", (data) => (out += data));
    child.stderr.on("data", (data) => (err = (err + data).slice(-4000)));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      const line = out.trim().split("\n").at(-1) ?? "";
      if (code === 0 && line.startsWith("{")) resolve(JSON.parse(line));
      else reject(new Error(signal === null ? `exit code ${code}\n${err.trim()}` : `ended by ${signal}`));
    });
  });
}

// What training gives the mask head; the sampler decides, so it is asked.
let maskRois = 2 * 128;

for (let round = 0; round < rounds; round++) {
  for (const size of sizes) {
    for (const action of actions) {
      if (action === "train" && size.name !== smallest) continue;
      for (const contender of present) {
        const runs = contender.runs[action];
        const key = `${size.name}, ${action}: ${contender.title}`;
        const before = results.get(key);
        if (runs === undefined || before?.failure !== undefined || stop.signal.aborted) continue;
        const training = action === "train";
        const rois =
          training ?
            { batch: 2, boxRois: 1024, maskRois, maskClasses: 91 }
          : { batch: 1, boxRois: 1000, maskRois: 100, maskClasses: 1 };
        const layers = contender.kind === "limit" ? layersOf({ ...size, ...rois }) : undefined;
        const base = { size: size.name, action, title: contender.title, kind: contender.kind, layers };
        try {
          const [began, busyBefore] = [performance.now(), busy()];
          const found = await run(contender, {
            ...contender.job,
            action,
            folder: size.folder,
            warmup: WARMUP,
            runs,
            ...(layers && { layers, training }),
          });
          maskRois = found.maskRois ?? maskRois;
          const others =
            (busy() - busyBefore - found.cpuSeconds) / ((performance.now() - began) / 1000) / cpus().length;
          const stages = Object.fromEntries(
            Object.entries(found.stages ?? {}).map(([name, own]) => [
              name,
              [...(before?.stages?.[name] ?? []), ...own],
            ]),
          );
          results.set(key, {
            ...base,
            ...found,
            stages,
            seconds: [...(before?.seconds ?? []), ...(found.seconds ?? [])],
            memoryMb: Math.max(before?.memoryMb ?? 0, found.memoryMb),
            others: Math.max(before?.others ?? 0, others),
          });
          const shown = found.seconds ?? [
            Object.values(found.stages ?? {}).reduce((sum, own) => sum + (own[0] ?? 0), 0),
          ];
          console.error(
            `${key}: ${shown.map((s) => s.toFixed(3)).join(" ")} s, ${found.memoryMb} MB${disturbance(others)}`,
          );
        } catch (error) {
          if (stop.signal.aborted) continue;
          const message = error instanceof Error ? error.message : String(error);
          console.error(`${key} failed: ${message}`);
          // A later failure leaves what earlier rounds have measured.
          const [failure = ""] = [
            message.split("\n").findLast((line) => /error/i.test(line)) ?? message.split("\n")[0],
          ];
          results.set(before === undefined ? key : `${key}, failed`, {
            ...base,
            seconds: [],
            memoryMb: 0,
            failure: failure.trim(),
          });
        }
      }
    }
  }
}

const report = {
  machine: `${threads} threads of ${cpus().length} x ${cpus()[0]?.model.trim()}, Node ${process.versions.node}`,
  date: new Date().toISOString().slice(0, 10),
  rounds,
  warmup: WARMUP,
  results: [...results.values()],
  absent: wanted.flatMap(({ title, absent }) => (absent === undefined ? [] : [{ title, install: absent }])),
};
const markdown = toMarkdown(report);
console.log(markdown);
if (values.out !== undefined) {
  mkdirSync(values.out, { recursive: true });
  writeFileSync(join(values.out, "results.json"), `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(join(values.out, "table.md"), markdown);
  try {
    writeFileSync(join(values.out, "plot.svg"), await plotOf(report));
  } catch (error) {
    console.error(`no plot: ${error instanceof Error ? error.message : error}`);
  }
}
process.exit(stop.signal.aborted ? 130 : 0);
