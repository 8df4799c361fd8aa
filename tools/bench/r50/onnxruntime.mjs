// @ts-check
/**
 * Runs onnxruntime in a process of its own: node onnxruntime.mjs JOB; the job's contender is "package
 * provider".
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { root } from "../../workspace.mjs";
import { answer, job, readImage, timed } from "./child.mjs";

const [name = "", provider = ""] = job.contender.split(" ");
const ort = createRequire(join(root, ".cache", "bench", "package.json"))(name);
if (name === "onnxruntime-web") ort.env.wasm.numThreads = job.threads;
const session = await ort.InferenceSession.create(join(job.folder, "model.onnx"), {
  intraOpNumThreads: job.threads,
  executionProviders: [provider],
});

const { height, width, data: pixels } = readImage();
const plane = height * width;
const data = new Float32Array(3 * plane);
for (let i = 0; i < plane; i++)
  for (let c = 0; c < 3; c++) data[c * plane + i] = (pixels[i * 3 + c] ?? 0) / 255;

/** @type {number[]} */
let scores = [];
const seconds = await timed(async () => {
  const found = await session.run({
    [session.inputNames[0]]: new ort.Tensor("float32", data, [3, height, width]),
  });
  // Boxes are [n, 4], labels int64 [n], masks [n, 1, height, width].
  scores = [...Object.values(found).find(({ type, dims }) => type === "float32" && dims.length === 1).data];
});
answer({ seconds, scores });
