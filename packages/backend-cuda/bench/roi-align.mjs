#!/usr/bin/env node
// @ts-check
// RoIAlign on backend "tensorflow": this package's kernel against the matrix products that run
// without it. `node packages/backend-cuda/bench/roi-align.mjs`; needs `npm run build` and tfjs-node.
import * as tfjs from "@tensorflow/tfjs";
import { kernels, loadTensorflow, registerCudaKernels } from "@mrcnn/backend-cuda";
import { roiAlign } from "@mrcnn/roi-align";

/** @type {typeof tfjs} */
const tf = /** @type {any} */ (tfjs).default ?? tfjs;
await loadTensorflow();

/** Median of as many runs as fit in two seconds, after one to warm up. @param {() => any} f */
function milliseconds(f) {
  tf.tidy(() => void f().dataSync());
  const times = [];
  for (const until = performance.now() + 2000; times.length < 3 || performance.now() < until;) {
    const start = performance.now();
    tf.tidy(() => void f().dataSync());
    times.push(performance.now() - start);
  }
  return /** @type {number} */ (times.sort((a, b) => a - b)[times.length >> 1]);
}

// [rois, side of the map, channels, bins]
const cases = [
  [256, 64, 128, 7],
  [256, 64, 128, 14],
  [1024, 64, 128, 7],
  [1024, 128, 256, 7],
  [256, 128, 256, 14],
];
const rows = cases.map(([rois, side, channels, bins]) => {
  const features = tf.randomNormal(
    [1, /** @type {number} */ (side), /** @type {number} */ (side), /** @type {number} */ (channels)],
    0,
    1,
    "float32",
    1,
  );
  const image = /** @type {number} */ (side) * 4;
  const spread = (/** @type {number} */ seed) =>
    tf.randomUniform([/** @type {number} */ (rois), 2], 0, 1, "float32", seed);
  const corner = tf.mul(spread(2), image * 0.7);
  const boxes = /** @type {Float32Array} */ (
    tf.concat([corner, tf.add(corner, tf.add(tf.mul(spread(3), image * 0.25), 8))], 1).dataSync()
  );
  const options = {
    outputSize: /** @type {[number, number]} */ ([bins, bins]),
    spatialScale: 0.25,
    samplingRatio: 2,
    aligned: false,
  };
  const forward = (/** @type {any} */ x) =>
    roiAlign(x, { boxes, imageIndex: new Int32Array(/** @type {number} */ (rois)) }, options);
  const dy = forward(features);
  const backward = () => /** @type {any} */ (tf.grad(forward)(features, dy));
  return {
    name: `${rois} rois to ${bins}x${bins} of ${side}x${side}x${channels}`,
    forward: () => forward(features),
    backward,
  };
});
const before = rows.map(({ forward, backward }) => [milliseconds(forward), milliseconds(backward)]);
registerCudaKernels();
if (kernels.length === 0) throw new Error("no kernels");
console.log(
  "| ms | products: forward | and gradient | kernel: forward | and gradient |\n|---|---|---|---|---|",
);
rows.forEach(({ name, forward, backward }, i) => {
  const after = [milliseconds(forward), milliseconds(backward)];
  console.log(`| ${name} | ${[...(before[i] ?? []), ...after].map((t) => t.toFixed(1)).join(" | ")} |`);
});
