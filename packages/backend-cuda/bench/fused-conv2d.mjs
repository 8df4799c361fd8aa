#!/usr/bin/env node
// @ts-check
// Convolutions with what follows them (bias, ReLU, a residual sum before it), tfjs-node's kernels against this package's:
// `node packages/backend-cuda/bench/fused-conv2d.mjs`, after `npm run build` and `npm run setup:tensorflow`.
import * as tf from "@tensorflow/tfjs-core";
import { loadTensorflow, registerCudaKernels } from "@mrcnn/backend-cuda";
import { conv2d } from "@mrcnn/nn";

await loadTensorflow();
await tf.setBackend("tensorflow");

/** @typedef {{ shape: [number, number, number, number], size: number, out: number, sum?: boolean }} Case */
/** @type {Case[]} */
const cases = [
  { shape: [1, 128, 128, 256], size: 3, out: 256 },
  { shape: [1, 64, 64, 256], size: 3, out: 256 },
  { shape: [1, 32, 32, 256], size: 3, out: 256 },
  { shape: [2, 128, 128, 256], size: 3, out: 256 },
  { shape: [100, 14, 14, 256], size: 3, out: 256 },
  { shape: [1, 128, 128, 64], size: 1, out: 256, sum: true },
  { shape: [1, 32, 32, 256], size: 1, out: 1024, sum: true },
  { shape: [2, 64, 64, 128], size: 1, out: 512, sum: true },
];

/** Median milliseconds and GFLOP/s. @param {Case} one */
function time({ shape, size, out, sum = false }) {
  const [batch, height, width, channels] = shape;
  const x = /** @type {tf.Tensor4D} */ (tf.randomNormal(shape));
  const params = { weight: tf.randomNormal([size, size, channels, out]), bias: tf.randomNormal([out]) };
  const addend = /** @type {tf.Tensor4D} */ (tf.randomNormal([batch, height, width, out]));
  const run = () =>
    tf.dispose(
      conv2d(/** @type {never} */ (params), x, {
        padding: size >> 1,
        activation: "relu",
        ...(sum && { addend }),
      }),
    );
  for (let i = 0; i < 3; i++) run();
  const times = Array.from({ length: 15 }, () => {
    const start = performance.now();
    run();
    return performance.now() - start;
  });
  tf.dispose([x, addend, params.weight, params.bias]);
  const median = times.toSorted((a, b) => a - b)[7] ?? NaN;
  return `${median.toFixed(1)} ms, ${((batch * height * width * size * size * channels * out * 2) / median / 1e6).toFixed(0)}`;
}

const plain = cases.map(time);
registerCudaKernels();
console.log("| input | filter | | tfjs-node: time, GFLOP/s | here |\n|---|---|---|---|---|");
for (const [i, one] of cases.entries()) {
  const { shape, size, out, sum } = one;
  console.log(
    `| ${shape.join("x")} | ${size}x${size} to ${out} | ${sum ? "bias, sum, ReLU" : "bias, ReLU"} | ${plain[i]} | ${time(one)} |`,
  );
}
