#!/usr/bin/env node
// @ts-check
// Grouped, dilated and strided 3x3 convolutions and both their gradients: composed of what tfjs-node has, against this
// package's kernels: `node packages/backend-cuda/bench/convolution.mjs`, after `npm run build` and `npm run setup:tensorflow`.
import * as tfjs from "@tensorflow/tfjs";
import { loadTensorflow, registerCudaKernels } from "@mrcnn/backend-cuda";
import { conv2d } from "@mrcnn/nn";

/** @type {typeof tfjs} */
const tf = /** @type {any} */ (tfjs).default ?? tfjs;
await loadTensorflow();
await tf.setBackend("tensorflow");

/** @param {() => any} run */
function fastest(run) {
  let best = Infinity;
  for (let i = 0; i < 8; i++) {
    const start = performance.now();
    tf.tidy(() => void run());
    if (i > 0) best = Math.min(best, performance.now() - start);
  }
  return best.toFixed(1);
}

/** @type {{ name: string, x: [number, number, number, number], out?: number, options: import("@mrcnn/nn").Conv2dOptions }[]} */
const cases = [
  ...[4, 8, 16, 32].map((width, i) => ({
    name: `32 groups of ${width}`,
    x: /** @type {[number, number, number, number]} */ ([1, 128 >> i, 128 >> i, 32 * width]),
    options: { groups: 32, padding: 1 },
  })),
  { name: "32 groups of 8, stride 2", x: [1, 128, 128, 256], options: { groups: 32, padding: 1, stride: 2 } },
  { name: "32 groups of 64", x: [1, 16, 16, 2048], options: { groups: 32, padding: 1 } },
  { name: "dilation 2", x: [1, 32, 32, 512], options: { padding: 2, dilation: 2 } },
  { name: "dilation 2", x: [2, 64, 64, 256], options: { padding: 2, dilation: 2 } },
  { name: "stride 2", x: [2, 128, 128, 128], options: { padding: 1, stride: 2 } },
];
const measure = () =>
  cases.map(({ x: shape, options }) => {
    const channels = shape[3];
    const x = tf.randomNormal(shape, 0, 1, "float32", 1);
    const weight = tf.randomNormal([3, 3, channels / (options.groups ?? 1), channels], 0, 1, "float32", 2);
    const f = (/** @type {any} */ x, /** @type {any} */ weight) =>
      /** @type {any} */ (conv2d({ weight }, x, options));
    const dy = f(x, weight);
    const times = [fastest(() => f(x, weight)), fastest(() => tf.grads(f)([x, weight], dy))];
    tf.dispose([x, weight, dy]);
    return times.join(", ");
  });
const before = measure();
registerCudaKernels();
const after = measure();
console.log("| ms: forward, then forward and gradients | input | composed | kernels |\n|---|---|---|---|");
cases.forEach(({ name, x }, i) => console.log(`| ${name} | ${x.join("x")} | ${before[i]} | ${after[i]} |`));
