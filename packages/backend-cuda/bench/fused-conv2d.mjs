#!/usr/bin/env node
// @ts-check
// Convolution of one image and of several, 3x3 of 256 channels, tfjs-node's kernel against this package's:
// `node packages/backend-cuda/bench/fused-conv2d.mjs`, after `npm run build` and `npm run setup:tensorflow`.
import * as tf from "@tensorflow/tfjs-core";
import { loadTensorflow, registerCudaKernels } from "@mrcnn/backend-cuda";

await loadTensorflow();
await tf.setBackend("tensorflow");

/** @param {[number, number, number, number]} shape */
function gflops(shape) {
  const x = /** @type {tf.Tensor4D} */ (tf.randomNormal(shape));
  const filter = /** @type {tf.Tensor4D} */ (tf.randomNormal([3, 3, 256, 256]));
  const run = () => tf.dispose(tf.fused.conv2d({ x, filter, strides: 1, pad: "same", activation: "linear" }));
  run();
  let best = Infinity;
  for (let i = 0; i < 7; i++) {
    const start = performance.now();
    run();
    best = Math.min(best, performance.now() - start);
  }
  tf.dispose([x, filter]);
  return (shape[0] * shape[1] * shape[2] * 9 * 256 * 256 * 2) / best / 1e6;
}

/** @type {[number, number, number, number][]} */
const shapes = [[1, 128, 128, 256], [1, 64, 64, 256], [1, 32, 32, 256], [4, 64, 64, 256], [100, 14, 14, 256]];
const plain = shapes.map(gflops);
registerCudaKernels();
console.log("| input | tfjs-node, GFLOP/s | here |\n|---|---|---|");
for (const [i, shape] of shapes.entries()) console.log(`| ${shape.join("x")} | ${plain[i]?.toFixed(0)} | ${gflops(shape).toFixed(0)} |`);
