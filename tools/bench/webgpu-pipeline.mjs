// @ts-check
/**
 * Measures the cost of a detection and a training step on WebGPU besides arithmetic: dispatches, waits of the
 * host, bytes moved, and the time of detection's stages outside the convolutions, with this project's kernels
 * and with TensorFlow.js's alone:
 *
 *   node tools/bench/webgpu-pipeline.mjs [--size 480x640] [--channels 64] [--proposals 1000]
 *     [--detections 100] [--rounds 3] [--json FILE]
 *
 * The network is a narrow ResNet-18 on a pyramid of --channels, with random weights, and finds as many
 * objects as requested: the stages outside the convolutions do the same work as in a large network. It runs
 * on any adapter; a software one takes minutes.
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { root } from "../workspace.mjs";

const { values } = parseArgs({
  options: {
    size: { type: "string", default: "480x640" },
    channels: { type: "string", default: "64" },
    proposals: { type: "string", default: "1000" },
    detections: { type: "string", default: "100" },
    rounds: { type: "string", default: "3" },
    json: { type: "string" },
    child: { type: "string" },
  },
});
const [height = 480, width = 640] = values.size.split("x").map(Number);
const [channels, proposals, detections, rounds] = [
  Number(values.channels),
  Number(values.proposals),
  Number(values.detections),
  Number(values.rounds),
];
const outside = ["proposals", "box pooling", "selection", "mask pooling", "paste"];

/**
 * @typedef {import("../../packages/backend-webgpu/src/backend.ts").Traffic} Traffic
 * @typedef {{ device: string, detection: Traffic, training: Traffic, found: number, stages: Record<string,
 *   number>, seconds: number, step: number, peakMb: number }} Measured
 */

/** @param {number[]} numbers */
const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? NaN;

/** @param {boolean} isPlain @returns {Promise<Measured>} */
async function measure(isPlain) {
  const tf = await import("@tensorflow/tfjs");
  const testing = createRequire(join(root, "packages", "testing", "package.json"));
  const ours = (/** @type {string} */ path) => import(join(root, "packages", path));
  const { startWebgpu } = await import(testing.resolve("@mrcnn/backend-webgpu/node"));
  const { webgpuBackend } = await import(testing.resolve("@mrcnn/backend-webgpu"));
  await import(
    createRequire(join(root, "packages", "backend-webgpu", "package.json")).resolve(
      "@tensorflow/tfjs-backend-webgpu",
    )
  );
  const original = new Map(tf.getKernelsForBackend("webgpu").map((config) => [config.kernelName, config]));
  const { description } = await startWebgpu();
  if (isPlain) {
    for (const { kernelName, kernelFunc } of tf.getKernelsForBackend("webgpu")) {
      const before = original.get(kernelName);
      // TensorFlow.js's AddN is refused by the device where there are many terms.
      if (before?.kernelFunc === kernelFunc || kernelName === "AddN") continue;
      tf.unregisterKernel(kernelName, "webgpu");
      if (before !== undefined) tf.registerKernel(before);
    }
  }
  const backend = webgpuBackend();
  const { createMaskRcnn, maskRcnnConfig } = await ours("model/dist/index.js");
  const { profileDetect } = await ours("model/dist/profile.js");
  const { trainingModel } = await ours("model/dist/training.js");
  const { sgd, trainStep } = await ours("trainer/dist/index.js");
  const { shapesDataset, trainingBatch } = await ours("datasets/dist/index.js");
  const { createRandom } = await ours("core/dist/index.js");
  const config = maskRcnnConfig({
    classes: ["circle", "square", "triangle"],
    image: { minSize: Math.min(height, width), maxSize: Math.max(height, width) },
    backbone: { depth: 18, width: 8, norm: "group_norm", groups: 4, trainableLayers: 5 },
    fpn: { channels },
    box: { representation: 64 },
    maskHead: { layers: [16], channels: 16 },
    rpn: {
      detection: { preNmsTopK: 1000, postNmsTopK: proposals },
      training: { preNmsTopK: 1000, postNmsTopK: proposals },
    },
  });
  const model = createMaskRcnn(config);
  const dataset = shapesDataset({ count: 2, size: { height, width }, seed: 1 });
  const { image } = await dataset.get(0);
  const options = { scoreThreshold: 0.2, maxDetections: detections };

  let found = await model.detect([image], options); // compiles
  backend.resetTraffic();
  const seconds = [];
  for (let i = 0; i < rounds; i++) {
    const start = performance.now();
    found = await model.detect([image], options);
    seconds.push((performance.now() - start) / 1000);
  }
  const total = backend.traffic;
  const detection = /** @type {any} */ (
    Object.fromEntries(Object.entries(total).map(([name, value]) => [name, value / rounds]))
  );
  /** @type {Record<string, number[]>} */
  const stages = {};
  for (let i = 0; i <= rounds; i++) {
    const profile = await profileDetect(model, [image], options);
    if (i > 0) for (const [stage, took] of profile.seconds) (stages[stage] ??= []).push(took);
  }

  const trainable = trainingModel(model);
  const optimizer = sgd();
  const batch = await trainingBatch(dataset, 0, { batchSize: 1, seed: 1, prepare: config.image });
  const steps = [];
  for (let step = 0; step <= rounds; step++) {
    backend.resetTraffic();
    const start = performance.now();
    await trainStep(trainable, [batch], optimizer, { step, rate: 1e-3, random: createRandom(step) });
    if (step > 0) steps.push((performance.now() - start) / 1000);
  }
  const training = backend.traffic;
  return {
    device: description,
    detection,
    training,
    found: found[0].scores.length,
    stages: Object.fromEntries(Object.entries(stages).map(([stage, all]) => [stage, median(all)])),
    seconds: median(seconds),
    step: median(steps),
    peakMb: Math.round(backend.peakBytes / 2 ** 20),
  };
}

if (values.child !== undefined) {
  console.log(JSON.stringify(await measure(values.child === "plain")));
  process.exit(0);
}

/** @param {"plain" | "ours"} which @returns {Measured} */
function run(which) {
  const { stdout, status } = spawnSync(
    process.execPath,
    [fileURLToPath(import.meta.url), ...process.argv.slice(2), "--child", which],
    { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] },
  );
  if (status !== 0) process.exit(status ?? 1);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}
const plain = run("plain");
const ours = run("ours");
const sum = (/** @type {Measured} */ { stages }) =>
  outside.reduce((total, stage) => total + (stages[stage] ?? 0), 0);
console.log(
  `${ours.device}, Node ${process.version}: ${height} x ${width}, ${channels} channels, ${proposals} proposals, ${ours.found} detections\n`,
);
console.log("| | TensorFlow.js's kernels | ours |\n|---|---|---|");
const row = (/** @type {string} */ name, /** @type {(m: Measured) => string} */ show) =>
  console.log(`| ${name} | ${show(plain)} | ${show(ours)} |`);
const kb = (/** @type {number} */ bytes) => `${Math.round(bytes / 1024)} KB`;
for (const what of /** @type {const} */ (["detection", "training"])) {
  const name = what === "detection" ? "a detection" : "a training step";
  row(`${name}: dispatches`, (m) => String(m[what].dispatches));
  row(`${name}: reads by the host`, (m) => String(m[what].readbacks));
  row(`${name}: read by the host`, (m) => kb(m[what].bytesRead));
  row(`${name}: written by the host`, (m) => kb(m[what].bytesWritten));
}
for (const stage of outside) row(`${stage}, s`, (m) => (m.stages[stage] ?? 0).toFixed(3));
row("these together, s", (m) => sum(m).toFixed(3));
row("the whole detection, s", (m) => m.seconds.toFixed(2));
row("a training step, s", (m) => m.step.toFixed(2));
row("most GPU memory, MB", (m) => String(m.peakMb));
console.log(`\nOutside the convolutions ${(sum(plain) / sum(ours)).toFixed(1)} times as fast.`);
if (values.json !== undefined)
  writeFileSync(
    values.json,
    `${JSON.stringify({ date: new Date().toISOString().slice(0, 10), plain, ours }, null, 2)}\n`,
  );
