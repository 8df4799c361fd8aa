// @ts-check
/**
 * Times every convolution and matrix product of Mask R-CNN R50-FPN on a GPU through WebGPU, with
 * TensorFlow.js's kernels and this project's, against the device's peak, measured in the same run:
 *
 *   node tools/bench/webgpu.mjs [--size 800x1333] [--small] [--train] [--rounds 3] [--only 3x3]
 *     [--adapter NAME] [--json FILE]
 *   node tools/bench/webgpu.mjs --pack FOLDER      packs it for a machine with a GPU and Node 20
 *
 * README.md beside it states what is timed.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-webgpu";
import { webgpuBackend } from "../../packages/backend-webgpu/dist/index.js";
import { startWebgpu } from "../../packages/backend-webgpu/dist/node.js";
import { levelAreas } from "../../packages/roi-align/dist/kernel.js";
import { gflop, layersOf } from "./r50/layers.mjs";
import { peaks } from "./webgpu/peaks.mjs";
import { createTimer } from "./webgpu/timer.mjs";

const { values } = parseArgs({
  options: {
    size: { type: "string", default: "800x1333" },
    small: { type: "boolean", default: false },
    train: { type: "boolean", default: false },
    rounds: { type: "string", default: "3" },
    only: { type: "string", default: "" },
    adapter: { type: "string" },
    json: { type: "string" },
    pack: { type: "string" },
  },
});

if (values.pack !== undefined) {
  const { pack } = await import("./webgpu/pack.mjs");
  await pack(values.pack);
  process.exit(0);
}

// TensorFlow.js's own, before ours take their place.
const names = ["FusedConv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter", "_FusedMatMul"];
const theirs = new Map(names.map((name) => [name, tf.getKernel(name, "webgpu").kernelFunc]));
const { description, isSoftware, features } = await startWebgpu({
  ...(values.adapter !== undefined && { adapter: values.adapter }),
});
const backend = webgpuBackend();
const hasHalves = features.includes("shader-f16");
// Software takes seconds for what a GPU does in one thousandth of one: an eighth of the size in each axis,
// and few RoIs.
const small = values.small || isSoftware;
const [height = 800, width = height] = (small ? "96x128" : values.size).split("x").map(Number);
const rois = small ? { boxRois: 16, maskRois: 2 } : { boxRois: 1000, maskRois: 100 };
const layers = layersOf({ height, width, batch: 1, ...rois, maskClasses: 91 });

const time = createTimer(backend, { rounds: Number(values.rounds), atLeastMs: small ? 0 : 30 });
const peak = await peaks(backend, time, small);
console.log(
  `${description}${isSoftware ? ", which is no GPU: its times say nothing about one" : ""}; ${features.join(", ") || "no optional features"}; Node ${process.versions.node}, ${process.platform}`,
);
console.log(
  `Measured peaks: ${peak.gflops.toFixed(0)} GFLOP/s of float32 fma${peak.halfGflops === undefined ? "" : `, ${peak.halfGflops.toFixed(0)} of float16`}; ${peak.gbps.toFixed(1)} GB/s of copying. Times by ${time.source}, the fastest of ${values.rounds} rounds.\n`,
);

/** @typedef {import("./r50/layers.mjs").Layer} Layer */
/**
 * @typedef {{ label: string, kernel: string, inputs: import("@tensorflow/tfjs-core").NamedTensorMap, attrs:
 *   object, gflop: number, megabytes: number }} Case
 */

/**
 * The forward kernel of a layer, and with --train its gradients', with their inputs on the device.
 *
 * @param {Layer} layer
 * @returns {Case[]}
 */
function casesOf(layer) {
  const { kind, batch, in: from, out, kernel, stride, padding } = layer;
  const work = gflop(layer) / layer.count;
  const megabytes = (/** @type {tf.Tensor[]} */ ...tensors) =>
    tensors.reduce((sum, { size }) => sum + 4 * size, 0) / 1e6;
  const random = (/** @type {number[]} */ ...shape) => tf.randomNormal(shape);
  // A transposed convolution of its own stride is a product for each row of the filter; one of them stands
  // for all.
  if (kind !== "conv") {
    const rows = kind === "deconv" ? batch * layer.height * layer.width : batch;
    const columns = kind === "deconv" ? out * kernel * kernel : out;
    const [a, b, bias] = [random(1, rows, from), random(1, from, columns), random(columns)];
    const label = `${rows}x${from} by ${from}x${columns}`;
    return [
      {
        label,
        kernel: "_FusedMatMul",
        inputs: { a, b, bias },
        attrs: { transposeA: false, transposeB: false, activation: "relu" },
        gflop: work,
        megabytes: megabytes(a, b) + (4 * rows * columns) / 1e6,
      },
    ];
  }
  const shape = [batch, layer.height, layer.width, from];
  const [x, filter, bias] = [random(...shape), random(kernel, kernel, from, out), random(out)];
  const [h, w] = [Math.ceil(layer.height / stride), Math.ceil(layer.width / stride)];
  const pad =
    padding === 0 ? "valid" : (
      [
        [0, 0],
        [padding, padding],
        [padding, padding],
        [0, 0],
      ]
    );
  const attrs = { strides: [stride, stride], pad, dilations: [1, 1], dataFormat: "NHWC", groups: 1 };
  const label = `${kernel}x${kernel}${stride > 1 ? ` /${stride}` : ""}, ${layer.height}x${layer.width}x${from} to ${out}`;
  const moved = megabytes(x, filter) + (4 * batch * h * w * out) / 1e6;
  const forward = {
    label,
    kernel: "FusedConv2D",
    inputs: { x, filter, bias },
    attrs: { ...attrs, activation: "relu" },
    gflop: work,
    megabytes: moved,
  };
  if (!values.train) return [forward];
  const dy = random(batch, h, w, out);
  // TensorFlow.js's gradients refuse padding but "same" and "valid": given "same", they do as much.
  const gradient = { ...attrs, pad: padding === 0 ? "valid" : "same" };
  return [
    forward,
    ...(layer.passed ?
      [
        {
          label: `${label}, input gradient`,
          kernel: "Conv2DBackpropInput",
          inputs: { dy, filter },
          attrs: { ...gradient, inputShape: shape },
          gflop: work,
          megabytes: moved,
        },
      ]
    : []),
    ...(layer.trained ?
      [
        {
          label: `${label}, filter gradient`,
          kernel: "Conv2DBackpropFilter",
          inputs: { x, dy },
          attrs: { ...gradient, filterShape: filter.shape },
          gflop: work,
          megabytes: moved,
        },
      ]
    : []),
  ];
}

/** RoIAlign for both heads, and the choice of proposals with its suppression. @returns {Case[]} */
function otherCases() {
  const strides = [4, 8, 16, 32, 64];
  const grids = strides.map((stride) => [Math.ceil(height / stride), Math.ceil(width / stride)]);
  const levels = grids.slice(0, 4).map(([h, w]) => tf.randomNormal([1, h ?? 0, w ?? 0, 256]));
  const pooling = (/** @type {number} */ count, /** @type {number} */ bins) => {
    // Sides of a sixteenth to a half of the picture, so that every level has some.
    const boxes = tf.tensor2d(
      Array.from({ length: count }, (_, i) => {
        const side = (Math.min(height, width) / 16) * 8 ** ((i % 64) / 64);
        const [x, y] = [(((i * 37) % 97) / 97) * (width - side), (((i * 53) % 89) / 89) * (height - side)];
        return [x, y, x + side, y + side];
      }),
    );
    const inputs = {
      ...Object.fromEntries(levels.map((map, i) => [`level${i}`, tf.clone(map)])),
      boxes,
      imageIndex: tf.zeros([count], "int32"),
    };
    const attrs = {
      outputHeight: bins,
      outputWidth: bins,
      samplingRatio: 2,
      aligned: false,
      spatialScales: strides.slice(0, 4).map((stride) => 1 / stride),
      areas: levelAreas({ minLevel: 2, maxLevel: 5 }),
      inputShapes: levels.map(({ shape }) => shape),
    };
    const read = Math.min(
      levels.reduce((sum, { size }) => sum + size, 0),
      count * bins * bins * 16 * 256,
    );
    return {
      label: `RoIAlign ${bins}x${bins} of ${count} RoIs`,
      kernel: "MrcnnRoiAlignPyramid",
      inputs,
      attrs,
      gflop: 0,
      megabytes: (4 * (read + count * bins * bins * 256)) / 1e6,
    };
  };
  const levelCounts = grids.map(([h = 0, w = 0]) => 3 * h * w);
  const anchors = levelCounts.reduce((sum, n) => sum + n, 0);
  const candidates = levelCounts.reduce((sum, n) => sum + Math.min(n, 1000), 0);
  const proposals = {
    label: `proposals: top-k and suppression of ${anchors} anchors`,
    kernel: "MrcnnSelectProposals",
    inputs: {
      objectness: tf.randomNormal([1, anchors]),
      deltas: tf.randomNormal([1, anchors, 4], 0, 0.1),
      anchors: tf.tensor2d(
        Array.from({ length: anchors }, (_, i) => {
          const [x, y] = [(i * 31) % width, (i * 17) % height];
          return [x, y, x + 48, y + 48];
        }),
      ),
      sizes: tf.tensor2d([[height, width]]),
    },
    attrs: { levelCounts, preNmsTopK: 1000, postNmsTopK: 1000, nmsThreshold: 0.7 },
    gflop: 0,
    // Logits twice; of candidates deltas, anchors and boxes, and the bits of which overlap which.
    megabytes: (8 * anchors + candidates * (48 + 125)) / 1e6,
  };
  const cases = [pooling(rois.boxRois, 7), pooling(rois.maskRois, 14), proposals];
  tf.dispose(levels);
  return cases;
}

/**
 * Milliseconds of one run, undefined where the device refuses it.
 *
 * @param {Case} one
 * @param {import("@tensorflow/tfjs-core").KernelFunc} kernelFunc
 */
async function measure({ inputs, attrs }, kernelFunc) {
  const run = () => {
    const made = kernelFunc({ inputs, attrs: /** @type {never} */ (attrs), backend });
    for (const { dataId } of [made].flat()) backend.disposeData(dataId);
  };
  try {
    return await time(run);
  } catch (error) {
    console.error(`  refused: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}

const shown = (/** @type {number | undefined} */ ms) => (ms === undefined ? "-" : ms.toPrecision(3));
console.log(
  "| stage | layer | times | GFLOP | MB | FLOP per byte | TensorFlow.js, ms | here, ms | GFLOP/s | of the limit | of TensorFlow.js's time |" +
    (hasHalves ? " float16, ms |" : ""),
);
console.log(`|---|---|---|---|---|---|---|---|---|---|---|${hasHalves ? "---|" : ""}`);
const rows = [];
const total = { gflop: 0, theirs: 0, ours: 0, halves: 0, limit: 0 };
for (const layer of layers) {
  const cases = casesOf(layer);
  for (const one of cases.filter(({ label }) => label.includes(values.only))) {
    const original = await measure(
      one,
      /** @type {import("@tensorflow/tfjs-core").KernelFunc} */ (theirs.get(one.kernel)),
    );
    const kernelFunc = tf.getKernel(one.kernel, "webgpu").kernelFunc;
    const ours = await measure(one, kernelFunc);
    let halves;
    if (hasHalves && !one.label.includes("gradient")) {
      Object.assign(backend, { precision: "float16" });
      halves = await measure(one, kernelFunc);
      Object.assign(backend, { precision: "float32" });
    }
    // The slower of arithmetic and memory, each at what was measured.
    const limit = Math.max(one.gflop / peak.gflops, one.megabytes / 1e3 / peak.gbps) * 1e3;
    const { count, stage } = layer;
    rows.push({
      stage,
      label: one.label,
      count,
      gflop: one.gflop,
      megabytes: one.megabytes,
      theirs: original,
      ours,
      halves,
      limit,
    });
    total.gflop += count * one.gflop;
    total.theirs += count * (original ?? NaN);
    total.ours += count * (ours ?? NaN);
    total.halves += count * (halves ?? 0);
    total.limit += count * limit;
    const speed = ours === undefined ? "-" : ((one.gflop / ours) * 1e3).toPrecision(3);
    console.log(
      `| ${stage} | ${one.label} | ${count} | ${one.gflop.toPrecision(3)} | ${one.megabytes.toPrecision(3)} | ${((one.gflop * 1e3) / one.megabytes).toFixed(0)} | ${shown(original)} | ${shown(ours)} | ${speed} | ` +
        `${ours === undefined ? "-" : `${((100 * limit) / ours).toFixed(0)} %`} | ${ours === undefined || original === undefined ? "-" : (ours / original).toFixed(2)} |${hasHalves ? ` ${shown(halves)} |` : ""}`,
    );
  }
  for (const one of cases) tf.dispose(one.inputs);
}
console.log(
  `| **together** | | | ${total.gflop.toPrecision(4)} | | | ${shown(total.theirs)} | ${shown(total.ours)} | ${((total.gflop / total.ours) * 1e3).toPrecision(3)} | ${((100 * total.limit) / total.ours).toFixed(0)} % | ${(total.ours / total.theirs).toFixed(2)} |${hasHalves ? ` ${shown(total.halves)} |` : ""}`,
);

// What moves bytes more than it computes: all that a kernel must read and write, against the device's
// copying.
console.log("\n| kernel | MB it must move | here, ms | GB/s | of the limit |\n|---|---|---|---|---|");
for (const one of otherCases()) {
  const ours = await measure(one, tf.getKernel(one.kernel, "webgpu").kernelFunc);
  const limit = one.megabytes / peak.gbps;
  rows.push({
    stage: "beside",
    label: one.label,
    count: 1,
    gflop: 0,
    megabytes: one.megabytes,
    theirs: undefined,
    ours,
    halves: undefined,
    limit,
  });
  console.log(
    `| ${one.label} | ${one.megabytes.toPrecision(3)} | ${shown(ours)} | ${ours === undefined ? "-" : (one.megabytes / ours).toPrecision(3)} | ${ours === undefined ? "-" : `${((100 * limit) / ours).toFixed(0)} %`} |`,
  );
  tf.dispose(one.inputs);
}
if (values.json !== undefined)
  writeFileSync(
    values.json,
    `${JSON.stringify({ device: description, isSoftware, features, size: { height, width }, peak, timer: time.source, rows }, null, 2)}\n`,
  );
// Dawn keeps the process alive.
process.exit(0);
