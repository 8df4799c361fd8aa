// @ts-check
/**
 * Runs this project in a process of its own: node ours.mjs JOB; the job's contender is the backend,
 * "tensorflow", "webgpu" or "wasm".
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { root } from "../../workspace.mjs";
import { answer, job, readImage, timed } from "./child.mjs";

/** @param {string} path */
const ours = (path) => import(join(root, "packages", path));
const tf = createRequire(join(root, "apps", "trainer", "package.json"))("@tensorflow/tfjs");

async function startBackend() {
  if (job.contender === "wasm") {
    const { startWasm } = await ours("backend-wasm/dist/index.js");
    const got = await startWasm({ threads: job.threads });
    if (got !== job.threads) throw new Error(`asked for ${job.threads} threads, got ${got}`);
    return;
  }
  if (job.contender === "webgpu") {
    const { startWebgpu } = await ours("backend-webgpu/dist/node.js");
    // A software adapter would take minutes for each image.
    await startWebgpu({ software: false, precision: job.precision });
    return;
  }
  const { loadTensorflow, registerCudaKernels } = await ours("backend-cuda/dist/index.js");
  await loadTensorflow({ precision: job.precision, threads: job.threads });
  registerCudaKernels();
  await tf.setBackend("tensorflow");
  if (job.device === "cuda" && !tf.backend().isUsingGpuDevice) {
    throw new Error(
      "TensorFlow computes on the CPU: `npm run setup:tensorflow -- --gpu` brings its CUDA build.",
    );
  }
}

// As the command loads weights: nothing of the file is kept.
async function createModel() {
  const { maskRcnnConfig } = await ours("model/dist/index.js");
  const { createPretrained, readWeightsFile } = await ours("mask-rcnn/dist/node.js");
  const { height, width } = image;
  const config = maskRcnnConfig({
    classes: Array.from({ length: 90 }, (_, i) => `class ${i + 1}`),
    image: { minSize: Math.min(height, width), maxSize: Math.max(height, width) },
  });
  const file = join(job.folder, "weights.safetensors");
  return createPretrained(await readWeightsFile(file), { where: file, config, consume: true }).model;
}

async function detect() {
  /** @type {number[]} */
  let scores = [];
  const seconds = await timed(async () => {
    const [found] = await model.detect([image]);
    scores = [...found.scores];
  });
  answer({ seconds, scores });
}

async function stages() {
  const { profileDetect } = await ours("model/dist/profile.js");
  /** @type {Record<string, number[]>} */
  const stages = {};
  for (let i = 0; i < job.warmup + job.runs; i++) {
    /** @type {{ seconds: Map<string, number> }} */
    const { seconds } = await profileDetect(model, [image]);
    if (i < job.warmup) continue;
    for (const [stage, time] of seconds) (stages[stage] ??= []).push(time);
  }
  answer({ stages });
}

// The batch that torchvision_contender.py trains on: the image twice, eight objects in each.
/** @returns {Promise<object>} */
async function trainingBatch() {
  const { batchImages, normalizeImage } = await ours("transforms/dist/index.js");
  const { bitmapFromFull } = await ours("masks/dist/index.js");
  const { height, width } = image;
  const corners = Array.from({ length: 8 }, (_, i) => [40 * i + 10, 30 * i + 20, 40 * i + 90, 30 * i + 120]);
  const masks = corners.map(([x1 = 0, y1 = 0, x2 = 0, y2 = 0]) => {
    const full = new Uint8Array(height * width);
    for (let y = y1; y < Math.min(y2, height); y++)
      full.fill(1, y * width + x1, y * width + Math.min(x2, width));
    return bitmapFromFull(full, { height, width });
  });
  const groundTruth = {
    boxes: Float32Array.from(corners.flat()),
    labels: Int32Array.from({ length: 8 }, (_, i) => i + 1),
    masks,
    isCrowd: new Uint8Array(8),
  };
  const input = normalizeImage(image, model.config.image);
  return {
    images: batchImages([input, input], { divisor: 32 }),
    groundTruth: [groundTruth, groundTruth],
    names: ["a", "b"],
  };
}

async function train() {
  const { trainingModel } = await ours("model/dist/training.js");
  const { sgd, trainStep } = await ours("trainer/dist/index.js");
  const { createRandom } = await ours("core/dist/index.js");
  const batch = await trainingBatch();
  const optimizer = sgd();
  const learner = trainingModel(model);
  const step = () => trainStep(learner, [batch], optimizer, { step: 0, rate: 1e-5, random: createRandom(0) });
  const seconds = await timed(step);
  // The sampler decides how many RoIs the mask head sees: as many as its first convolution.
  /** @type {{ kernels: { inputShapes: number[][] }[] }} */
  const { kernels } = await tf.profile(step);
  const seen = kernels.find(
    ({ inputShapes: [x = [], filter = []] }) =>
      String(x.slice(1)) === "14,14,256" && String(filter) === "3,3,256,256",
  )?.inputShapes[0];
  answer({ seconds, ...(seen && { maskRois: seen[0] }) });
}

await startBackend();
const image = readImage();
const model = await createModel();
const work = { detect, train, stages }[job.action];
await work();
