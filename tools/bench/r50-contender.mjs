// @ts-check
// One contender of r50.mjs in a process of its own: node r50-contender.mjs NAME ACTION DIR THREADS N
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { root } from "../workspace.mjs";

const [name = "", action = "", folder = "", threadText = "1", countText = "1"] = process.argv.slice(2);
const threads = Number(threadText);
const count = Number(countText);
/** @type {{ size: number }} */
const { size } = JSON.parse(readFileSync(join(folder, "case.json"), "utf8"));
const pixels = new Uint8Array(readFileSync(join(folder, "image.bin")));
/** @param {string} path */
const ours = (path) => import(join(root, "packages", path));

/** @param {() => Promise<number>} work */
async function timed(work) {
  let detections = await work();
  const seconds = [];
  const cpuSeconds = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    const before = process.cpuUsage();
    detections = await work();
    seconds.push((performance.now() - start) / 1000);
    const { user, system } = process.cpuUsage(before);
    cpuSeconds.push((user + system) / 1e6);
  }
  process.stdout.write(`${JSON.stringify({ seconds, cpuSeconds, detections, memoryMb: Math.round(process.resourceUsage().maxRSS / 1024) })}\n`);
}

/** @param {"tensorflow" | "wasm"} backend */
async function mrcnn(backend) {
  const require = createRequire(join(root, "apps", "trainer", "package.json"));
  const tf = require("@tensorflow/tfjs");
  if (backend === "tensorflow") {
    if (threads === 1) process.env.OMP_NUM_THREADS = "1";
    const { loadTensorflow, registerCudaKernels } = await ours("backend-cuda/dist/index.js");
    await loadTensorflow();
    registerCudaKernels();
    await tf.setBackend("tensorflow");
  } else {
    const { startWasm } = await ours("backend-wasm/dist/index.js");
    const got = await startWasm({ threads });
    if (got !== threads) throw new Error(`asked for ${threads} threads, got ${got}`);
  }
  const { createMaskRcnn, maskRcnnConfig } = await ours("model/dist/index.js");
  const { assignWeights, fromTorch, readSafetensors } = await ours("weights/dist/index.js");
  const config = maskRcnnConfig({
    classes: Array.from({ length: 90 }, (_, i) => `class ${i + 1}`),
    image: { minSize: size, maxSize: size },
  });
  const model = createMaskRcnn(config);
  const file = join(folder, "weights.safetensors");
  assignWeights(model.variables, fromTorch(readSafetensors(readFileSync(file), file)));
  if (action === "detect") {
    return timed(async () => (await model.detect([{ height: size, width: size, data: pixels }]))[0].labels.length);
  }
  const { trainingModel } = await ours("model/dist/training.js");
  const { sgd, trainStep } = await ours("trainer/dist/index.js");
  const { batchImages, normalizeImage } = await ours("transforms/dist/index.js");
  const { bitmapFromFull } = await ours("masks/dist/index.js");
  const { createRandom } = await ours("core/dist/index.js");
  const image = normalizeImage({ height: size, width: size, data: pixels }, config.image);
  const corners = Array.from({ length: 8 }, (_, i) => [40 * i + 10, 30 * i + 20, 40 * i + 90, 30 * i + 120]);
  const masks = corners.map(([x1 = 0, y1 = 0, x2 = 0, y2 = 0]) => {
    const full = new Uint8Array(size * size);
    for (let y = y1; y < y2; y++) full.fill(1, y * size + x1, y * size + Math.min(x2, size));
    return bitmapFromFull(full, { height: size, width: size });
  });
  const groundTruth = {
    boxes: Float32Array.from(corners.flat()),
    labels: Int32Array.from({ length: 8 }, (_, i) => i + 1),
    masks,
    isCrowd: new Uint8Array(8),
  };
  const batch = { images: batchImages([image, image], { divisor: 32 }), groundTruth: [groundTruth, groundTruth], names: ["a", "b"] };
  const optimizer = sgd();
  const learner = trainingModel(model);
  return timed(async () => {
    await trainStep(learner, [batch], optimizer, { step: 0, rate: 1e-5, random: createRandom(0) });
    return 0;
  });
}

/** @param {"onnxruntime-node" | "onnxruntime-web"} peer */
async function onnx(peer) {
  const require = createRequire(join(root, ".cache", "bench", "package.json"));
  const ort = require(peer);
  if (peer === "onnxruntime-web") ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(join(folder, "model.onnx"), {
    intraOpNumThreads: threads,
    executionProviders: [peer === "onnxruntime-web" ? "wasm" : "cpu"],
  });
  const data = new Float32Array(3 * size * size);
  for (let i = 0; i < size * size; i++) for (let c = 0; c < 3; c++) data[c * size * size + i] = (pixels[i * 3 + c] ?? 0) / 255;
  return timed(async () => {
    const out = await session.run({ [session.inputNames[0]]: new ort.Tensor("float32", data, [3, size, size]) });
    return out[session.outputNames[0]].dims[0];
  });
}

if (name === "tensorflow" || name === "wasm") await mrcnn(name);
else if (name === "onnxruntime-node" || name === "onnxruntime-web") await onnx(name);
else throw new Error(`unknown contender ${name}`);
process.exit(0);
